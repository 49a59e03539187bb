"""Which range bounds are missing: the grid's cells from the first one wanted to the horizon, less what is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sa_partman.bounds.bound import RangeBound
from sa_partman.bounds.grid import Cell, Position
from sa_partman.bounds.values import MINVALUE, Extreme, KeyValue, row_order
from sa_partman.catalog import Parent
from sa_partman.compare.covered import Covered, cells_outside, covered_by
from sa_partman.compare.situation import Situation
from sa_partman.spec.axis import TimeAxis
from sa_partman.spec.declared import RangeLevel
from sa_partman.spec.retention import Retention, retention_of

PAST_LIMIT = 1_000
"""Missing partitions before the current one that one plan makes for a line; the next run makes more."""


@dataclass(frozen=True, slots=True)
class Line:
    """
    One endless line of cells: the whole table, or one tenant's part of it.

    Args:
        prefix: The tenant's value, or nothing.
        place: Which key column the interval cuts.
        width: How many columns the key has.
    """

    prefix: tuple[KeyValue, ...]
    place: int
    width: int

    def bound(self, lower: KeyValue, upper: KeyValue) -> RangeBound:
        rest = (MINVALUE,) * (self.width - self.place - 1)
        return RangeBound((*self.prefix, lower, *rest), (*self.prefix, upper, *rest))


def lines_of(level: RangeLevel, parent: Parent, situation: Situation) -> tuple[Line, ...]:
    """One line, or one per tenant; where tenants are made at run time only, one per tenant that is there."""
    spec = level.spec
    width = len(level.key.parts)
    if spec.tenants is None:
        return (Line((), 0, width),)
    labelled = spec.tenants.labelled if spec.tenants.literal else situation.tenants.get(level.depth, ())
    values = dict.fromkeys(value for _, each in labelled for value in each)
    if spec.tenants.at_run_time:
        found = (line_of(level, each.bound) for each in parent.partitions if isinstance(each.bound, RangeBound))
        values.update(dict.fromkeys(line.prefix[0] for line in found if line))
    values.update(dict.fromkeys(path[0] for path in situation.paths))
    return tuple(Line((value,), 1, width) for value in values)


def line_of(level: RangeLevel, bound: RangeBound) -> Line | None:
    """The line that *bound* lies in; None when it spans several tenants."""
    spec = level.spec
    if spec.tenants is None:
        return Line((), 0, len(bound.lower))
    one = bound.lower[0] == bound.upper[0] and not isinstance(bound.lower[0], Extreme)
    return Line(bound.lower[:1], 1, len(bound.lower)) if one else None


@dataclass(frozen=True, slots=True)
class There:
    """
    The bounds that a parent has, sorted once for all of its lines.

    Args:
        inside: Those that lie in one line from end to end, by its prefix.
        across: Those that span several.
    """

    inside: Mapping[tuple[KeyValue, ...], list[RangeBound]]
    across: list[RangeBound]

    @classmethod
    def of(cls, level: RangeLevel, parent: Parent) -> There:
        inside: dict[tuple[KeyValue, ...], list[RangeBound]] = {}
        across: list[RangeBound] = []
        place = level.place
        for partition in parent.partitions:
            bound = partition.bound
            if isinstance(bound, RangeBound):
                prefix = bound.lower[:place]
                (inside.setdefault(prefix, []) if prefix == bound.upper[:place] else across).append(bound)
        return cls(inside, across)


def missing_in(
    line: Line, level: RangeLevel, parent: Parent, situation: Situation, there: There | None = None
) -> tuple[RangeBound, ...]:
    """
    The bounds to create, the most urgent first: from the current one on, then backwards into the past.

    Args:
        there: Of *parent*, when somebody has sorted it already.
    """
    axis = level.axis
    there = There.of(level, parent) if there is None else there
    inside = there.inside.get(line.prefix, [])
    current = current_cell(level, parent, situation)
    covered = covered_by(inside, axis, line.place)
    first, horizon = _window(line, level, parent, situation, current, covered)
    cells = cells_outside(axis.grid, first, horizon, covered.stretches)
    clipped = (_clip(cell, situation, level) for cell in cells)
    ends = ((axis.encode(cell.lower), axis.encode(cell.upper)) for cell in clipped if cell)
    # Beyond the largest number of the key's type both ends are open.
    wanted = [line.bound(lower, upper) for lower, upper in ends if lower != upper]
    if not wanted:
        return ()
    lacking = uncovered(wanted, [*inside, *there.across])
    pieces = tuple(_worth_making(_whole(lacking, line, level), line, level, parent, situation))
    start = row_order(line.bound(axis.encode(current.lower), axis.encode(current.upper)).lower)
    past = [piece for piece in pieces if row_order(piece.lower) < start]
    return (*(piece for piece in pieces if row_order(piece.lower) >= start), *reversed(past[-PAST_LIMIT:]))


def _whole(pieces: Iterable[RangeBound], line: Line, level: RangeLevel) -> Iterator[RangeBound]:
    """
    *pieces* without slivers that begin and end at one position: other tools write the bound of a UUIDv7 or ULID in
    another way. A sliver is made part of the piece that follows it; no key of the codec lies in a lone one.
    """
    decode, sliver = level.axis.decode, None
    for piece in pieces:
        if sliver is not None and sliver.upper == piece.lower:
            piece = RangeBound(sliver.lower, piece.upper)
        ends = decode(piece.lower[line.place]), decode(piece.upper[line.place])
        sliver = piece if ends[0] is not None and ends[0] == ends[1] else None
        if sliver is None:
            yield piece


def _worth_making(
    pieces: Iterable[RangeBound], line: Line, level: RangeLevel, parent: Parent, situation: Situation
) -> Iterator[RangeBound]:
    """Those of *pieces* that would not be expired as soon as they are made."""
    retention = retention_in(line, level, situation)
    if retention is None:
        yield from pieces
        return
    cutoff = cutoff_of(retention, level, parent, situation)
    for piece in pieces:
        upper = level.axis.decode(piece.upper[line.place])
        if upper is None or upper > cutoff:
            yield piece


def _clip(cell: Cell, situation: Situation, level: RangeLevel) -> Cell | None:
    """*cell* inside the range partition above, when that one is cut by the same column."""
    limits = _limits(situation, level)
    if limits is None:
        return cell
    lower, upper = max(cell.lower, limits[0]), min(cell.upper, limits[1])
    return Cell(lower, upper) if lower < upper else None


def _limits(situation: Situation, level: RangeLevel) -> tuple[Position, Position] | None:
    spec = level.spec
    if situation.within is None or situation.within[0] != spec.ranged:
        return None
    return situation.within[1], situation.within[2]


def current_cell(level: RangeLevel, parent: Parent, situation: Situation) -> Cell:
    """The cell that holds now; for integers the highest value present, or else the start."""
    axis, spec = level.axis, level.spec
    if isinstance(axis, TimeAxis):
        return axis.grid.cell(axis.position(situation.now))
    highest = situation.highest.get(parent.oid)
    return axis.grid.cell(highest if highest is not None else axis.parse(spec.start or 0))


def cutoff_of(retention: Retention, level: RangeLevel, parent: Parent, situation: Situation) -> Position:
    """Partitions whose upper bound is at or before this are expired."""
    axis = level.axis
    if isinstance(retention.keep, int):
        lower = _surely_reached(level, parent, current_cell(level, parent, situation), situation)
        for _ in range(retention.keep):
            lower = axis.grid.before(lower).lower
        return lower
    assert isinstance(axis, TimeAxis)
    return axis.back(axis.position(situation.now), retention.keep)


def _surely_reached(level: RangeLevel, parent: Parent, current: Cell, situation: Situation) -> Position:
    """
    Where the keys have come to for certain. Without an index on the key the end of the last partition with rows stands
    for the highest one; of a partition that is wider than an interval only the beginning tells what is long ago.
    """
    highest = situation.highest.get(parent.oid)
    if isinstance(level.axis, TimeAxis) or highest is None:
        return current.lower
    for each in parent.partitions:
        if isinstance(each.bound, RangeBound) and each.bound.upper[level.place] == highest + 1:
            lower = level.axis.decode(each.bound.lower[level.place])
            if lower is not None:
                return min(current.lower, level.axis.grid.cell(lower).lower)
    return current.lower


def retention_in(line: Line, level: RangeLevel, situation: Situation) -> Retention | None:
    spec = level.spec
    return retention_of(spec.retention, tenant_of(line, situation))


def tenant_of(line: Line, situation: Situation) -> object:
    """What a retention per tenant is looked up by: the tenant's value, or the nearest list partition's one value."""
    if line.prefix:
        return line.prefix[0]
    if not situation.branch:
        return None
    values = situation.branch[-1]
    return values[0] if len(values) == 1 else values


def _window(
    line: Line, level: RangeLevel, parent: Parent, situation: Situation, current: Cell, covered: Covered
) -> tuple[Position, Position]:
    """The first position wanted, and the horizon."""
    axis, spec = level.axis, level.spec
    limits = _limits(situation, level)
    if limits is not None:
        return limits
    horizon = current.upper
    for _ in range(spec.premake):
        horizon = axis.grid.cell(horizon).upper
    starts = [current.lower]
    if spec.start is not None:
        starts.append(axis.parse(spec.start))
    starts.extend(_known_starts(line, level, covered))
    first = min(starts)
    retention = retention_in(line, level, situation)
    if retention is not None:
        first = max(first, min(cutoff_of(retention, level, parent, situation), current.lower))
    return first, horizon


def _known_starts(line: Line, level: RangeLevel, covered: Covered) -> Iterator[Position]:
    """Where the partitions of *line* begin; the end of one that has no beginning."""
    yield from (lower for lower, _ in covered.stretches[:1])
    for bound in covered.others:
        for value in (bound.lower[line.place], bound.upper[line.place]):
            position = level.axis.decode(value)
            if position is not None:
                yield position
                break


def uncovered(wanted: Iterable[RangeBound], found: Iterable[RangeBound]) -> Iterator[RangeBound]:
    """
    What of each bound of *wanted* no bound of *found* covers, whatever their widths.

    Args:
        wanted: Ascending, without overlap.
        found: Without overlap, in any order.
    """
    ascending = tuple(wanted)
    if not ascending:
        return
    start = row_order(ascending[0].lower)
    ahead_of_it = ((row_order(each.lower), upper, each) for each in found if (upper := row_order(each.upper)) > start)
    blocks = sorted(ahead_of_it, key=lambda block: block[0])
    index = 0
    for bound in ascending:
        cursor, here, end = bound.lower, row_order(bound.lower), row_order(bound.upper)
        while index < len(blocks) and blocks[index][1] <= here:
            index += 1
        ahead = index
        while ahead < len(blocks) and blocks[ahead][0] < end:
            lower, upper, block = blocks[ahead]
            if here < lower:
                yield RangeBound(cursor, block.lower)
            if upper > here:
                cursor, here = block.upper, upper
            ahead += 1
        if here < end:
            yield RangeBound(cursor, bound.upper)
