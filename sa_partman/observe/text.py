"""The status as text: what fits the width, and which view fits where it goes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sa_partman.checks.status import State, TableStatus
from sa_partman.observe.map import ALL, Folded, about, leaves, rows_below, shown, size_below, size_of, total_rows

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


COLUMNS = ("partition", "bound", "rows", "size", "state")
_RIGHT = (2, 3)


def plain(tables: Iterable[TableStatus], *, everything: bool = False) -> str:
    """
    Every table, an empty line between two.

    Args:
        everything: Every partition, however many there are.
    """
    return "\n\n".join("\n".join(_table(table, everything)) for table in tables)


def header(table: TableStatus) -> tuple[str, ...]:
    """The table's name, and what it is; a detached table is none of its partitions."""
    partitions = [each for each in table.partitions if each.state is not State.DETACHED]
    number = len(leaves(partitions))
    return (
        table.table,
        table.partition_by,
        f"{number:,} {'partition' if number == 1 else 'partitions'}",
        size_of(partitions),
        f"{about(total_rows(partitions))} rows",
    )


def footer(table: TableStatus) -> tuple[str, ...]:
    """Up to where inserts are safe, and how long partitions are kept."""
    return (*_horizon(table), f"retention: {table.retention}")


def _horizon(table: TableStatus) -> Iterator[str]:
    if table.ahead is not None and table.ahead < 0:
        yield f"no partition for now: {'rows fall into the default partition' if table.spills else 'inserts fail'}"
    elif table.until is not None:
        yield f"horizon {table.until}" + (f" ({table.ahead} ahead)" if table.ahead is not None else "")


def _table(table: TableStatus, everything: bool) -> Iterator[str]:
    name, *words = header(table)
    yield f"{name}  {'   '.join(words)}"
    yield f"  {'   '.join(footer(table))}"
    if table.problem:
        yield f"  ERROR: {table.problem}"
    yield from (f"  {said}" for said in (table.information, table.lingering) if said)
    if table.partitions:
        yield ""
        lines = rows(table, everything=everything)
        yield from _aligned([COLUMNS, *lines])
        if any(isinstance(line, Folded) for line in lines):
            yield f"  ({ALL})"


def rows(table: TableStatus, *, everything: bool) -> list[tuple[str, ...] | Folded]:
    """The cells of each partition that is shown, sub-partitions indented; and what is left out between them."""
    places = shown(table.partitions, everything=everything)
    return [place if isinstance(place, Folded) else row(table, place) for place in places]


def row(table: TableStatus, place: int) -> tuple[str, ...]:
    """The cells of the partition at *place*."""
    each = table.partitions[place]
    return (
        "  " * (each.depth - 1) + each.name,
        each.shown,
        about(rows_below(table.partitions, place)),
        size_below(table.partitions, place),
        each.state.value,
    )


def _aligned(lines: Sequence[tuple[str, ...] | Folded]) -> Iterator[str]:
    whole = [line for line in lines if not isinstance(line, Folded)]
    widths = [max(len(cell) for cell in column) for column in zip(*whole, strict=True)]
    for line in lines:
        if isinstance(line, Folded):
            yield f"  {line}"
            continue
        cells = (
            cell.rjust(width) if place in _RIGHT else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        yield f"  {'  '.join(cells)}".rstrip()


HINT = "For a map of the partitions: pip install 'sa-partman[cli]'"


@dataclass(frozen=True, slots=True)
class StatusView:
    """
    Args:
        text: To print; empty when it is printed already.
        hints: For stderr.
    """

    text: str
    hints: tuple[str, ...] = ()


def view_of(tables: Sequence[TableStatus], *, no_color: bool = False, everything: bool = False) -> StatusView:
    """
    Draws on a terminal, when rich is installed; a plain table elsewhere. FORCE_COLOR makes anything a terminal.

    Args:
        no_color: The drawing without colours.
        everything: Every partition, however many there are.
    """
    if not tables:
        return StatusView("No table is declared as partitioned.")
    if not (sys.stdout.isatty() or os.environ.get("FORCE_COLOR")):
        return StatusView(plain(tables, everything=everything))
    try:
        from rich.console import Console

        from sa_partman.observe.terminal import show
    except ModuleNotFoundError:
        return StatusView(plain(tables, everything=everything), (HINT,))
    console = Console(no_color=no_color or None)
    with console.capture() as capture:
        show(tables, console, everything=everything)
    return StatusView(capture.get().rstrip("\n"))
