"""Plans a rewrite: looks at the table and at what its rows say, and asks the planner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from sa_partman.bounds.bound import Bound, DefaultBound, RangeBound
from sa_partman.bounds.interval import Position
from sa_partman.catalog import FoundTable, Parent, Partition, default_of
from sa_partman.compare.window import here_of
from sa_partman.errors import Refused
from sa_partman.names import QualifiedName
from sa_partman.plan.rewrite.pieces import (
    drained,
    expiry_cut,
    grid_cuts,
    groups_of,
    in_key_order,
    joined,
    pieces_of,
    relabelled,
    remainders,
    split_bounds,
    with_interval,
)
from sa_partman.plan.rewrite.refusals import hidden_rows
from sa_partman.plan.rewrite.request import Kind, RewritePlan, RewriteRequest, staging_table
from sa_partman.plan.rewrite.steps import plan_rewrite
from sa_partman.postgres.relations import inbound_keys
from sa_partman.postgres.rewriting import (
    base_types,
    condition_of,
    filled,
    hides_rows,
    names_in,
    reach_of,
    sending,
    source_of,
)
from sa_partman.postgres.table_reader import memberships, read_table
from sa_partman.postgres.view import TableView
from sa_partman.spec.declared import HashLevel, Level, ListLevel, RangeLevel


@dataclass(frozen=True, slots=True)
class Found:
    """
    A partition, and where it is.

    Args:
        level: Of *parent*.
    """

    partition: Partition
    parent: Parent
    level: Level


def find_partition(view: TableView, name: str) -> Found | None:
    """The partition that *name* means, with its schema or without; None when the table has none of that name."""
    assert view.found is not None
    return next((each for each in _walk(view.declared.level, view.found) if _is(each.partition.name, name)), None)


def _is(name: QualifiedName, asked: str) -> bool:
    return asked in (str(name), name.name)


def _walk(level: Level, parent: Parent) -> Iterator[Found]:
    for each in parent.partitions:
        yield Found(each, parent, level)
        if level.below is not None and each.partitions:
            yield from _walk(level.below, each)


@dataclass(frozen=True, slots=True)
class SplitAt:
    """
    Where partitions are cut.

    Args:
        into: An interval; None: none.
        at: Points, as a declaration's ``start`` takes them.
        older_than: What lies this far back is apart from the rest.
    """

    into: str | None = None
    at: tuple[str, ...] = ()
    older_than: str | None = None


def plan_split(connection: Connection, view: TableView, found: Found, cut: SplitAt) -> RewritePlan:
    """
    The plan of cutting one partition.

    Raises:
        Refused: It is no range, or nothing of what was asked for cuts it.
    """
    level, bound = found.level, found.partition.bound
    if not isinstance(level, RangeLevel) or not isinstance(bound, RangeBound):
        what = "the default partition: sa-partman drain" if isinstance(bound, DefaultBound) else "no range"
        raise Refused(f"{found.partition.name} is {what}, so it can't be split; nothing was changed")
    grid = with_interval(level, cut.into)
    cuts: list[Position] = []
    if cut.into is not None or not (cut.at or cut.older_than):
        refused = _unreadable(connection, view, "split", found.partition) if _is_open(grid, bound) else None
        if refused is not None:
            return refused
        cuts += grid_cuts(grid, bound, *_reach(connection, grid, found))
    cuts += [_parsed(level, each) for each in cut.at]
    if cut.older_than is not None:
        cuts.append(expiry_cut(level, here_of(level, found.parent, view.context), cut.older_than))
    bounds = split_bounds(grid, bound, cuts)
    if len(bounds) < 2:
        return RewritePlan("split", view.declared.name, notes=(f"{found.partition.name} is as it would be already",))
    return _planned(connection, view, "split", grid, found.parent, (found.partition,), bounds)


def _unreadable(connection: Connection, view: TableView, kind: Kind, partition: Partition) -> RewritePlan | None:
    """The plan of a role that may not look where the rows of *partition* belong."""
    if not hides_rows(connection, partition.oid):
        return None
    return RewritePlan(kind, view.declared.name, refusals=(hidden_rows(str(partition.name)),))


def _parsed(level: RangeLevel, at: str) -> Position:
    try:
        return level.axis.parse(at)
    except ValueError as error:
        raise Refused(f"--at {at!r}: {error}; nothing was changed. Give a date such as 2026-06-01") from None


def _is_open(level: RangeLevel, bound: RangeBound) -> bool:
    """Whether it matters what the rows say, because the bound has no end of its own."""
    return None in map(level.axis.decode, (bound.lower[level.place], bound.upper[level.place]))


def _reach(connection: Connection, level: RangeLevel, found: Found) -> tuple[Position | None, Position | None]:
    bound = found.partition.bound
    assert isinstance(bound, RangeBound)
    if not _is_open(level, bound):
        return None, None
    reached = reach_of(connection, found.partition.name, level.key, level.place)
    return (None, None) if reached is None else (level.axis.decode(reached[0]), level.axis.decode(reached[1]))


def plan_merge(connection: Connection, view: TableView, merged: Sequence[Found]) -> RewritePlan:
    """
    The plan of joining neighbours.

    Raises:
        Refused: They are none.
    """
    level, parent = merged[0].level, merged[0].parent
    if not isinstance(level, RangeLevel) or any(each.parent.name != parent.name for each in merged):
        raise Refused("only ranges of one parent can be merged; nothing was changed")
    partitions = tuple(in_key_order(each.partition for each in merged))
    if len(partitions) < 2 or len(partitions) < len(merged):
        raise Refused("name two or more range partitions to merge; nothing was changed")
    return _planned(connection, view, "merge", level, parent, partitions, (joined(partitions),))


def plan_merges(connection: Connection, view: TableView, older_than: str, into: str | None) -> RewritePlan:
    """
    The plan of joining what is older than *older_than* in cells of *into*.

    Raises:
        Refused: The table is not cut by range.
    """
    level, parent = _range(view)
    grid = with_interval(level, into)
    before = expiry_cut(grid, here_of(level, parent, view.context), older_than)
    groups = tuple(groups_of(grid, parent.partitions, before))
    if not groups:
        return RewritePlan("merge", view.declared.name, notes=("there is nothing to merge",))
    sources = tuple(each for group in groups for each in group)
    return _planned(connection, view, "merge", grid, parent, sources, tuple(map(joined, groups)))


def plan_drain(connection: Connection, view: TableView) -> RewritePlan:
    """
    The plan of giving the rows of the default partition partitions of their own.

    Raises:
        Refused: The table is not cut by range, or has no default partition.
    """
    level, parent = _range(view)
    default = default_of(parent)
    if default is None:
        raise Refused(f"{view.declared.name} has no default partition; nothing was changed")
    refused = _unreadable(connection, view, "drain", default)
    if refused is not None:
        return refused
    reached = reach_of(connection, default.name, level.key, level.place)
    lowest, highest = (None, None) if reached is None else map(level.axis.decode, reached)
    if lowest is None or highest is None:
        return RewritePlan("drain", view.declared.name, notes=(f"{default.name} has no row that belongs elsewhere",))
    whole = RangeBound(
        (level.axis.encode(level.axis.grid.cell(lowest).lower),),
        (level.axis.encode(level.axis.grid.cell(highest).upper),),
    )
    cells = split_bounds(level, whole, grid_cuts(level, whole, lowest, highest))
    ends = [each.lower[level.place] for each in cells] + [cells[-1].upper[level.place]]
    rows = filled(connection, default.name, level.key, level.place, ends)
    bounds = drained(level, (cell for place, cell in enumerate(cells) if place in rows), parent.partitions)
    return _planned(connection, view, "drain", level, parent, (default,), bounds)


def plan_regrid(connection: Connection, view: TableView) -> RewritePlan:
    """
    The plan of giving filled partitions the bounds that the declaration asks for now: cut where they are wider than its
    interval, and joined where several lie in one.

    Raises:
        Refused: The table is cut by ranges of several columns.
    """
    declared, found = view.declared.level, view.found
    if isinstance(declared, ListLevel | HashLevel) and found is not None:
        return _regrid_values(connection, view, declared, found)
    level, parent = _range(view)
    wide = [each for each in in_key_order(parent.partitions) if _cuts(level, each)]
    sources: list[Partition] = []
    bounds: list[Bound] = []
    for each in wide:
        assert isinstance(each.bound, RangeBound)
        sources.append(each)
        bounds += split_bounds(level, each.bound, grid_cuts(level, each.bound, None, None))
    end = here_of(level, parent, view.context)
    for group in groups_of(
        level,
        (each for each in parent.partitions if each not in wide),
        level.axis.grid.ahead(level.axis.grid.cell(end).lower, 1_000),
    ):
        sources += group
        bounds.append(joined(group))
    if not sources:
        return RewritePlan("regrid", view.declared.name, notes=("every partition is as the declaration asks for",))
    return _planned(connection, view, "regrid", level, parent, tuple(sources), tuple(bounds))


def _regrid_values(
    connection: Connection, view: TableView, level: ListLevel | HashLevel, parent: FoundTable
) -> RewritePlan:
    labels: dict[Bound, str] = {}
    bounds: Sequence[Bound]
    if isinstance(level, ListLevel):
        sources, labels = relabelled(level, parent, view.context)
        bounds = tuple(labels)
    else:
        sources, bounds = remainders(level, parent)
    if not sources:
        return RewritePlan("regrid", view.declared.name, notes=("every partition is as the declaration asks for",))
    return _planned(connection, view, "regrid", level, parent, sources, bounds, labels)


def _cuts(level: RangeLevel, partition: Partition) -> bool:
    """Whether the grid cuts a partition that has two ends."""
    assert isinstance(partition.bound, RangeBound)
    ends = [level.axis.decode(end[level.place]) for end in (partition.bound.lower, partition.bound.upper)]
    if ends[0] is None or ends[1] is None:
        return False
    return any(True for _ in grid_cuts(level, partition.bound, None, None))


def _range(view: TableView) -> tuple[RangeLevel, FoundTable]:
    level, found = view.declared.level, view.found
    if not isinstance(level, RangeLevel) or level.spec.tenants is not None or len(level.key.parts) > 1:
        raise Refused(
            f"{view.declared.name} is PARTITION BY {level.partition_by}, and this is for ranges of one column; nothing "
            f"was changed"
        )
    assert found is not None
    return level, found


def _planned(
    connection: Connection,
    view: TableView,
    kind: Kind,
    level: Level,
    parent: Parent,
    partitions: Sequence[Partition],
    bounds: Sequence[Bound],
    labels: Mapping[Bound, str] | None = None,
) -> RewritePlan:
    request = request_of(connection, view, kind, level, parent, partitions, bounds, labels or {})
    return plan_rewrite(request)


def request_of(
    connection: Connection,
    view: TableView,
    kind: Kind,
    level: Level,
    parent: Parent,
    partitions: Sequence[Partition],
    bounds: Sequence[Bound],
    labels: Mapping[Bound, str],
) -> RewriteRequest:
    """
    All that the planner has to know.

    Raises:
        Refused: *parent* is gone.
    """
    found = view.found
    assert found is not None
    if found.referenced and parent is not found:
        raise Refused(
            f"{found.name} is referred to by foreign keys, which can't be given to the partitions of {parent.name} "
            f"alone; nothing was changed"
        )
    definition = read_table(connection, parent.name)
    if definition is None:
        raise Refused(f"{parent.name} does not exist any more; nothing was changed")
    going = frozenset(each.name for each in partitions)
    taken: dict[QualifiedName, Bound] = dict.fromkeys(names_in(connection, parent.name.schema), DefaultBound())
    taken |= {each.name: each.bound for each in found.walk()}
    pieces = pieces_of(level, parent, bounds, taken, going, labels)
    default = default_of(parent)
    siblings = (each.bound for each in parent.partitions if each.name not in going)
    return RewriteRequest(
        kind,
        found.name,
        parent.name,
        parent.key or level.key,
        level.partition_by,
        tuple(source_of(connection, each) for each in partitions),
        pieces,
        definition,
        memberships(connection, [found.oid])[found.oid],
        None if default is None or default.name in going else default.name,
        tuple(each for each in siblings if not isinstance(each, DefaultBound)),
        level.spec.unlogged,
        "" if level.below is None else level.below.partition_by,
        tuple(each.referencing for each in inbound_keys(connection, [definition.oid]) if each.divided),
        staging_table(found.name) in taken,
        hides_rows(connection, definition.oid),
        sending(connection, definition, partitions),
        base_types(connection, definition.oid),
        condition_of(connection, definition.oid),
    )
