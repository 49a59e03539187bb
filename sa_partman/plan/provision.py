"""Provisioning: the partitions that a declared table lacks, each made whole in one step."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from sa_partman.bounds.bound import DEFAULT, Bound, DefaultBound
from sa_partman.catalog import FoundTable, Parent, Partition, default_of
from sa_partman.compare.descend import descend, divides
from sa_partman.compare.expiry import expiry_of
from sa_partman.compare.hashes import missing_remainders, modulus_findings
from sa_partman.compare.lists import half_held, is_active, missing_labels
from sa_partman.compare.ranges import There, lines_of, missing_in
from sa_partman.compare.situation import Situation
from sa_partman.finding import Finding, Severity
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import (
    Action,
    AttachPartition,
    CreatePartition,
    CreateTable,
    DetachPartition,
    MoveRows,
    UnmarkDetached,
)
from sa_partman.plan.naming import free_name, partition_name
from sa_partman.plan.steps import Purpose, Step
from sa_partman.spec.declared import DeclaredTable, HashLevel, Level, ListLevel, RangeLevel

Wanted = tuple[Bound, str | None]
"""A bound to create, and its label where it is a list's."""


def provision_steps(declared: DeclaredTable, found: FoundTable, situation: Situation) -> Iterator[Step | Finding]:
    """
    One step per missing partition of any level, and a finding for each that can't be made.
    """
    builder = _Builder(declared, found)
    yield from builder.level(declared.level, found, situation)


class _Builder:
    def __init__(self, declared: DeclaredTable, found: FoundTable) -> None:
        self.found = found
        self.table = found.name
        self.detached = {each.name: each for each in found.detached}

    @cached_property
    def taken(self) -> dict[QualifiedName, Bound]:
        """Names that are borne by now; nobody asks while nothing is missing."""
        borne = {partition.name: partition.bound for partition in self.found.walk()}
        return borne | {self.table: DEFAULT}

    def level(self, level: Level, parent: Parent, situation: Situation) -> Iterator[Step | Finding]:
        for bound, label in missing_bounds(level, parent, situation):
            yield self.step(level, parent, bound, label, situation)
        yield from _findings(str(self.table), level, parent, situation)
        if level.below is not None:
            expiry = expiry_of(level, parent, situation)
            for partition in parent.partitions:
                kept = is_active(level, partition.bound, situation) and not expiry(partition)
                if kept and divides(level.below, partition):
                    yield from self.level(level.below, partition, descend(level, partition.bound, situation))

    def step(
        self, level: Level, parent: Parent, bound: Bound, label: str | None, situation: Situation
    ) -> Step | Finding:
        name = free_name(partition_name(level, parent.name, bound, label), parent.name, bound, self.taken)
        if name in self.taken:
            return _name_taken(self.table, name)
        self.taken[name] = bound
        ours = self.detached.get(name)
        if ours is not None and ours.parent == parent.name:
            default = default_of(parent)
            moved = () if default is None else (MoveRows(default.name, name, bound, level.key),)
            actions: tuple[Action, ...] = (
                *moved,  # what came for it meanwhile
                AttachPartition(parent.name, name, bound, level.key),
                UnmarkDetached(name, ours.parent, ours.comment),
            )
        else:
            actions = creation(level, parent, name, bound, situation, self.taken)
        return Step(Purpose.PROVISION, self.table, name, bound, actions)


def missing_bounds(level: Level, parent: Parent, situation: Situation) -> Iterator[Wanted]:
    """What *parent* lacks, the most urgent first; a default partition last."""
    if isinstance(level, RangeLevel):
        there = There.of(level, parent)
        for line in lines_of(level, parent, situation):
            yield from ((bound, None) for bound in missing_in(line, level, parent, situation, there))
    elif isinstance(level, ListLevel):
        yield from ((bound, label) for label, bound in missing_labels(level, parent, situation))
    elif isinstance(level, HashLevel):
        yield from ((bound, None) for bound in missing_remainders(level, parent))
    if level.spec.default and default_of(parent) is None:
        yield DEFAULT, None


