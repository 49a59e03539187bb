"""The labels of a list level, declared against found: by value, never by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from alembic_ext.literals import plain, value_as
from sa_partman.bounds.bound import ListBound
from sa_partman.bounds.text import in_order
from sa_partman.catalog import Parent, Partition
from sa_partman.names import QualifiedName
from sa_partman.plan.naming import partition_name
from sa_partman.spec.declared import ListLevel


@dataclass(frozen=True, slots=True)
class Wanted:
    """A declared label, with values as the catalog shows them."""

    name: str
    bound: ListBound


def wanted_lists(level: ListLevel, parent: Parent) -> tuple[Wanted, ...]:
    """
    Raises:
        CommandError: A value is none of the key's type.
    """
    kind = (parent.key or level.key).types[0]
    return tuple(
        Wanted(label, ListBound(frozenset(value_as(value, kind) for value in values)))
        for label, values in level.spec.values.labelled
    )


def found_lists(parent: Parent) -> tuple[Partition, ...]:
    """Without what is on its way out."""
    return tuple(each for each in parent.partitions if isinstance(each.bound, ListBound) and not each.detach_pending)


def changed(wanted: Iterable[Wanted], found: Iterable[Partition]) -> bool:
    """Whether a label has gained, lost or exchanged values: more than labels that come or go as a whole."""
    bounds = tuple(partition.bound for partition in found)
    return any(
        label.bound != bound and label.bound.overlaps(bound)
        for label in wanted
        for bound in bounds
        if isinstance(bound, ListBound)
    )


def found_values(level: ListLevel, parent: Parent, wanted: Iterable[Wanted]) -> dict[str, list[object]]:
    """What ``values=`` would have to say for the partitions that are there, each called as it is."""
    labels = [label.name for label in wanted]
    found: dict[str, list[object]] = {}
    for partition in found_lists(parent):
        assert isinstance(partition.bound, ListBound)
        label = _label(level, parent.name, partition, labels)
        found[label] = [plain(value) for value in in_order(partition.bound.values)]
    return found


def _label(level: ListLevel, parent: QualifiedName, partition: Partition, labels: Iterable[str]) -> str:
    """The label that gives *partition* its name, where one does."""
    prefix = f"{parent.name}_"
    candidates = [*labels, partition.name.name.removeprefix(prefix)]
    for label in candidates:
        if partition_name(level, parent, partition.bound, label).name == partition.name.name:
            return label
    return partition.name.name
