"""Partitions that we did not make and that nobody has handed over."""

from __future__ import annotations

from sa_partman.catalog import Partition
from sa_partman.marks import is_foreign

HAND_OVER = (
    "hand them over, once: sa-partman run --adopt (also what sa-partman 0.1.0 made, which has no mark); or declare "
    "Retention(..., foreign=True), or foreign=False to keep them for good"
)


def has_foreign(partition: Partition) -> bool:
    """
    Whether we did not make *partition*, or something below it that would go with it; of foreign tables, which nobody
    makes but the user, `Retention` says something else.
    """
    return any(is_foreign(each.comment) for each in partition.walk() if each.kind != "f")