def creation(
    level: Level,
    parent: Parent,
    name: QualifiedName,
    bound: Bound,
    situation: Situation,
    taken: dict[QualifiedName, Bound] | None = None,
) -> tuple[Action, ...]:
    """
    A partition with all below it. It is made apart and attached last, so the parent's lock is held for an instant.

    Rows of it that a default partition holds are moved in between, because PostgreSQL would refuse to attach.

    Args:
        taken: Names that the table's partitions bear; those that are made here are added.
    """
    below = _below(level, bound)
    key = parent.key or level.key
    made = CreateTable(name, parent.name, None if below is None else below.partition_by, _unlogged(level, below))
    names = {name: bound} if taken is None else taken
    inner = () if below is None else _inner(below, name, descend(level, bound, situation), names)
    default = default_of(parent)
    moved = () if default is None or bound == DEFAULT else (MoveRows(default.name, name, bound, key),)
    return (made, *attached_from_the_top(AttachPartition(parent.name, name, bound, key), inner, moved))


def attached_from_the_top(
    attach: AttachPartition, inner: tuple[CreatePartition, ...], moved: tuple[Action, ...]
) -> tuple[Action, ...]:
    """
    A table with partitions of its own is attached without them, and they follow, level by level.

    PostgreSQL 17 and 18 give what is attached the parent's identity columns, and not what lies below it; such a branch
    can't be detached ever again ("is not an identity column").

    Args:
        inner: Its partitions of all levels, parents first.
        moved: What needs them before.
    """
    if not moved:
        return (attach, *inner)
    apart = (DetachPartition(each.parent, each.name, each.bound, each.key) for each in inner)
    again = (AttachPartition(each.parent, each.name, each.bound, each.key) for each in inner)
    return (*inner, *moved, *apart, attach, *again)


def first_partitions(level: Level, parent: QualifiedName, situation: Situation) -> tuple[CreatePartition, ...]:
    """Every partition of every level that a new, empty table *parent* needs; parents before their partitions."""
    return _inner(level, parent, situation, {parent: DEFAULT})


def _inner(
    level: Level, parent: QualifiedName, situation: Situation, taken: dict[QualifiedName, Bound]
) -> tuple[CreatePartition, ...]:
    empty = Partition(parent, 0, DEFAULT, "p")
    actions: list[CreatePartition] = []
    for bound, label in missing_bounds(level, empty, situation):
        name = free_name(partition_name(level, parent, bound, label), parent, bound, taken)
        taken[name] = bound
        below = _below(level, bound)
        by = None if below is None else below.partition_by
        actions.append(CreatePartition(parent, name, bound, level.key, by, _unlogged(level, below)))
        if below is not None:
            actions.extend(_inner(below, name, descend(level, bound, situation), taken))
    return tuple(actions)


def _unlogged(level: Level, below: Level | None) -> bool:
    """Only what holds rows: PostgreSQL 18 refuses an unlogged partitioned table."""
    return level.spec.unlogged and below is None


def _below(level: Level, bound: Bound) -> Level | None:
    """A default partition is not divided further: what falls into it is to be looked at, not to be kept."""
    return None if isinstance(bound, DefaultBound) else level.below


def _findings(table: str, level: Level, parent: Parent, situation: Situation) -> Iterator[Finding]:
    if isinstance(level, ListLevel):
        yield from half_held(table, level, parent, situation)
    elif isinstance(level, HashLevel):
        yield from modulus_findings(table, level, parent)


def _name_taken(table: QualifiedName, name: QualifiedName) -> Finding:
    return Finding(
        "name-taken",
        Severity.ERROR,
        str(table),
        f"{name} already is a partition with another bound, so the missing one can't be called that",
        f"rename it (ALTER TABLE {name.quoted} RENAME TO ...), or give the declaration another name= template",
    )
