"""Healing: what interrupted work of ours left behind is ended first; what is not ours, only when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sa_partman.catalog import FoundTable, InvalidIndex, Parent, Partition
from sa_partman.compare.expiry import Pending, pending_detaches, pending_finding
from sa_partman.compare.situation import Situation
from sa_partman.finding import Finding
from sa_partman.plan.actions import (
    Action,
    AttachPartition,
    DetachPartition,
    DropInvalidIndex,
    FinalizeDetach,
)
from sa_partman.plan.prune import below_of, dropped
from sa_partman.plan.steps import Purpose, Step
from sa_partman.spec.declared import DeclaredTable


def heal_steps(
    declared: DeclaredTable, found: FoundTable, situation: Situation, *, repair: bool = False
) -> Iterator[Step | Finding]:
    """
    The end of each concurrent detach that was cut off.

    One of ours: FINALIZE; or the drop at once of a partition that is to be dropped anyway. Nobody sees its rows any
    more, and a FINALIZE would wait for every older snapshot of the whole database, however idle, where a drop does not.

    One of somebody else's: a finding.

    Args:
        repair: End those too, and attach again what is not expired; nothing of others is dropped.
    """
    for pending in pending_detaches(declared, found, situation):
        if pending.ours and not pending.runs:
            yield _ended(found, pending)
        elif repair and not pending.runs:
            yield _repaired(found, pending)
        else:
            yield pending_finding(found.name, pending)


def index_steps(found: FoundTable, indexes: Iterable[InvalidIndex]) -> Iterator[Step]:
    """
    The removal of each invalid index of a partition of *found* that is ours and that nobody builds.

    Args:
        indexes: All invalid ones of the database.
    """
    oids = {partition.oid for partition in found.walk() if not partition.detach_pending}
    for index in indexes:
        if index.relation in oids and index.ours and not index.built:
            action = DropInvalidIndex(index.name, index.table)
            # Named by the index: when it fails, what is to be done with the partition is done all the same.
            yield Step(Purpose.HEAL, found.name, index.name, None, (action,))


def _ended(found: FoundTable, pending: Pending) -> Step:
    parent, partition, level, retention = pending.parent, pending.partition, pending.level, pending.retention
    # A partition of a referenced table can't be dropped while it is attached, and pending it still is.
    if level is not None and retention is not None and not retention.detaches and not found.referenced:
        actions = dropped(found, level, parent, partition)
        return Step(Purpose.DROP, found.name, partition.name, partition.bound, actions, below=below_of(partition))
    return _step(Purpose.HEAL, found, pending)


def _repaired(found: FoundTable, pending: Pending) -> Step:
    """In one transaction, so that nothing stands alone in between that nobody knows."""
    if pending.retention is not None:
        return _step(Purpose.REPAIR, found, pending)
    return _step(Purpose.REPAIR, found, pending, tuple(_attached_again(pending.parent, pending.partition)))


def _step(purpose: Purpose, found: FoundTable, pending: Pending, then: tuple[Action, ...] = ()) -> Step:
    name = pending.partition.name
    actions = (FinalizeDetach(pending.parent.name, name), *then)
    return Step(purpose, found.name, name, pending.partition.bound, actions)


def _attached_again(parent: Parent, partition: Partition) -> Iterator[Action]:
    """
    A branch without its partitions, which follow: see `provision.attached_from_the_top`. A default partition has no
    rows of it, not even one that was made meanwhile: until FINALIZE its constraint excludes them.
    """
    if parent.key is None:
        return
    below = [(each.name, each.key, inner) for each in partition.walk() if each.key for inner in each.partitions]
    for above, key, inner in below:
        yield DetachPartition(above, inner.name, inner.bound, key)
    yield AttachPartition(parent.name, partition.name, partition.bound, parent.key)
    for above, key, inner in below:
        yield AttachPartition(above, inner.name, inner.bound, key)
