"""Into which bounds partitions are rewritten: cuts on a grid or at given points, and neighbours joined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from typing import Any

from sa_partman.bounds.bound import DEFAULT, Bound, HashBound, ListBound, RangeBound, row_order
from sa_partman.bounds.interval import Duration, Interval, Position, cells_from
from sa_partman.bounds.text import describe
from sa_partman.catalog import Parent, Partition
from sa_partman.compare.context import Context
from sa_partman.compare.lists import wanted_labels
from sa_partman.compare.window import line_of
from sa_partman.errors import Refused
from sa_partman.names import QualifiedName, label_of
from sa_partman.plan.provision import free_name, partition_name
from sa_partman.plan.rewrite.request import NewPartition, named
from sa_partman.spec.declared import HashLevel, IntegerAxis, Level, ListLevel, RangeLevel, TimeAxis, axis_of

MOST = 1_000
"""Partitions that one rewrite makes."""


def with_interval(level: RangeLevel, into: str | int | Interval | None) -> RangeLevel:
    """
    *level*, cut by another interval; None: by its own.

    Raises:
        Refused: The key's type can't hold it.
    """
    if into is None:
        return level
    kind = level.key.parts[level.place].type
    if isinstance(level.axis, IntegerAxis):
        try:
            width = int(str(into))
        except ValueError:
            width = 0
        if width < 1:
            raise Refused(
                f"--into {into!s} is no width of integers; nothing was changed. Give a number, such as 100000"
            )
        spec = level.spec.with_(interval=width)
    else:
        try:
            spec = level.spec.with_(interval=into if isinstance(into, Interval) else Interval.parse(str(into)))
        except ValueError as error:
            raise Refused(
                f"--into {into!s}: {error}; nothing was changed. Give an interval, such as '1 month'"
            ) from None
    return replace(level, spec=spec, axis=axis_of(spec, kind))


def grid_cuts(
    level: RangeLevel, bound: RangeBound, lowest: Position | None, highest: Position | None
) -> Iterator[Position]:
    """
    Where the grid of *level* cuts *bound*, ascending; where it has no end, from the row that is first or last.

    Args:
        lowest: The position of its first row; None: it has none.
        highest: The same of the last one.

    Raises:
        Refused: It would be too many.
    """
    lower, upper = _ends(level, bound)
    grid = level.axis.grid
    begin = lower if lower is not None else lowest
    end = upper if upper is not None else None if highest is None else grid.cell(highest).upper
    if begin is None or end is None:
        return
    last = None
    for count, cell in enumerate(cells_from(grid, begin)):
        if cell.lower >= end:
            break
        if count > MOST:
            raise Refused(
                f"{describe(level.readable(bound))} would become more than {MOST:,} partitions; nothing was changed. "
                f"Choose a longer interval, or split it in two first: --at ..."
            )
        if lower is None or cell.lower > lower:
            yield cell.lower
        last = cell.upper
    if upper is None and last is not None:
        yield last


def expiry_cut(level: RangeLevel, here: Position, length: str) -> Position:
    """
    The last point of the grid that *length* before *here* is not before.

    Args:
        length: A duration; for integers a number.

    Raises:
        Refused: It is no such length.
    """
    axis = level.axis
    try:
        if isinstance(axis, TimeAxis):
            return axis.grid.cell(axis.back(here, Duration.parse(length))).lower
        return axis.grid.cell(int(here) - int(length)).lower
    except ValueError as error:
        raise Refused(
            f"--older-than {length!r} does not fit the key: {error}; nothing was changed. Give for example "
            f"'14 months', or a number for integers"
        ) from None


def split_bounds(level: RangeLevel, bound: RangeBound, cuts: Iterable[Position]) -> tuple[RangeBound, ...]:
    """
    *bound* in pieces, ascending; *cuts* outside of it do nothing.

    Raises:
        Refused: It spans several tenants.
    """
    line = line_of(level, bound)
    if line is None:
        raise Refused(f"{describe(bound)} spans several tenants, and no single line of cells; nothing was changed")
    lower, upper = _ends(level, bound)
    inside = sorted({cut for cut in cuts if (lower is None or cut > lower) and (upper is None or cut < upper)})
    ends: list[Any] = [bound.lower, *(level.axis.encode(cut) for cut in inside), bound.upper]
    found = []
    for place, (first, last) in enumerate(pairwise(ends)):
        begin = first if place == 0 else line.bound(first, first).lower
        end = last if place == len(inside) else line.bound(last, last).lower
        found.append(RangeBound(begin, end))
    return tuple(found)


def _ends(level: RangeLevel, bound: RangeBound) -> tuple[Position | None, Position | None]:
    return level.axis.decode(bound.lower[level.place]), level.axis.decode(bound.upper[level.place])


def range_of(partition: Partition) -> RangeBound:
    """The bound of *partition*, which is a range."""
    assert isinstance(partition.bound, RangeBound)
    return partition.bound


def in_key_order(partitions: Iterable[Partition]) -> list[Partition]:
    """Ranges, ascending."""
    ranges = [each for each in partitions if isinstance(each.bound, RangeBound)]
    return sorted(ranges, key=lambda each: row_order(range_of(each).lower))


def joined(partitions: Sequence[Partition]) -> RangeBound:
    """
    The bound of *partitions* together.

    Args:
        partitions: In key order.

    Raises:
        Refused: There is a gap between two of them.
    """
    bounds = [range_of(each) for each in partitions]
    for first, second in pairwise(partitions):
        if range_of(first).upper != range_of(second).lower:
            raise Refused(
                f"{first.name} ends at another point than where {second.name} begins, so they can't be merged; nothing "
                f"was changed. Name neighbours, or fill the gap first: sa-partman provision"
            )
    return RangeBound(bounds[0].lower, bounds[-1].upper)


def groups_of(level: RangeLevel, partitions: Iterable[Partition], before: Position) -> Iterator[tuple[Partition, ...]]:
    """
    Neighbours that lie in one cell of *level* and end at *before* or earlier; single ones are left alone.
    """

    def cell(partition: Partition) -> tuple[Any, ...] | None:
        bound = range_of(partition)
        lower, upper = _ends(level, bound)
        if lower is None or upper is None or upper > before:
            return None
        found = level.axis.grid.cell(lower)
        return (*bound.lower[: level.place], found.lower) if upper <= found.upper else None

    for where, group in groupby(in_key_order(partitions), key=cell):
        row = tuple(group)
        if where is not None and len(row) > 1:
            for run in _runs(row):
                if len(run) > 1:
                    yield run


def _runs(row: tuple[Partition, ...]) -> Iterator[tuple[Partition, ...]]:
    """*row* cut where there is a gap."""
    start = 0
    for place in range(1, len(row)):
        if range_of(row[place - 1]).upper != range_of(row[place]).lower:
            yield row[start:place]
            start = place
    yield row[start:]


def without(bound: RangeBound, others: Iterable[RangeBound]) -> tuple[RangeBound, ...]:
    """What of *bound* none of *others* takes, ascending."""
    left = [bound]
    for other in others:
        cut = []
        for each in left:
            if not each.overlaps(other):
                cut.append(each)
                continue
            if row_order(each.lower) < row_order(other.lower):
                cut.append(RangeBound(each.lower, other.lower))
            if row_order(other.upper) < row_order(each.upper):
                cut.append(RangeBound(other.upper, each.upper))
        left = cut
    return tuple(sorted(left, key=lambda each: row_order(each.lower)))


def pieces_of(
    level: Level,
    parent: Parent,
    bounds: Iterable[Bound],
    taken: Mapping[QualifiedName, Bound],
    going: Iterable[QualifiedName],
    labels: Mapping[Bound, str],
) -> tuple[NewPartition, ...]:
    """
    A name for each of *bounds*.

    Args:
        labels: Of lists.
        taken: Names that are borne in the schema, with the bounds of those that are partitions.
        going: Of them, those of the sources.
    """
    gone = frozenset(going)
    borne = {name: bound for name, bound in taken.items() if name not in gone}
    found = []
    for bound in bounds:
        name = free_name(partition_name(level, parent.name, bound, labels.get(bound)), parent.name, bound, borne)
        borne[name] = bound
        found.append(NewPartition(name, bound, name))
    return named(found, gone)


def drained(level: RangeLevel, cells: Iterable[RangeBound], partitions: Iterable[Partition]) -> tuple[Bound, ...]:
    """The bounds that rows of a default partition go to: *cells* without what is there, and a new default partition."""
    there = [each.bound for each in partitions if isinstance(each.bound, RangeBound)]
    found: list[Bound] = [piece for cell in cells for piece in without(cell, there)]
    return (*found, DEFAULT) if found else ()


def relabelled(level: ListLevel, parent: Parent, context: Context) -> tuple[tuple[Partition, ...], dict[Bound, str]]:
    """
    The list partitions that are not as a label of *level* asks for; and the bounds that their values have then, each
    with its label. Values of no label stay together as they are.
    """
    wanted = {ListBound(frozenset(values)): label for label, values in wanted_labels(level, context)}
    lists = [(each, each.bound) for each in parent.partitions if isinstance(each.bound, ListBound)]
    sources = tuple((each, bound) for each, bound in lists if bound not in wanted)
    left = {value for _, bound in sources for value in bound.values}
    found: dict[Bound, str] = {}
    for bound, label in wanted.items():
        if held := bound.values & left:
            found[ListBound(held)] = label
            left -= held
    for _, bound in sources:
        if rest := bound.values & left:
            found[ListBound(rest)] = "_".join(sorted(map(label_of, rest)))
    if {bound for _, bound in sources} == {*found}:
        return (), {}  # labels that want values of which nobody has a partition: that is provisioning
    return tuple(each for each, _ in sources), found


def remainders(level: HashLevel, parent: Parent) -> tuple[tuple[Partition, ...], tuple[HashBound, ...]]:
    """All hash partitions, and what they become where their modulus is not the declared one."""
    modulus = level.spec.modulus
    sources = tuple(each for each in parent.partitions if isinstance(each.bound, HashBound))
    if all(isinstance(each.bound, HashBound) and each.bound.modulus == modulus for each in sources):
        return (), ()
    return sources, tuple(HashBound(modulus, remainder) for remainder in range(modulus))
