"""
Adoption: partitions that we did not make are handed over to us, once, by a mark. Until then retention leaves them
alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from sa_partman.bounds.read import parse_bound
from sa_partman.bounds.text import describe
from sa_partman.catalog import DetachedTable, FoundTable, Parent, Partition
from sa_partman.compare.expiry import HAND_OVER
from sa_partman.errors import UnreadableBound
from sa_partman.finding import Finding, Severity
from sa_partman.marks import adopted, is_foreign
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import MarkAdopted, MarkDetached
from sa_partman.plan.steps import Purpose, Step

_SHOWN = 5


def adopt(found: FoundTable, now: datetime) -> tuple[FoundTable, tuple[Step, ...]]:
    """*found* as it will be, and the steps that make it so: one for each partition of the table, with all below it."""
    partitions, steps = [], []
    for partition in found.partitions:
        after, marks = _adopted(partition, found, now)
        partitions.append(after)
        if marks:
            steps.append(Step(Purpose.ADOPT, found.name, partition.name, partition.bound, marks))
    strangers = (table for table in found.detached if table.foreign)
    steps += [Step(Purpose.ADOPT, found.name, each.name, None, (_detached(each, found),)) for each in strangers]
    detached = tuple(replace(each, foreign=False) for each in found.detached)
    return replace(found, partitions=tuple(partitions), detached=detached), tuple(steps)


def _adopted(partition: Partition, parent: Parent, now: datetime) -> tuple[Partition, tuple[MarkAdopted, ...]]:
    """A detach that is pending is somebody's business already; a foreign table bears no mark."""
    marks: list[MarkAdopted] = []
    after = partition
    if partition.kind != "f" and not partition.detach_pending and is_foreign(partition.comment):
        marks.append(MarkAdopted(partition.name, parent.name, now, partition.comment, partition.bound, parent.key))
        after = replace(after, comment=adopted(now, partition.comment))
    if partition.partitions:
        below = [_adopted(each, partition, now) for each in partition.partitions]
        marks += [mark for _, inner in below for mark in inner]
        after = replace(after, partitions=tuple(each for each, _ in below))
    return after, tuple(marks)


def _detached(table: DetachedTable, found: FoundTable) -> MarkDetached:
    parents: tuple[Parent, ...] = (found, *found.walk())
    key = next((each.key for each in parents if each.name == table.parent and each.key), None)
    try:
        bound = parse_bound(table.bound, key.types) if table.bound and key is not None else None
    except UnreadableBound:
        bound = None
    return MarkDetached(table.name, table.parent, table.comment, table.at, bound, key)


def away_finding(table: QualifiedName, kept: Iterable[Partition]) -> Iterator[Finding]:
    """One for all that is expired and kept, because it is, or has, a foreign table."""
    all_kept = tuple(kept)
    if not all_kept:
        return
    shown = _listed([f"{each.name} {describe(each.bound)}" for each in all_kept])
    one = len(all_kept) == 1
    yield Finding(
        "foreign-table",
        Severity.WARNING,
        str(table),
        f"{len(all_kept)} expired {'partition is' if one else 'partitions are'} kept, because "
        f"{'it is a foreign table' if one else 'they are foreign tables'} or partitioned into some: {shown}",
        "declare Retention(..., foreign_tables=True) to drop or detach them like other partitions, which leaves the "
        "rows on the other server; or foreign_tables=False to keep them and hear no more of it",
    )


def kept_finding(table: QualifiedName, kept: Iterable[Partition]) -> Iterator[Finding]:
    """One for all that is expired and kept, because nobody has handed it over."""
    all_kept = tuple(kept)
    if not all_kept:
        return
    shown = _listed([f"{each.name} {describe(each.bound)} ({_rows(each)})" for each in all_kept])
    one = len(all_kept) == 1
    yield Finding(
        "foreign-partition",
        Severity.WARNING,
        str(table),
        f"{len(all_kept)} {'partition is' if one else 'partitions are'} expired and {'was' if one else 'were'} not "
        f"made by sa-partman, so {'it is' if one else 'they are'} kept: {shown}",
        HAND_OVER,
    )


def rows_finding(table: QualifiedName, default: Partition, rows: int) -> Finding:
    """For a default partition that nobody has handed over, and that holds expired rows."""
    return Finding(
        "foreign-partition",
        Severity.WARNING,
        str(table),
        f"{default.name}, the default partition, was not made by sa-partman, so its expired rows are kept: {rows:,}",
        HAND_OVER,
    )


def _listed(texts: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more


def _rows(partition: Partition) -> str:
    leaves = [each.rows for each in partition.walk() if each.strategy is None]
    if any(rows < 0 for rows in leaves):
        return "number of rows unknown: never analyzed"
    return f"about {sum(leaves):,.0f} rows"
