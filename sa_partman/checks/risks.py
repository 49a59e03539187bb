"""
Risks that no row shows yet: NULL keys, locks of too many partitions, nobody who maintains, dumps that can't be
restored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import timedelta

from sa_partman.bounds.bound import ListBound
from sa_partman.catalog import FoundTable, Parent, default_of
from sa_partman.checks.coverage import Divided, Runway, days
from sa_partman.checks.rows import ByPartition, LastRuns, LockTable, TableFacts
from sa_partman.compare.window import lines_of
from sa_partman.finding import Finding, Severity
from sa_partman.names import quote
from sa_partman.spec.declared import DeclaredTable, HashLevel, RangeLevel, TimeAxis


def risk_findings(
    found: FoundTable, places: Sequence[Divided], runways: Iterable[Runway], facts: TableFacts
) -> Iterator[Finding]:
    """What no row shows yet, and some row will."""
    if facts.nullable:
        yield from _nulls(found, places, facts)
    # What is UNLOGGED is not sent.
    if facts.by_partition is not None and not any(level.spec.unlogged for level, _, _ in places):
        yield _by_partition(found, facts.by_partition)
    for runway in runways:
        if runway.last is not None and runway.ahead > 0 and runway.last.name in facts.written:
            yield Finding(
                "rows-near-end",
                Severity.WARNING,
                str(found.name),
                f"{runway.last.name}, the last partition before {runway.until}, has been written to already; "
                f"what comes behind it {_fate(found)}",
                "raise premake= in the declaration, or find out what writes keys in the future",
            )


def _by_partition(found: FoundTable, sent: ByPartition) -> Finding:
    names = ", ".join(sent.publications)
    return Finding(
        "published-by-partition",
        Severity.WARNING if sent.subscribed else Severity.INFO,
        str(found.name),
        f"publication {names} sends rows by the names of their partitions: a row of a partition that a subscriber "
        f"does not have stops its replication, and rows of one that it has not refreshed are skipped",
        "after each run that creates partitions, at each subscriber: sa-partman run --yes --url SUBSCRIBER, then "
        "ALTER SUBSCRIPTION ... REFRESH PUBLICATION. Or send rows by the name of the table: docs/reliability.md, "
        "Replication",
    )


def _nulls(found: FoundTable, places: Iterable[Divided], facts: TableFacts) -> Iterator[Finding]:
    """Once for each column, however many branches there are."""
    said: set[str] = set()
    for level, parent, _ in places:
        for column in facts.nullable.intersection(level.key.columns) - said:
            if isinstance(level, HashLevel) or _takes_null(parent):
                continue
            said.add(column)
            yield Finding(
                "null-key",
                Severity.WARNING,
                str(found.name),
                f"{column} may be NULL, and no partition of {parent.name} takes a NULL: such rows fail",
                f"ALTER TABLE {found.name.quoted} ALTER COLUMN {quote(column)} SET NOT NULL",
            )


def _takes_null(parent: Parent) -> bool:
    if default_of(parent) is not None:
        return True
    return any(isinstance(each.bound, ListBound) and None in each.bound.values for each in parent.partitions)


def _fate(found: FoundTable) -> str:
    return "fails" if default_of(found) is None else "falls into the default partition"


SHARE = 0.5
"""Of the lock table; the rest is for everybody else."""
PREMAKE = 5_000
"""Future partitions of one table from which on every query without the key is slow, for nothing."""


def lock_findings(
    found: FoundTable, places: Sequence[Divided], facts: TableFacts, lock_table: LockTable | None
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


def _premake(found: FoundTable, places: Sequence[Divided]) -> Iterator[Finding]:
    ahead = sum(
        level.spec.premake * len(lines_of(level, parent, context))
        for level, parent, context in places
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


LATE = 2
"""Intervals of the shortest declared one after which a run is overdue."""


def stale_finding(last: LastRuns | None, tables: Iterable[DeclaredTable], max_age: timedelta | None) -> Finding | None:
    """
    Args:
        last: None: nothing is known, because no run was audited.
        max_age: None: two of the shortest declared interval, where runs are audited.
    """
    limit = max_age or _default(tables)
    if last is None:
        return None if max_age is None else _unknown(max_age)
    if limit is None:
        return None
    age = last.first if last.age is None else last.age
    if age <= limit.total_seconds():
        return None
    since = f"for {days(timedelta(seconds=age))}"
    said = f"no run has ended well {since}" if last.age is not None else f"no run has ever ended well, {since}"
    return Finding(
        "stale-maintenance",
        Severity.WARNING,
        "",
        f"{said}; at most {days(limit)} were expected (sa_partman_runs has the runs and their errors)",
        "schedule: sa-partman run --yes",
    )


def _unknown(max_age: timedelta) -> Finding:
    return Finding(
        "stale-maintenance",
        Severity.WARNING,
        "",
        f"no successful run on record, and one within the last {days(max_age)} was asked for: this role sees no table "
        f"sa_partman_runs",
        "audit the runs: sa-partman run --yes --audit; let this role read its tables, and name their schema here too "
        "if it is another one: --audit=SCHEMA",
    )


def _default(tables: Iterable[DeclaredTable]) -> timedelta | None:
    axes = (level.axis for table in tables for level in table.levels() if isinstance(level, RangeLevel))
    return min((LATE * axis.interval.shortest for axis in axes if isinstance(axis, TimeAxis)), default=None)


def dump_finding(options: Collection[str], version: str) -> Finding | None:
    """
    Args:
        options: That the server keeps for itself in columns, by name.
        version: Of the server, as it says it.

    Source: PostgreSQL 15.20's ``pg_dump`` leaves them out; those of 18.6 and 19beta1 write them as ALTER COLUMN SET.
    """
    if not options:
        return None
    names = ", ".join(sorted(options))
    return Finding(
        "dump",
        Severity.INFO,
        "",
        f"PostgreSQL {version} keeps an option of its own in the columns of this database ({names}): a pg_dump that "
        f"does not know it, such as 18.6's, writes it down, and pg_restore then makes no table on any other server; "
        f"pg_upgrade passes its checks and fails",
        f"dump with the pg_dump of {version} itself, and restore that in place of pg_upgrade",
    )
