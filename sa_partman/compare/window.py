"""
Where a range level has to have partitions: its lines, one a tenant; the cell of now; the horizon; and which bounds
are missing there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile

from sa_partman.bounds.bound import (
    MAXVALUE,
    MINVALUE,
    Bound,
    Extreme,
    KeyValue,
    ListBound,
    RangeBound,
    order_key,
    row_order,
)
from sa_partman.bounds.interval import Cell, Grid, Position, cells_from
from sa_partman.catalog import Parent
from sa_partman.compare.context import Context
from sa_partman.compare.covered import Stretch, covered_by, gaps_in, uncovered
from sa_partman.compare.lists import is_active, is_label
from sa_partman.errors import DeclarationError
from sa_partman.spec.declared import Axis, Level, ListLevel, RangeLevel, TimeAxis
from sa_partman.spec.range_spec import Retention, retention_of


def current_cell(level: RangeLevel, parent: Parent, context: Context) -> Cell:
    """The cell that holds now; for integers the highest value present, or else the start."""
    axis, spec = level.axis, level.spec
    if isinstance(axis, TimeAxis):
        return axis.grid.cell(axis.position(context.now))
    highest = context.highest.get(parent.oid)
    return axis.grid.cell(highest if highest is not None else axis.parse(spec.start or 0))


def here_of(level: RangeLevel, parent: Parent, context: Context) -> Position:
    """Now; for integers the highest value present, or else where the current cell begins."""
    if isinstance(level.axis, TimeAxis):
        return level.axis.position(context.now)
    return context.highest.get(parent.oid, current_cell(level, parent, context).lower)


def cutoff_of(retention: Retention, level: RangeLevel, parent: Parent, context: Context) -> Position:
    """Partitions whose upper bound is at or before this are expired."""
    axis = level.axis
    if isinstance(retention.keep, int):
        lower = _surely_reached(level, parent, current_cell(level, parent, context), context)
        return axis.grid.back(lower, retention.keep)
    assert isinstance(axis, TimeAxis)
    return axis.back(axis.position(context.now), retention.keep)


def _surely_reached(level: RangeLevel, parent: Parent, current: Cell, context: Context) -> Position:
    """
    Where the keys have come to for certain. Without an index on the key the end of the last partition with rows stands
    for the highest one; of a partition that is wider than an interval only the beginning tells what is long ago.
    """
    highest = context.highest.get(parent.oid)
    if isinstance(level.axis, TimeAxis) or highest is None:
        return current.lower
    for each in parent.partitions:
        if isinstance(each.bound, RangeBound) and each.bound.upper[level.place] == highest + 1:
            lower = level.axis.decode(each.bound.lower[level.place])
            if lower is not None:
                return min(current.lower, level.axis.grid.cell(lower).lower)
    return current.lower


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


def lines_of(level: RangeLevel, parent: Parent, context: Context) -> tuple[Line, ...]:
    """One line, or one per tenant; where tenants are made at run time only, one per tenant that is there."""
    spec = level.spec
    width = len(level.key.parts)
    if spec.tenants is None:
        return (Line((), 0, width),)
    labelled = spec.tenants.labelled if spec.tenants.literal else context.tenants.get(level.depth, ())
    values = dict.fromkeys(value for _, each in labelled for value in each)
    if spec.tenants.at_run_time:
        found = (line_of(level, each.bound) for each in parent.partitions if isinstance(each.bound, RangeBound))
        values.update(dict.fromkeys(line.prefix[0] for line in found if line))
    values.update(dict.fromkeys(path[0] for path in context.paths))
    return tuple(Line((value,), 1, width) for value in values if is_label(level, value, context))


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

    def of_line(self, line: Line) -> list[RangeBound]:
        """The bounds that *line* has, or parts of them."""
        inside = self.inside.get(line.prefix, [])
        return [*inside, *(part for bound in self.across if (part := _part(bound, line)))] if self.across else inside


def _part(bound: RangeBound, line: Line) -> RangeBound | None:
    """What of *bound*, which spans several lines, lies in *line*."""
    tenant = order_key(line.prefix[0])
    lower, upper = order_key(bound.lower[0]), order_key(bound.upper[0])
    if not lower <= tenant <= upper:
        return None
    whole = line.bound(MINVALUE, MAXVALUE)
    part = RangeBound(bound.lower if lower == tenant else whole.lower, bound.upper if upper == tenant else whole.upper)
    return part if row_order(part.lower) < row_order(part.upper) else None


def retention_in(line: Line, level: RangeLevel, context: Context) -> Retention | None:
    spec = level.spec
    return retention_of(spec.retention, tenant_of(line, context))


def tenant_of(line: Line, context: Context) -> object:
    """What a retention per tenant is looked up by: the tenant's value, or the nearest list partition's one value."""
    if line.prefix:
        return line.prefix[0]
    if not context.branch:
        return None
    values = context.branch[-1]
    return values[0] if len(values) == 1 else values


@dataclass(frozen=True, slots=True)
class Window:
    """
    What of an endless line is wanted: ``first <= position < last``.

    Args:
        here: Where the current cell begins.
        near: The end of what premake= asks for.
    """

    first: Position
    here: Position
    near: Position
    last: Position

    def clipped(self, cell: Cell) -> Cell:
        return Cell(max(cell.lower, self.first), min(cell.upper, self.last))


def window_of(
    line: Line, level: RangeLevel, parent: Parent, context: Context, stretches: tuple[Stretch, ...]
) -> Window:
    """
    Args:
        stretches: What of *line* is covered, ascending.
    """
    current = current_cell(level, parent, context)
    near = current.upper
    for _ in range(level.spec.premake):
        near = level.axis.grid.cell(near).upper
    limits = _limits(context, level)
    if limits is not None:
        first, last = limits
        return Window(first, max(first, min(current.lower, last)), max(first, min(near, last)), last)
    return Window(_first(line, level, parent, context, stretches), current.lower, near, near)


def _first(line: Line, level: RangeLevel, parent: Parent, context: Context, stretches: tuple[Stretch, ...]) -> Position:
    """
    Where the partitions of *line* begin, when that is early enough: what lies before them has never been wanted,
    however the interval has changed since. Else where the cell of now, or of start=, begins.
    """
    grid, current = level.axis.grid, current_cell(level, parent, context).lower
    here, start = here_of(level, parent, context), level.spec.start
    wanted = here if start is None else min(here, level.axis.parse(start))
    # What has no beginning begins, for us, where it ends: nothing before that is missing.
    oldest = next((upper if lower is None else lower for lower, upper in stretches[:1]), None)
    first = grid.cell(wanted).lower if oldest is None or oldest > wanted else oldest
    retention = retention_in(line, level, context)
    if retention is None:
        return first
    return max(first, grid.cell(min(cutoff_of(retention, level, parent, context), current)).lower)


def is_cut_above(context: Context, level: RangeLevel) -> bool:
    """Whether the range partition above is cut by the same column."""
    return _limits(context, level) is not None


def _limits(context: Context, level: RangeLevel) -> tuple[Position, Position] | None:
    spec = level.spec
    if context.within is None or context.within[0] != spec.ranged:
        return None
    return context.within[1], context.within[2]


def is_listed(level: Level, parent: Parent, bound: Bound, context: Context) -> bool:
    """Whether the declaration, or what it asks for its tenants, names the tenant of *bound*."""
    if isinstance(level, ListLevel):
        return not level.spec.values.at_run_time and is_active(level, bound, context)
    if isinstance(level, RangeLevel) and level.spec.tenants is not None and isinstance(bound, RangeBound):
        return not level.spec.tenants.at_run_time and line_of(level, bound) in lines_of(level, parent, context)
    return False


def retention_of_branch(level: Level, bound: Bound) -> Retention | None:
    """
    What is declared for what lies in *bound*; None where nothing is, or where it differs from one to the other below.
    """
    here: Level | None = level
    while here is not None and not (isinstance(here, RangeLevel) and here.spec.retention is not None):
        here = here.below
    if not isinstance(here, RangeLevel):
        return None
    rule = here.spec.retention
    if isinstance(rule, Retention):
        return rule
    if here is level and isinstance(bound, RangeBound):
        tenant: object = bound.lower[0]
    elif here is level.below and here.spec.tenants is None and isinstance(bound, ListBound):
        values = tuple(bound.values)
        tenant = values[0] if len(values) == 1 else values
    else:
        return None
    try:
        return retention_of(rule, tenant)
    except DeclarationError:
        return None  # a callable need not know whom the tenants' source has forgotten


MOST = 10_000
"""Partitions that are made for one line beside those that premake= asks for; a range that needs more is a finding."""


@dataclass(frozen=True, slots=True)
class TooWide:
    """
    A range that nobody should fill.

    Args:
        bound: Of the range.
        cells: How many partitions it would take.
    """

    bound: RangeBound
    cells: int


@dataclass(frozen=True, slots=True)
class Lacking:
    """
    What a line lacks.

    Args:
        ahead: From the current interval on, ascending.
        past: Before it, the latest first.
        too_wide: What takes too many partitions.
    """

    ahead: tuple[RangeBound, ...] = ()
    past: tuple[RangeBound, ...] = ()
    too_wide: tuple[TooWide, ...] = ()


def lacking_in(line: Line, level: RangeLevel, parent: Parent, context: Context, there: There | None = None) -> Lacking:
    """
    The bounds to create.

    Args:
        there: Of *parent*, when somebody has sorted it already.
    """
    axis, grid = level.axis, level.axis.grid
    there = There.of(level, parent) if there is None else there
    found = there.of_line(line)
    stretches = covered_by(found, axis, line.place)
    window = window_of(line, level, parent, context, stretches)
    near = gaps_in(max(window.first, window.here), window.near, stretches)
    past = reversed(tuple(gaps_in(window.first, min(window.here, window.last), stretches)))
    beyond = gaps_in(max(window.first, window.near), window.last, stretches)
    cells = dict.fromkeys(cell for gap in near for cell in _cells(grid, gap))
    left = MOST
    too_wide: list[TooWide] = []
    for gap in (*past, *beyond):
        number = grid.count(*gap)
        if number > left:
            too_wide += _wide(gap, number, line, level, found)
        else:
            left -= number
            cells |= dict.fromkeys(_cells(grid, gap))
    if not cells:
        return Lacking(too_wide=tuple(too_wide))
    clipped = (window.clipped(cell) for cell in sorted(cells, key=lambda cell: cell.lower))
    ends = ((axis.encode(cell.lower), axis.encode(cell.upper)) for cell in clipped)
    # Beyond the largest number of the key's type both ends are open.
    wanted = (line.bound(lower, upper) for lower, upper in ends if lower != upper)
    lacking = _whole(uncovered(wanted, found), line, level)
    pieces = tuple(_worth_making(lacking, line, level, parent, context))
    start = row_order(line.bound(axis.encode(window.here), MAXVALUE).lower)
    ahead = tuple(piece for piece in pieces if row_order(piece.lower) >= start)
    return Lacking(ahead, tuple(reversed(pieces[: len(pieces) - len(ahead)])), tuple(too_wide))


def clipped_cells(axis: Axis, first: Position, last: Position) -> Iterator[tuple[KeyValue, KeyValue]]:
    """The ends of the cells from *first*, which may be inside one, to the end of the one before *last*; as values."""
    for cell in _cells(axis.grid, (first, last)):
        yield axis.encode(max(cell.lower, first)), axis.encode(cell.upper)


def _cells(grid: Grid, gap: tuple[Position, Position]) -> Iterator[Cell]:
    """Those that have a part in *gap*."""
    return takewhile(lambda cell: cell.lower < gap[1], cells_from(grid, gap[0]))


def _wide(
    gap: tuple[Position, Position], number: int, line: Line, level: RangeLevel, found: list[RangeBound]
) -> Iterator[TooWide]:
    lower, upper = (level.axis.encode(position) for position in gap)
    pieces = uncovered([line.bound(lower, upper)], found) if lower != upper else ()
    return (TooWide(piece, number) for piece in _whole(pieces, line, level))


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
    pieces: Iterable[RangeBound], line: Line, level: RangeLevel, parent: Parent, context: Context
) -> Iterator[RangeBound]:
    """Those of *pieces* that would not be expired as soon as they are made."""
    retention = retention_in(line, level, context)
    if retention is None:
        yield from pieces
        return
    cutoff = cutoff_of(retention, level, parent, context)
    for piece in pieces:
        upper = level.axis.decode(piece.upper[line.place])
        if upper is None or upper > cutoff:
            yield piece
