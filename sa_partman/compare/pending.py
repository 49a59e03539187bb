"""Detaches that are pending: whose each one is, whether it still runs, and whether what it takes away is expired."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sa_partman.catalog import FoundTable, Parent, Partition
from sa_partman.compare.descend import descend, divides
from sa_partman.compare.expiry import expiry_of
from sa_partman.compare.situation import Situation
from sa_partman.finding import Finding, Severity
from sa_partman.marks import is_marked
from sa_partman.names import QualifiedName
from sa_partman.spec.declared import DeclaredTable, Level
from sa_partman.spec.range_spec import Retention


@dataclass(frozen=True, slots=True)
class Pending:
    """
    Args:
        parent: That still lists *partition*.
        level: By which *parent* is divided; None where it is divided otherwise than declared.
        retention: By which the partition is expired; None while it is to be kept.
    """

    parent: Parent
    partition: Partition
    level: Level | None = None
    retention: Retention | None = None

    @property
    def ours(self) -> bool:
        """Whether we began it, so that a run ends it."""
        return is_marked(self.partition.comment)

    @property
    def runs(self) -> bool:
        return self.partition.detached_by is not None


def pending_detaches(declared: DeclaredTable, found: FoundTable, situation: Situation) -> tuple[Pending, ...]:
    """All of *found*, whatever the level; parents before their partitions."""
    parents: tuple[Parent, ...] = (found, *found.walk())
    pairs = [(parent, each) for parent in parents for each in parent.partitions if each.detach_pending]
    if not pairs:
        return ()
    judged = {each.partition.oid: each for each in _judged(declared.level, found, situation)}
    return tuple(judged.get(each.oid) or Pending(parent, each) for parent, each in pairs)


def pending_finding(table: QualifiedName, pending: Pending) -> Finding:
    """What a pending detach means for the application, and what ends it."""
    parent, partition = pending.parent.name, pending.partition
    hidden = "its rows are invisible and new ones of its range are refused"
    if pending.runs:
        meant = pending.ours or pending.retention is not None
        return Finding(
            "detach-running",
            Severity.INFO if meant else Severity.ERROR,
            str(table),
            f"pid {partition.detached_by} is detaching {partition.name} concurrently, and waits for older "
            f"transactions: {hidden}",
            f"wait for its end; or SELECT pg_cancel_backend({partition.detached_by}), then: sa-partman run --repair",
        )
    finalize = f"ALTER TABLE {parent.quoted} DETACH PARTITION {partition.name.quoted} FINALIZE"
    if pending.ours:
        remedy = f"run: sa-partman run, or {finalize}"
    elif pending.retention is not None:
        remedy = f"it is expired; end the detach with: sa-partman run --repair, or {finalize}"
    else:
        remedy = f"attach it again with: sa-partman run --repair, or end the detach: {finalize}"
    return Finding(
        "detach-pending",
        Severity.ERROR,
        str(table),
        f"the concurrent detach of {partition.name} was interrupted: {hidden}; a dump would restore it attached",
        remedy,
    )


def _judged(level: Level, parent: Parent, situation: Situation) -> Iterator[Pending]:
    expiry = expiry_of(level, parent, situation)
    for partition in parent.partitions:
        if partition.detach_pending:
            yield Pending(parent, partition, level, expiry(partition))
        elif level.below is not None and divides(level.below, partition):
            yield from _judged(level.below, partition, descend(level, partition.bound, situation))
