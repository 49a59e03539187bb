"""Healing: what interrupted work of ours left behind is ended before anything else; what is not ours is not touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sa_partman.catalog import FoundTable, Parent, Partition
from sa_partman.compare.descend import descend, divides
from sa_partman.compare.expiry import expiry_of
from sa_partman.compare.lists import is_active
from sa_partman.compare.residues import InvalidIndex
from sa_partman.compare.situation import Situation
from sa_partman.marks import is_marked
from sa_partman.plan.actions import DropInvalidIndex, FinalizeDetach
from sa_partman.plan.prune import below_of, dropped
from sa_partman.plan.steps import Purpose, Step
from sa_partman.spec.declared import DeclaredTable, Level


def heal_steps(declared: DeclaredTable, found: FoundTable, situation: Situation) -> Iterator[Step]:
    """
    The end of each concurrent detach of ours that was cut off.

    FINALIZE; or the drop at once of a partition that is to be dropped anyway. Nobody sees its rows any more, and a
    FINALIZE would wait for every older snapshot of the whole database, however idle, where a drop does not.
    """
    pending = tuple(_pending(found))
    if not pending:
        return
    due = {step.partition: step for step in _due(found, declared.level, found, situation)}
    for parent, partition in pending:
        action = FinalizeDetach(parent.name, partition.name)
        finalize = Step(Purpose.HEAL, found.name, partition.name, partition.bound, (action,))
        yield due.get(partition.name, finalize)


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


def _pending(found: FoundTable) -> Iterator[tuple[Parent, Partition]]:
    parents: tuple[Parent, ...] = (found, *found.walk())
    for parent in parents:
        for partition in parent.partitions:
            if partition.detach_pending and is_marked(partition.comment):
                yield parent, partition


def _due(found: FoundTable, level: Level, parent: Parent, situation: Situation) -> Iterator[Step]:
    """The drop of each pending partition that is expired, and that nothing else is to happen to before."""
    expiry = expiry_of(level, parent, situation)
    for partition in parent.partitions:
        retention = expiry(partition) if partition.detach_pending else None
        # A partition of a referenced table can't be dropped while it is attached, and pending it still is.
        if retention is not None and not retention.detaches and not found.referenced:
            actions = dropped(found, level, parent, partition)
            yield Step(Purpose.DROP, found.name, partition.name, partition.bound, actions, below=below_of(partition))
        elif (
            level.below is not None and divides(level.below, partition) and is_active(level, partition.bound, situation)
        ):
            yield from _due(found, level.below, partition, descend(level, partition.bound, situation))
