"""What of a table fits the width of a terminal: which columns stay, and when a partition takes more lines than one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

NAME, BOUND, ROWS, SIZE, STATE = range(5)
EVERY = (NAME, BOUND, ROWS, SIZE, STATE)
FEWER = ((NAME, BOUND, STATE), (NAME, SIZE, STATE), (NAME, STATE))
"""What a terminal too narrow for all gets, the first that fits."""
NARROW = 60
"""Columns of a terminal below which some are left out; from there on a partition rather takes two lines."""
BETWEEN = 2
LEAST_BAR, MOST_BAR = 4, 16


@dataclass(frozen=True, slots=True)
class Layout:
    """
    Args:
        columns: Side by side, the name first and the state last; empty: each partition takes several lines.
        bar: The width of the bar before the state; 0 without one.
        missing: How wide a terminal has them all; 0 when none is left out.
    """

    columns: tuple[int, ...]
    bar: int = 0
    missing: int = 0


def layout_of(widths: Sequence[int], width: int) -> Layout:
    """
    Args:
        widths: Of the columns, in the order of `EVERY`.
        width: What there is, without the margin.
    """
    whole = _needed(widths, EVERY)
    if whole <= width:
        bar = min(width - whole - BETWEEN, MOST_BAR)
        return Layout(EVERY, bar if bar >= LEAST_BAR else 0)
    fitting = [columns for columns in FEWER if _needed(widths, columns) <= width]
    return Layout(fitting[0], missing=whole) if fitting and width < NARROW else Layout(())


def _needed(widths: Sequence[int], columns: Sequence[int]) -> int:
    return sum(widths[place] for place in columns) + BETWEEN * (len(columns) - 1)


def flowed(lengths: Sequence[int], width: int) -> Iterator[range]:
    """Pieces of these *lengths* on lines of *width*: the places on each line; a longer piece has a line for itself."""
    start, used = 0, 0
    for place, length in enumerate(lengths):
        if place > start and used + BETWEEN + length > width:
            yield range(start, place)
            start, used = place, 0
        used += length + (BETWEEN if place > start else 0)
    if lengths:
        yield range(start, len(lengths))
