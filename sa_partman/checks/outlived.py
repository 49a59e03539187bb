"""Rows that are older than the retention and stay, because they share a partition with younger ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from sa_partman.catalog import Partition
from sa_partman.compare.outlived import FEW, Outlived
from sa_partman.finding import Finding, Severity
from sa_partman.names import QualifiedName


def outlived_findings(
    table: QualifiedName, partitions: Iterable[tuple[Partition, Outlived]], rows: Mapping[int, int]
) -> Iterator[Finding]:
    """
    One for all of them: nothing is wrong, and it ends by itself.

    Args:
        rows: The planner's estimates by oid, as far as it was asked.
    """
    told = [
        outlived.told(str(partition.name), rows.get(partition.oid))
        for partition, outlived in partitions
        if rows.get(partition.oid, FEW + 1) > FEW
    ]
    if told:
        yield Finding("outlived", Severity.INFO, str(table), together(told))


def together(told: Sequence[str]) -> str:
    """The first of them; how many partitions more there are of the kind."""
    more = len(told) - 1
    return told[0] + (f"; and {more} more {'partition' if more == 1 else 'partitions'} like it" if more else "")
