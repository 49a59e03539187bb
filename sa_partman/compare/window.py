"""
Where a range level has to have partitions: its lines, one a tenant; the cell of now; how far premake= asks for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
from sa_partman.bounds.interval import Cell, Position
from sa_partman.catalog import Parent
from sa_partman.compare.covered import Stretch
from sa_partman.compare.lists import is_active, is_label
from sa_partman.compare.situation import Situation
from sa_partman.errors import DeclarationError
from sa_partman.spec.axis import TimeAxis
from sa_partman.spec.declared import Level, ListLevel, RangeLevel
from sa_partman.spec.range_spec import Retention, retention_of


def current_cell(level: RangeLevel, parent: Parent, situation: Situation) -> Cell:
    """The cell that holds now; for integers the highest value present, or else the start."""
    axis, spec = level.axis, level.spec
    if isinstance(axis, TimeAxis):
        return axis.grid.cell(axis.position(situation.now))
    highest = situation.highest.get(parent.oid)
    return axis.grid.cell(highest if highest is not None else axis.parse(spec.start or 0))


def here_of(level: RangeLevel, parent: Parent, situation: Situation) -> Position:
    """Now; for integers the highest value present, or else where the current cell begins."""
    if isinstance(level.axis, TimeAxis):
        return level.axis.position(situation.now)
    return situation.highest.get(parent.oid, current_cell(level, parent, situation).lower)


def cutoff_of(retention: Retention, level: RangeLevel, parent: Parent, situation: Situation) -> Position:
    """Partitions whose upper bound is at or before this are expired."""
    axis = level.axis
    if isinstance(retention.keep, int):
        lower = _surely_reached(level, parent, current_cell(level, parent, situation), situation)
        return axis.grid.back(lower, retention.keep)
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
    return tuple(Line((value,), 1, width) for value in values if is_label(level, value, situation))


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
    line: Line, level: RangeLevel, parent: Parent, situation: Situation, stretches: tuple[Stretch, ...]
) -> Window:
    """
    Args:
        stretches: What of *line* is covered, ascending.
    """
    current = current_cell(level, parent, situation)
    near = current.upper
    for _ in range(level.spec.premake):
        near = level.axis.grid.cell(near).upper
    limits = _limits(situation, level)
    if limits is not None:
        first, last = limits
        return Window(first, max(first, min(current.lower, last)), max(first, min(near, last)), last)
    return Window(_first(line, level, parent, situation, stretches), current.lower, near, near)


def _first(
    line: Line, level: RangeLevel, parent: Parent, situation: Situation, stretches: tuple[Stretch, ...]
) -> Position:
    """
    Where the partitions of *line* begin, when that is early enough: what lies before them has never been wanted,
    however the interval has changed since. Else where the cell of now, or of start=, begins.
    """
    grid, current = level.axis.grid, current_cell(level, parent, situation).lower
    here, start = here_of(level, parent, situation), level.spec.start
    wanted = here if start is None else min(here, level.axis.parse(start))
    # What has no beginning begins, for us, where it ends: nothing before that is missing.
    oldest = next((upper if lower is None else lower for lower, upper in stretches[:1]), None)
    first = grid.cell(wanted).lower if oldest is None or oldest > wanted else oldest
    retention = retention_in(line, level, situation)
    if retention is None:
        return first
    return max(first, grid.cell(min(cutoff_of(retention, level, parent, situation), current)).lower)


def is_cut_above(situation: Situation, level: RangeLevel) -> bool:
    """Whether the range partition above is cut by the same column."""
    return _limits(situation, level) is not None


def _limits(situation: Situation, level: RangeLevel) -> tuple[Position, Position] | None:
    spec = level.spec
    if situation.within is None or situation.within[0] != spec.ranged:
        return None
    return situation.within[1], situation.within[2]


def is_listed(level: Level, parent: Parent, bound: Bound, situation: Situation) -> bool:
    """Whether the declaration, or what it asks for its tenants, names the tenant of *bound*."""
    if isinstance(level, ListLevel):
        return not level.spec.values.at_run_time and is_active(level, bound, situation)
    if isinstance(level, RangeLevel) and level.spec.tenants is not None and isinstance(bound, RangeBound):
        return not level.spec.tenants.at_run_time and line_of(level, bound) in lines_of(level, parent, situation)
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
