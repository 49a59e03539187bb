"""The partition map as values: siblings on one line, in key order, with the gaps between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from math import ceil

from sa_partman.bounds.interval import Position
from sa_partman.checks.status import PartitionStatus, State, TableStatus
from sa_partman.observe.totals import bytes_below, gap_between

GAP = "gap"
FIRST_SEEN = (GAP, State.CURRENT, State.PENDING, State.EXPIRED, State.AHEAD, State.KEPT)
"""Which state a cell of several partitions shows: what a reader must not miss comes first."""


@dataclass(frozen=True, slots=True)
class Cell:
    """
    One column of the map.

    Args:
        label: At most three characters; empty when the key is no time.
        state: A `State`, or `GAP`.
        bytes: Of all its partitions.
        turn: Whether a longer unit begins here: a year, a month, a day.
    """

    label: str
    state: str
    bytes: int
    turn: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """
    Siblings.

    Args:
        label: The partition that they divide, or the tenant whose they are; empty for the table's own.
        cells: In key order.
        per_cell: How many partitions a cell stands for, at most.
    """

    label: str
    cells: tuple[Cell, ...]
    per_cell: int


@dataclass(frozen=True, slots=True)
class _Piece:
    begins: Position | None
    state: str
    bytes: int


def lines_of(table: TableStatus, most: int) -> tuple[Line, ...]:
    """
    A line for each group of siblings with ranges, and for each tenant, the table's own first.

    Args:
        most: Cells on a line; more partitions than that share cells.
    """
    groups: dict[str, list[_Piece]] = {}
    last: dict[str, PartitionStatus] = {}
    path: list[str] = [""]
    for index, each in enumerate(table.partitions):
        del path[each.depth :]
        parent = path[-1] if not each.tenant else f"{path[-1]} {each.tenant}".strip()
        path.append(each.name)
        if each.lower is None or each.upper is None:
            continue
        pieces = groups.setdefault(parent, [])
        if parent in last and gap_between(last[parent], each):
            pieces.append(_Piece(last[parent].ends, GAP, 0))
        pieces.append(_Piece(each.begins, each.state.value, bytes_below(table.partitions, index)))
        last[parent] = each
    return tuple(_line(parent, pieces, most) for parent, pieces in groups.items())


def _line(label: str, pieces: Sequence[_Piece], most: int) -> Line:
    per_cell = ceil(len(pieces) / most)
    buckets = [pieces[start : start + per_cell] for start in range(0, len(pieces), per_cell)]
    starts = [_time(bucket[0].begins) for bucket in buckets]
    labels = _labels(starts)
    cells = (_cell(bucket, *label) for bucket, label in zip(buckets, labels, strict=True))
    return Line(label, tuple(cells), per_cell)


def _cell(bucket: Sequence[_Piece], label: str, turn: bool) -> Cell:
    states = {piece.state for piece in bucket}
    state = next((str(each) for each in FIRST_SEEN if each in states), bucket[0].state)
    return Cell(label, state, sum(piece.bytes for piece in bucket), turn)


def _labels(starts: Sequence[datetime | None]) -> list[tuple[str, bool]]:
    known = [start for start in starts if start is not None]
    steps = sorted((later - earlier).total_seconds() for earlier, later in pairwise(known))
    days = steps[len(steps) // 2] / 86_400 if steps else 31
    labels = []
    before: datetime | None = None
    for start in starts:
        labels.append(("", False) if start is None else _label(start, before, days))
        before = start or before
    return labels


def _label(start: datetime, before: datetime | None, days: float) -> tuple[str, bool]:
    """What of *start* differs from the cell *before*: its year, month, day or hour."""
    if days >= 300 or before is None or before.year != start.year:
        return f"'{start:%y}", True
    if days >= 27:
        return f"{start:%b}", False
    if before.month != start.month:
        return f"{start:%b}", True
    if days >= 0.99 or before.date() != start.date():
        return f"{start:%d}", days < 0.99
    return f"{start:%H}", False


def _time(position: Position | None) -> datetime | None:
    """In UTC, if it is a time."""
    if not isinstance(position, datetime):
        return None
    return position.astimezone(UTC) if position.tzinfo else position
