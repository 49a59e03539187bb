"""
Other list values, or another modulus, for the partitions that a table has: which go on, come and go, and which rows
move, in what order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from sa_partman.bounds.bound import Bound, DefaultBound, HashBound, KeyValue, ListBound, RangeBound
from sa_partman.catalog import FoundTable, Parent, Partition, default_of
from sa_partman.compare.context import Context
from sa_partman.compare.shape import divides
from sa_partman.errors import PartmanError
from sa_partman.marks import is_foreign, unmarked
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import (
    Action,
    AttachPartition,
    CreatePartition,
    CreateTable,
    DetachPartition,
    DropTable,
    MarkDetached,
    MoveRows,
    UnmarkDetached,
)
from sa_partman.plan.provision import first_partitions, partition_name
from sa_partman.plan.table_actions import Rename
from sa_partman.spec.declared import HashLevel, Level, ListLevel, RangeLevel


class RepartitionFailed(PartmanError):
    """A table keeps the partitions that it has: the message names it, and says what to do."""


@dataclass(frozen=True, slots=True)
class WantedLabel:
    """A declared label, with values as the catalog shows them."""

    name: str
    bound: ListBound


@dataclass(frozen=True, slots=True)
class WantedPartition:
    """
    A partition as it is to be.

    Args:
        keeper: The partition whose table it goes on with; None when it gets a new one.
    """

    name: QualifiedName
    bound: Bound
    keeper: Partition | None = None


@dataclass(frozen=True, slots=True)
class RowsToMove:
    """Rows of *bound* that lie in *source* and belong into *target*; None is the default partition."""

    source: Partition
    target: WantedPartition | None
    bound: ListBound | HashBound


@dataclass(frozen=True, slots=True)
class Repartitioning:
    """
    Args:
        targets: Partitions to attach.
        sources: Partitions that are detached for it; each is a keeper, or is dropped when it is empty.
        leaving: Partitions none of whose values is wanted any more: detached with their rows.
        moves: In order.
    """

    targets: tuple[WantedPartition, ...]
    sources: tuple[Partition, ...]
    leaving: tuple[Partition, ...]
    moves: tuple[RowsToMove, ...]

    @property
    def emptied(self) -> tuple[Partition, ...]:
        kept = {target.keeper.oid for target in self.targets if target.keeper is not None}
        return tuple(source for source in self.sources if source.oid not in kept)

    @property
    def fresh(self) -> tuple[WantedPartition, ...]:
        """Those of the targets that get a new table."""
        return tuple(target for target in self.targets if target.keeper is None)


def found_lists(parent: Parent) -> tuple[Partition, ...]:
    """Without what is on its way out."""
    return tuple(each for each in parent.partitions if isinstance(each.bound, ListBound) and not each.detach_pending)


def exchange_values(wanted: Iterable[WantedLabel], found: Iterable[Partition]) -> bool:
    """Whether a label has gained, lost or exchanged values: more than labels that come or go as a whole."""
    bounds = tuple(partition.bound for partition in found)
    return any(
        label.bound != bound and label.bound.overlaps(bound)
        for label in wanted
        for bound in bounds
        if isinstance(bound, ListBound)
    )


def list_change(level: ListLevel, parent: Parent, wanted: tuple[WantedLabel, ...]) -> Repartitioning:
    """
    Args:
        wanted: The labels of *level*.
    """
    found = found_lists(parent)
    same = {label.bound for label in wanted} & {partition.bound for partition in found}
    open_labels = [label for label in wanted if label.bound not in same]
    values = frozenset().union(*(label.bound.values for label in wanted))
    others = [partition for partition in found if partition.bound not in same]
    sources = tuple(each for each in others if not _values(each).isdisjoint(values))
    leaving = tuple(each for each in others if _values(each).isdisjoint(values))
    keepers = _keepers(level, parent, open_labels, sources)
    targets = tuple(
        WantedPartition(_name(level, parent, label) if kept is None else kept.name, label.bound, kept)
        for label in open_labels
        for kept in (keepers.get(label.name),)
    )
    return Repartitioning(targets, sources, leaving, tuple(_list_moves(parent, targets, sources, found)))


def hash_change(level: HashLevel, parent: Parent) -> Repartitioning:
    wanted = [HashBound(level.spec.modulus, remainder) for remainder in range(level.spec.modulus)]
    found = {each.bound: each for each in parent.partitions if isinstance(each.bound, HashBound)}
    sources = tuple(partition for bound, partition in found.items() if bound not in wanted)
    targets = tuple(
        WantedPartition(partition_name(level, parent.name, bound), bound) for bound in wanted if bound not in found
    )
    moves = tuple(
        RowsToMove(source, target, target.bound)
        for source in sources
        for target in targets
        if isinstance(source.bound, HashBound)
        and isinstance(target.bound, HashBound)
        and target.bound.overlaps(source.bound)
    )
    return Repartitioning(targets, sources, (), moves)


def _values(partition: Partition | WantedPartition) -> frozenset[KeyValue]:
    assert isinstance(partition.bound, ListBound)
    return partition.bound.values


def _name(level: ListLevel, parent: Parent, label: WantedLabel) -> QualifiedName:
    return partition_name(level, parent.name, label.bound, label.name)


def _keepers(
    level: ListLevel, parent: Parent, labels: list[WantedLabel], sources: tuple[Partition, ...]
) -> dict[str, Partition]:
    """For each label the partition that goes on with it: the one of its name, or else the one it shares most with."""
    kept: dict[str, Partition] = {}
    for label in labels:
        named = _name(level, parent, label)
        for source in sources:
            if source.name == named and not _values(source).isdisjoint(label.bound.values):
                kept[label.name] = source
    for label in labels:
        free = [each for each in sources if each not in kept.values() and _values(each) & label.bound.values]
        if label.name not in kept and free:
            kept[label.name] = max(free, key=lambda each: len(_values(each) & label.bound.values))
    return kept


def _list_moves(
    parent: Parent,
    targets: tuple[WantedPartition, ...],
    sources: tuple[Partition, ...],
    found: tuple[Partition, ...],
) -> Iterator[RowsToMove]:
    default = default_of(parent)
    held = frozenset().union(*map(_values, found))
    for target in targets:
        for source in sources:
            shared = _values(source) & _values(target)
            if shared and (target.keeper is None or target.keeper.oid != source.oid):
                yield RowsToMove(source, target, ListBound(shared))
        fresh = _values(target) - held
        if default is not None and fresh:
            yield RowsToMove(default, target, ListBound(fresh))
    wanted = frozenset().union(*map(_values, targets))
    for source in sources:
        homeless = _values(source) - wanted
        if homeless:
            yield RowsToMove(source, None, ListBound(homeless))


@dataclass(frozen=True, slots=True)
class RepartitionFacts:
    """
    What the catalog and the rows tell besides the partitions.

    Args:
        returning: Tables that we detached before and that come back, with their comments.
        below: How a target is partitioned itself, where that differs from what the declaration says.
        inherits_identity: Partitions have the identity columns of their table.
    """

    context: Context
    returning: Mapping[QualifiedName, str | None]
    below: Mapping[QualifiedName, Level]
    inherits_identity: bool


@dataclass(frozen=True, slots=True)
class RepartitionActions:
    """
    What is done, in this order and in one transaction.

    Args:
        detached: What gives up its place, and its name too, if it is to be dropped.
        renamed: Tables to be dropped, and all of their partitions: how they are called meanwhile.
        created: The new tables, and partitions below them.
        attached: Emptied tables are dropped first, so that the new ones' indexes get the names that they would have
            anyway.
    """

    detached: tuple[Action, ...]
    renamed: Mapping[QualifiedName, QualifiedName]
    created: tuple[Action, ...]
    moved: tuple[MoveRows, ...]
    attached: tuple[Action, ...]


def repartition_actions(
    found: FoundTable, level: Level, change: Repartitioning, facts: RepartitionFacts, limit: int
) -> RepartitionActions:
    """
    Args:
        level: As *found* is declared to be partitioned.
        limit: Rows that one move takes.
    """
    parent, key = found.name, found.key
    assert key is not None
    dropped = [each for source in change.emptied for each in source.walk()]
    renamed = {each.name: each.name.sibling(f"sa_partman_old_{each.oid}") for each in dropped}
    going = (*change.sources, *change.leaving)
    detached: tuple[Action, ...] = (
        *(DetachPartition(parent, each.name, each.bound, key) for each in going),
        *(
            MarkDetached(each.name, parent, unmarked(each.comment), foreign=is_foreign(each.comment))
            for each in change.leaving
            if each.kind != "f"
        ),
        *(Rename("TABLE", name, new.name) for name, new in renamed.items()),
    )
    created = tuple(action for target in change.targets for action in _made(parent, level, change, facts, target))
    moved = tuple(_moved(found, change, renamed, limit))
    # As in plan.provision.attached_from_the_top: from PostgreSQL 17 on an identity comes by being attached.
    below = tuple(_attached_below(change, created)) if facts.inherits_identity else ()
    attached: tuple[Action, ...] = (
        *(DropTable(renamed[each.name]) for each in change.emptied),
        *(DetachPartition(each.parent, each.partition, each.bound, each.key) for each in below),
        *(AttachPartition(parent, target.name, target.bound, key) for target in change.targets),
        *below,
    )
    return RepartitionActions(detached, renamed, created, moved, attached)


def _moved(
    found: FoundTable, change: Repartitioning, renamed: Mapping[QualifiedName, QualifiedName], limit: int
) -> Iterator[MoveRows]:
    assert found.key is not None
    for move in change.moves:
        target = default_of(found) if move.target is None else move.target
        if target is not None:
            name = move.source.name
            source = renamed.get(name, name)
            yield MoveRows(source, target.name, move.bound, found.key, limit, found.name, known_as=name)


def _made(
    parent: QualifiedName, level: Level, change: Repartitioning, facts: RepartitionFacts, target: WantedPartition
) -> tuple[Action, ...]:
    """The table of *target*, and partitions below it for the rows that come."""
    below = facts.below.get(target.name, level.below)
    if target.keeper is not None:
        there = [each.bound for each in target.keeper.partitions]
        return () if below is None else tuple(same_partitions(below, target.name, sources_of(change, target), there))
    if target.name in facts.returning:
        return (UnmarkDetached(target.name, unmarked(facts.returning[target.name])),)
    if below is None:
        return (CreateTable(target.name, parent, unlogged=level.spec.unlogged),)
    bound, inside = target.bound, facts.context
    if isinstance(bound, ListBound):
        inside = inside.below(tuple(bound.values))
    inner: tuple[Action, ...] = tuple(same_partitions(below, target.name, sources_of(change, target), ()))
    made = CreateTable(target.name, parent, below.partition_by)
    return (made, *(inner or first_partitions(below, target.name, inside)))


def sources_of(change: Repartitioning, target: WantedPartition) -> tuple[Partition, ...]:
    return tuple(move.source for move in change.moves if move.target == target)


def _attached_below(change: Repartitioning, created: Iterable[Action]) -> Iterator[AttachPartition]:
    """All that is below the targets, parents first."""
    for target in change.targets:
        if target.keeper is not None:
            yield from _attached_in(target.keeper)
    for action in created:
        if isinstance(action, CreatePartition):
            yield AttachPartition(action.parent, action.name, action.bound, action.key)


def _attached_in(parent: Partition) -> Iterator[AttachPartition]:
    for each in parent.partitions:
        assert parent.key is not None
        yield AttachPartition(parent.name, each.name, each.bound, parent.key)
        yield from _attached_in(each)


def same_partitions(
    level: Level, target: QualifiedName, sources: Iterable[Partition], there: Iterable[Bound]
) -> Iterator[CreatePartition]:
    """
    Partitions of *target* for the bounds that those of *sources* have, whose rows come from there.

    Args:
        level: How *target* is partitioned.
        there: Bounds that it has already; what overlaps one of them is left out.
    """
    taken = list(there)
    for source in sources:
        if not divides(level, source):
            continue
        for each in source.partitions:
            if not any(_overlap(each.bound, other) for other in taken):
                taken.append(each.bound)
                yield from _same_partition(level, target, each)


def _same_partition(level: Level, target: QualifiedName, like: Partition) -> Iterator[CreatePartition]:
    below = level.below if level.below is not None and divides(level.below, like) else None
    name = partition_name(level, target, like.bound)
    by = None if below is None else below.partition_by
    yield CreatePartition(target, name, like.bound, level.key, by, level.spec.unlogged and below is None)
    if below is not None:
        yield from same_partitions(below, name, (like,), ())


def _overlap(one: Bound, other: Bound) -> bool:
    match one, other:
        case (RangeBound(), RangeBound()):
            return one.overlaps(other)
        case (ListBound(), ListBound()):
            return one.overlaps(other)
        case (HashBound(), HashBound()):
            return one.overlaps(other)
    return isinstance(one, DefaultBound) and isinstance(other, DefaultBound)


def starting_at(level: RangeLevel, lowest: KeyValue) -> RangeLevel:
    """*level*, which begins with the row that has the key value *lowest*, when that is early."""
    position = None if lowest is None else level.axis.decode(lowest)
    if position is None:
        return level
    start = position if isinstance(position, int) else position.isoformat()
    if level.spec.start is not None and level.axis.parse(level.spec.start) <= position:
        return level
    return replace(level, spec=level.spec.with_(start=start))
