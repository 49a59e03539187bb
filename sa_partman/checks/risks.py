"""
What no row shows yet: NULL where no partition takes it, keys that run ahead of the last partition, and subscribers that
lack the partitions to come.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sa_partman.bounds.bound import ListBound
from sa_partman.catalog import FoundTable, Parent, default_of
from sa_partman.checks.data import ByPartition, TableFacts
from sa_partman.checks.places import Place
from sa_partman.checks.runway import Runway
from sa_partman.finding import Finding, Severity
from sa_partman.names import quote
from sa_partman.spec.declared import HashLevel


def risk_findings(
    found: FoundTable, places: Sequence[Place], runways: Iterable[Runway], facts: TableFacts
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


def _nulls(found: FoundTable, places: Iterable[Place], facts: TableFacts) -> Iterator[Finding]:
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
