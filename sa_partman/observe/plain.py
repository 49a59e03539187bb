"""The status as plain text: for files, pipes, and terminals without rich."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sa_partman.checks.status import TableStatus
from sa_partman.observe.totals import about, leaves, rows_below, size_below, size_of, total_rows

COLUMNS = ("partition", "bound", "rows", "size", "state")
_RIGHT = (2, 3)


def plain(tables: Iterable[TableStatus]) -> str:
    """Every table, an empty line between two."""
    return "\n\n".join("\n".join(_table(table)) for table in tables)


def header(table: TableStatus) -> tuple[str, str]:
    """The table's name, and what it is, on one line."""
    number = len(leaves(table.partitions))
    words = (
        table.partition_by,
        f"{number} {'partition' if number == 1 else 'partitions'}",
        size_of(table.partitions),
        f"{about(total_rows(table.partitions))} rows",
    )
    return table.table, "   ".join(words)


def footer(table: TableStatus) -> str:
    """Up to where inserts are safe, and how long partitions are kept."""
    return f"{horizon(table)}retention: {table.retention}"


def horizon(table: TableStatus) -> str:
    if table.ahead is not None and table.ahead < 0:
        fate = "rows fall into the default partition" if table.spills else "inserts fail"
        return f"no partition for now: {fate}   "
    if table.horizon is None:
        return ""
    return f"horizon {short(table.horizon)}" + (f" ({table.ahead} ahead)   " if table.ahead is not None else "   ")


def short(bound: str) -> str:
    """A bound without a midnight that says nothing: ``2014-01-01``."""
    return bound.removesuffix("+00:00").removesuffix("T00:00:00")


def _table(table: TableStatus) -> Iterator[str]:
    yield "  ".join(header(table))
    yield f"  {footer(table)}"
    if table.problem:
        yield f"  ERROR: {table.problem}"
    if table.partitions:
        yield ""
        yield from _aligned([COLUMNS, *rows(table)])


def rows(table: TableStatus) -> Iterator[tuple[str, ...]]:
    """The cells of each partition, sub-partitions indented."""
    for index, each in enumerate(table.partitions):
        yield (
            "  " * (each.depth - 1) + each.name,
            each.bound,
            about(rows_below(table.partitions, index)),
            size_below(table.partitions, index),
            each.state.value,
        )


def _aligned(lines: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (
            cell.rjust(width) if place in _RIGHT else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        yield f"  {'  '.join(cells)}".rstrip()
