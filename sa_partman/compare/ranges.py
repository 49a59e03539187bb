"""Which range bounds are missing: the grid's cells from the first one wanted to the horizon, less what is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile

from sa_partman.bounds.bound import MAXVALUE, KeyValue, RangeBound, row_order
from sa_partman.bounds.interval import Cell, Grid, Position, cells_from
from sa_partman.catalog import Parent
from sa_partman.compare.covered import covered_by, gaps_in, uncovered
from sa_partman.compare.situation import Situation
from sa_partman.compare.window import Line, There, cutoff_of, retention_in, window_of
from sa_partman.spec.axis import Axis
from sa_partman.spec.declared import RangeLevel

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


def lacking_in(
    line: Line, level: RangeLevel, parent: Parent, situation: Situation, there: There | None = None
) -> Lacking:
    """
    The bounds to create.

    Args:
        there: Of *parent*, when somebody has sorted it already.
    """
    axis, grid = level.axis, level.axis.grid
    there = There.of(level, parent) if there is None else there
    found = there.of_line(line)
    stretches = covered_by(found, axis, line.place)
    window = window_of(line, level, parent, situation, stretches)
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
    pieces = tuple(_worth_making(lacking, line, level, parent, situation))
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
