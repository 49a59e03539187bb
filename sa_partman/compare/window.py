"""The window of a line: where its partitions begin, where now is, and how far premake= asks for them."""

from __future__ import annotations

from dataclasses import dataclass

from sa_partman.bounds.interval import Cell, Position
from sa_partman.catalog import Parent
from sa_partman.compare.covered import Stretch
from sa_partman.compare.lines import Line, retention_in
from sa_partman.compare.reached import current_cell, cutoff_of, here_of
from sa_partman.compare.situation import Situation
from sa_partman.spec.declared import RangeLevel


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
