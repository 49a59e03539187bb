"""
Exchanges: partitions ahead that we made with another interval, and the ones that the declared interval asks for there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sa_partman.bounds.bound import RangeBound, row_order
from sa_partman.bounds.interval import Position
from sa_partman.bounds.text import shown
from sa_partman.catalog import FoundTable, Parent, Partition
from sa_partman.compare.context import Context
from sa_partman.compare.covered import uncovered
from sa_partman.compare.lists import is_active
from sa_partman.compare.shape import descend, divides
from sa_partman.compare.window import Line, There, clipped_cells, here_of, is_cut_above, line_of, lines_of
from sa_partman.finding import Finding, Severity
from sa_partman.marks import is_foreign, is_marked, is_restored
from sa_partman.names import QualifiedName
from sa_partman.spec.declared import DeclaredTable, Level, RangeLevel

MOST = 200
"""Partitions that one exchange makes at most: it is one transaction."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """
    Partitions that begin after now, and what would take their place: together they cover no less.

    Args:
        old: Ascending.
        new: Ascending; empty when there would be too many.
    """

    level: RangeLevel
    parent: Parent
    context: Context
    old: tuple[Partition, ...]
    new: tuple[RangeBound, ...]


def exchanges(declared: DeclaredTable, found: FoundTable, context: Context) -> Iterator[Exchange]:
    """Of all levels; none while everything ahead is as the declared interval wants it."""
    yield from _level(declared.level, found, context)


def _level(level: Level, parent: Parent, context: Context) -> Iterator[Exchange]:
    # What is cut by the range above is filled from end to end, whatever the widths.
    if isinstance(level, RangeLevel) and not is_cut_above(context, level):
        there = There.of(level, parent)
        for line in lines_of(level, parent, context):
            yield from _line(line, level, parent, context, there)
    if level.below is not None:
        for partition in parent.partitions:
            if divides(level.below, partition) and is_active(level, partition.bound, context):
                yield from _level(level.below, partition, descend(level, partition.bound, context))


def _line(line: Line, level: RangeLevel, parent: Parent, context: Context, there: There) -> Iterator[Exchange]:
    here = here_of(level, parent, context)
    mine: dict[RangeBound, Partition] = {}
    for each in parent.partitions:
        bound = each.bound
        if isinstance(bound, RangeBound) and _is_ours(each) and line_of(level, bound) == line:
            lower, upper = (level.axis.decode(end[line.place]) for end in (bound.lower, bound.upper))
            if lower is not None and upper is not None and lower > here:
                mine[bound] = each
    if not mine:
        return
    old = sorted(mine, key=lambda bound: row_order(bound.lower))
    first, last = level.axis.decode(old[0].lower[line.place]), level.axis.decode(old[-1].upper[line.place])
    rest = [bound for bound in there.of_line(line) if bound not in mine]
    cells = () if level.axis.grid.count(first, last) > MOST * len(old) else clipped_cells(level.axis, first, last)
    new = list(uncovered((line.bound(lower, upper) for lower, upper in cells), rest))
    for theirs, ours in _groups(old, new):
        if theirs and _places(theirs, level, line) != _places(ours, level, line):
            few = tuple(ours) if len(ours) <= MOST else ()
            yield Exchange(level, parent, context, tuple(mine[bound] for bound in theirs), few)


def _is_ours(partition: Partition) -> bool:
    """Whether we made *partition*, or somebody has handed it over; what was restored is kept."""
    known = not is_foreign(partition.comment) and not is_marked(partition.comment)
    return known and not is_restored(partition.comment) and partition.kind != "f" and not partition.detach_pending


def _places(bounds: Iterable[RangeBound], level: RangeLevel, line: Line) -> list[tuple[object, object]]:
    """By position: other tools write the bound of a UUIDv7 in another way."""
    decode = level.axis.decode
    return [(decode(bound.lower[line.place]), decode(bound.upper[line.place])) for bound in bounds]


def _groups(old: list[RangeBound], new: list[RangeBound]) -> Iterator[tuple[list[RangeBound], list[RangeBound]]]:
    """Those that overlap, directly or by way of others."""
    sides = ((side, bound) for side, bounds in enumerate((old, new)) for bound in bounds)
    ascending = sorted(((row_order(bound.lower), side, bound) for side, bound in sides), key=lambda each: each[:2])
    group: tuple[list[RangeBound], list[RangeBound]] = ([], [])
    end = None
    for lower, side, bound in ascending:
        if end is not None and lower >= end:
            yield group
            group = ([], [])
            end = None
        group[side].append(bound)
        end = row_order(bound.upper) if end is None else max(end, row_order(bound.upper))
    if end is not None:
        yield group


def interval_findings(table: QualifiedName, found: Iterable[Exchange]) -> Iterator[Finding]:
    """From when on the declared interval holds, where partitions ahead were made with another one."""
    by_parent: dict[QualifiedName, list[Exchange]] = {}
    for each in found:
        by_parent.setdefault(each.parent.name, []).append(each)
    for several in by_parent.values():
        ends = [
            partition.bound for each in several for partition in each.old if isinstance(partition.bound, RangeBound)
        ]
        made = f"{_number(len(ends))} before that {'was' if len(ends) == 1 else 'were'} made with another interval= or"
        yield _begins(
            table,
            several[0].parent,
            several[0].level,
            max(ends, key=lambda bound: row_order(bound.upper)),
            f"{made} timezone=",
            "wait until they are over, or replace the empty ones: sa-partman run --regrid",
        )


def current_findings(declared: DeclaredTable, found: FoundTable, context: Context) -> Iterator[Finding]:
    """From when on the declared interval holds, where the partition of now is wider, and nothing ahead is exchanged."""
    exchanged = {each.parent.name for each in exchanges(declared, found, context)}
    yield from _current(found.name, declared.level, found, context, exchanged)


def _current(
    table: QualifiedName, level: Level, parent: Parent, context: Context, exchanged: set[QualifiedName]
) -> Iterator[Finding]:
    if isinstance(level, RangeLevel) and not is_cut_above(context, level) and parent.name not in exchanged:
        here = here_of(level, parent, context)
        wide = [(each, each.bound) for each in parent.partitions if _is_ours(each) and _is_wide(each, level, here)]
        for each, bound in wide[:1]:
            assert isinstance(bound, RangeBound)
            why = f"{each.name}, the partition of now, has another width, and is used until then"
            yield _begins(table, parent, level, bound, why)
    if level.below is not None:
        for partition in parent.partitions:
            if divides(level.below, partition) and is_active(level, partition.bound, context):
                inside = descend(level, partition.bound, context)
                yield from _current(table, level.below, partition, inside, exchanged)


def _is_wide(partition: Partition, level: RangeLevel, here: Position) -> bool:
    """Whether *partition* holds *here*, and more than the interval of the grid there."""
    if not isinstance(partition.bound, RangeBound):
        return False
    lower, upper = (level.axis.decode(end[level.place]) for end in (partition.bound.lower, partition.bound.upper))
    if lower is None or upper is None or not lower <= here < upper:
        return False
    return bool(upper > level.axis.grid.cell(here).upper)


def _begins(
    table: QualifiedName, parent: Parent, level: RangeLevel, last: RangeBound, why: str, remedy: str = ""
) -> Finding:
    upper, interval = last.upper[level.place], level.spec.interval
    begins = level.axis.decode(upper)
    return Finding(
        "other-interval",
        Severity.INFO,
        str(table),
        f"{parent.name}: interval={interval if isinstance(interval, int) else str(interval)!r} begins at "
        f"{shown(upper if begins is None else begins)}: {why}",
        remedy,
    )


def _number(partitions: int) -> str:
    return f"{partitions} partition{'' if partitions == 1 else 's'}"
