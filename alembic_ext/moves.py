"""Which rows have to go where when a table gets other list values, or another modulus. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from alembic_ext.compare.partitions import Wanted, found_lists, wanted_lists
from sa_partman.bounds.bound import Bound, HashBound, KeyValue, ListBound
from sa_partman.catalog import Parent, Partition, default_of
from sa_partman.names import QualifiedName
from sa_partman.plan.naming import partition_name
from sa_partman.spec.declared import HashLevel, ListLevel


@dataclass(frozen=True, slots=True)
class Target:
    """
    A partition as it is to be.

    Args:
        keeper: The partition whose table it goes on with; None when it gets a new one.
    """

    name: QualifiedName
    bound: Bound
    keeper: Partition | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """Rows of *bound* that lie in *source* and belong into *target*; None is the default partition."""

    source: Partition
    target: Target | None
    bound: ListBound | HashBound


@dataclass(frozen=True, slots=True)
class Change:
    """
    Args:
        targets: Partitions to attach.
        sources: Partitions that are detached for it; each is a keeper, or is dropped when it is empty.
        leaving: Partitions none of whose values is wanted any more: detached with their rows.
        moves: In order.
    """

    targets: tuple[Target, ...]
    sources: tuple[Partition, ...]
    leaving: tuple[Partition, ...]
    moves: tuple[Move, ...]

    @property
    def emptied(self) -> tuple[Partition, ...]:
        kept = {target.keeper.oid for target in self.targets if target.keeper is not None}
        return tuple(source for source in self.sources if source.oid not in kept)


def list_change(level: ListLevel, parent: Parent) -> Change:
    """
    Raises:
        CommandError: A value is none of the key's type.
    """
    wanted, found = wanted_lists(level, parent), found_lists(parent)
    same = {label.bound for label in wanted} & {partition.bound for partition in found}
    open_labels = [label for label in wanted if label.bound not in same]
    values = frozenset().union(*(label.bound.values for label in wanted))
    others = [partition for partition in found if partition.bound not in same]
    sources = tuple(each for each in others if not _values(each).isdisjoint(values))
    leaving = tuple(each for each in others if _values(each).isdisjoint(values))
    keepers = _keepers(level, parent, open_labels, sources)
    targets = tuple(
        Target(_name(level, parent, label) if kept is None else kept.name, label.bound, kept)
        for label in open_labels
        for kept in (keepers.get(label.name),)
    )
    return Change(targets, sources, leaving, tuple(_list_moves(parent, targets, sources, found)))


def hash_change(level: HashLevel, parent: Parent) -> Change:
    wanted = [HashBound(level.spec.modulus, remainder) for remainder in range(level.spec.modulus)]
    found = {each.bound: each for each in parent.partitions if isinstance(each.bound, HashBound)}
    sources = tuple(partition for bound, partition in found.items() if bound not in wanted)
    targets = tuple(Target(partition_name(level, parent.name, bound), bound) for bound in wanted if bound not in found)
    moves = tuple(
        Move(source, target, target.bound)
        for source in sources
        for target in targets
        if isinstance(source.bound, HashBound)
        and isinstance(target.bound, HashBound)
        and target.bound.overlaps(source.bound)
    )
    return Change(targets, sources, (), moves)


def _values(partition: Partition) -> frozenset[KeyValue]:
    assert isinstance(partition.bound, ListBound)
    return partition.bound.values


def _name(level: ListLevel, parent: Parent, label: Wanted) -> QualifiedName:
    return partition_name(level, parent.name, label.bound, label.name)


def _keepers(
    level: ListLevel, parent: Parent, labels: list[Wanted], sources: tuple[Partition, ...]
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
    parent: Parent, targets: tuple[Target, ...], sources: tuple[Partition, ...], found: tuple[Partition, ...]
) -> Iterator[Move]:
    default = default_of(parent)
    held = frozenset().union(*map(_values, found))
    for target in targets:
        assert isinstance(target.bound, ListBound)
        for source in sources:
            shared = _values(source) & target.bound.values
            if shared and (target.keeper is None or target.keeper.oid != source.oid):
                yield Move(source, target, ListBound(shared))
        fresh = target.bound.values - held
        if default is not None and fresh:
            yield Move(default, target, ListBound(fresh))
    wanted = frozenset().union(*(_wanted(target) for target in targets))
    for source in sources:
        homeless = _values(source) - wanted
        if homeless:
            yield Move(source, None, ListBound(homeless))


def _wanted(target: Target) -> frozenset[KeyValue]:
    assert isinstance(target.bound, ListBound)
    return target.bound.values
