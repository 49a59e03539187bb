"""The status as plain text: for files, pipes, and terminals without rich."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sa_partman.checks.status import State, TableStatus
from sa_partman.observe.fold import ALL, Folded, shown
from sa_partman.observe.totals import about, leaves, rows_below, size_below, size_of, total_rows

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
