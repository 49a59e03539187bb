"""Sums over partitions, and numbers as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10

from sa_partman.checks.status import PartitionStatus

UNITS = ("B", "kB", "MB", "GB", "TB")


def leaves(partitions: Sequence[PartitionStatus]) -> tuple[PartitionStatus, ...]:
    """Those without sub-partitions: the next one in order is not deeper."""
    following = [each.depth for each in partitions[1:]] + [0]
    return tuple(each for each, depth in zip(partitions, following, strict=False) if depth <= each.depth)


def bytes_below(partitions: Sequence[PartitionStatus], index: int) -> int:
    """Of the partition at *index* and all its sub-partitions, as far as anybody knows."""
    return sum(each.bytes or 0 for each in _branch(partitions, index))


def rows_below(partitions: Sequence[PartitionStatus], index: int) -> int | None:
    """Estimated, of all leaves of the partition at *index*; None when none of them was analyzed."""
    return total_rows(_branch(partitions, index))


def total_rows(partitions: Sequence[PartitionStatus]) -> int | None:
    """Estimated; None when no leaf was ever analyzed."""
    known = [each.rows for each in leaves(partitions) if each.rows is not None]
    return sum(known) if known else None


def _branch(partitions: Sequence[PartitionStatus], index: int) -> Sequence[PartitionStatus]:
    end = index + 1
    while end < len(partitions) and partitions[end].depth > partitions[index].depth:
        end += 1
    return partitions[index:end]


def gap_between(earlier: PartitionStatus, later: PartitionStatus) -> bool:
    """Whether a range lacks between two siblings; one instant may be written in two ways, as other tools do."""
    if earlier.upper == later.lower or earlier.tenant != later.tenant:
        return False
    return earlier.ends is None or earlier.ends != later.begins


def size(number: float) -> str:
    """``13.9 MB``: decimal units, as PostgreSQL's users read them in most tools."""
    if number < 1000:
        return f"{number:.0f} B"
    place = min(int(log10(number)) // 3, len(UNITS) - 1)
    return f"{number / 1000**place:.1f} {UNITS[place]}"


def size_of(partitions: Sequence[PartitionStatus]) -> str:
    """Of all of them whose size is known; ``?`` where it is of none."""
    known = [each.bytes for each in leaves(partitions) if each.bytes is not None]
    return size(sum(known)) if known or not partitions else "?"


def size_below(partitions: Sequence[PartitionStatus], index: int) -> str:
    """`size_of` the partition at *index* with all its sub-partitions."""
    return size_of(_branch(partitions, index))


def about(rows: int | None) -> str:
    """``~336,776``: the planner's estimate; ``?`` before the first ANALYZE."""
    return "?" if rows is None else f"~{rows:,}"
