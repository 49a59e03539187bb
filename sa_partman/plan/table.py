"""
The plan of one table: recover, adopt, provision, prune, in this order.

What interrupted work of ours left behind is ended first; what is not ours, only when it is asked for. Partitions that
we did not make are handed over to us, once, by a mark; until then retention leaves them alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from sa_partman.bounds.read import parse_bound
from sa_partman.catalog import DetachedTable, FoundTable, InvalidIndex, Parent, Partition, UnfinishedConversion
from sa_partman.compare.context import Context
from sa_partman.compare.expiry import Pending, pending_detaches, pending_finding
from sa_partman.compare.shape import shape_finding
from sa_partman.errors import UnreadableBound
from sa_partman.finding import Finding
from sa_partman.marks import adopted, is_foreign
from sa_partman.plan.actions import (
    Action,
    AttachPartition,
    DetachPartition,
    DropInvalidIndex,
    FinalizeDetach,
    MarkAdopted,
    MarkDetached,
)
from sa_partman.plan.provision import provision_steps
from sa_partman.plan.prune import aftermath_steps, below_of, dropped, prune_steps
from sa_partman.plan.steps import Purpose, Step, TablePlan
from sa_partman.spec.declared import DeclaredTable


def plan_table(
    declared: DeclaredTable,
    found: FoundTable | None,
    context: Context,
    *,
    handed_over: bool = False,
    repair: bool = False,
) -> TablePlan:
    """
    Args:
        declared: As the model wants it.
        found: As the database has it; None when it has no such table.
        handed_over: First adopt the partitions that we did not make.
        repair: First end detaches of others that were cut off, too.

    Returns:
        Steps in order, empty when the table has converged; and what stands in the way.
    """
    misfit = shape_finding(declared, found)
    if misfit is not None or found is None:
        return TablePlan(declared.name, (), (misfit,) if misfit else ())
    found, adoptions = adopt(found, context.now) if handed_over else (found, ())
    recovered = tuple(recovery_steps(declared, found, context, repair=repair))
    made = tuple(provision_steps(declared, found, context))
    removes = declared.level.removes and not _moves_rows(found)
    gone = tuple(prune_steps(declared, found, context)) if removes else ()
    creations = tuple(each for each in made if isinstance(each, Step))
    attached = frozenset(step.partition for step in creations)
    due = tuple(aftermath_steps(declared, found, context, attached)) if found.detached else ()
    steps = (
        *(each for each in recovered if isinstance(each, Step)),
        *adoptions,
        *creations,
        *due,
        *(each for each in gone if isinstance(each, Step)),
    )
    findings = dict.fromkeys(each for each in (*recovered, *made, *gone) if isinstance(each, Finding))
    return TablePlan(found.name, steps, tuple(findings))


def _moves_rows(found: FoundTable) -> bool:
    """A rewrite of it could not end without the partitions that it takes the rows from."""
    return isinstance(found.conversion, UnfinishedConversion) and found.conversion.moves_rows


def recovery_steps(
    declared: DeclaredTable, found: FoundTable, context: Context, *, repair: bool = False
) -> Iterator[Step | Finding]:
    """
    The end of each concurrent detach that was cut off.

    One of ours: FINALIZE; or the drop at once of a partition that is to be dropped anyway. Nobody sees its rows any
    more, and a FINALIZE would wait for every older snapshot of the whole database, however idle, where a drop does not.

    One of somebody else's: a finding.

    Args:
        repair: End those too, and attach again what is not expired; nothing of others is dropped.
    """
    if not any(each.detach_pending for each in found.walk()):
        return
    for pending in pending_detaches(declared, found, context):
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
