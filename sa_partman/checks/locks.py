"""Sheer numbers: queries that lock every partition, against the server's one lock table for all sessions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sa_partman.catalog import FoundTable
from sa_partman.checks.data import LockTable, TableFacts
from sa_partman.checks.places import Place
from sa_partman.compare.lines import lines_of
from sa_partman.finding import Finding, Severity
from sa_partman.spec.declared import RangeLevel

SHARE = 0.5
"""Of the lock table; the rest is for everybody else."""
PREMAKE = 5_000
"""Future partitions of one table from which on every query without the key is slow, for nothing."""


def lock_findings(
    found: FoundTable, places: Sequence[Place], facts: TableFacts, lock_table: LockTable | None
) -> Iterator[Finding]:
    """
    Args:
        lock_table: None: unknown.
    """
    yield from _premake(found, places)
    if lock_table is None:
        return
    relations = 1 + sum(1 for _ in found.walk())
    locks = relations * (1 + facts.indexes)
    if locks > SHARE * lock_table.size:
        enough = round(locks / SHARE / lock_table.transactions + 0.5)
        yield Finding(
            "lock-budget",
            Severity.WARNING,
            str(found.name),
            f"a query without the key, or DROP TABLE, takes {locks:,} locks ({relations:,} relations, each with "
            f"{facts.indexes} indexes), and the lock table of all sessions holds {lock_table.size:,}",
            f"ALTER SYSTEM SET max_locks_per_transaction = {enough}, and restart; or have fewer partitions",
        )


def _premake(found: FoundTable, places: Sequence[Place]) -> Iterator[Finding]:
    ahead = sum(
        level.spec.premake * len(lines_of(level, parent, situation))
        for level, parent, situation in places
        if isinstance(level, RangeLevel)
    )
    if ahead > PREMAKE:
        yield Finding(
            "premake",
            Severity.WARNING,
            str(found.name),
            f"premake= keeps {ahead:,} future partitions ready; a query without the key looks into each",
            "choose a smaller premake=, or a longer interval",
        )
