"""Values that tests of the pure floors start from, and a catalog in memory that steps can be applied to."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from sa_partman.bounds.bound import Bound, DefaultBound, HashBound, KeyValue, ListBound, RangeBound
from sa_partman.bounds.text import for_values
from sa_partman.catalog import DetachedTable, FoundTable, Partition
from sa_partman.compare.context import Context
from sa_partman.key import KeyType, PartitionKey
from sa_partman.marks import CREATED, adopted
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import (
    Action,
    ArchiveTable,
    AttachPartition,
    CreatePartition,
    CreateTable,
    DeleteExpired,
    DeleteReferring,
    DetachPartition,
    DropDetached,
    DropPartition,
    DropTable,
    FinalizeDetach,
    MarkAdopted,
    MarkDetached,
    MoveRows,
    UnmarkDetached,
)
from sa_partman.plan.steps import Step, TablePlan
from sa_partman.plan.table import plan_table
from sa_partman.spec.base import PartitionSpec
from sa_partman.spec.declared import ColumnType, DeclaredTable, bind

EVENTS = QualifiedName("public", "events")
TIMESTAMPTZ, TIMESTAMP = "timestamp with time zone", "timestamp without time zone"


def at(text: str) -> datetime:
    """An aware instant; UTC unless *text* says otherwise."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def declare(spec: PartitionSpec, name: QualifiedName = EVENTS, /, **columns: str) -> DeclaredTable:
    """*spec* bound to *columns*, given by their SQL types; ``created_at`` is there without being asked for."""
    known = {"created_at": TIMESTAMPTZ, "id": "bigint", **columns}
    return bind(name, spec, {key: ColumnType(key, KeyType.of(sql)) for key, sql in known.items()})


def span(lower: str, upper: str, *prefix: KeyValue) -> RangeBound:
    """A range of instants, in the part of tenant *prefix* if there is one."""
    return RangeBound((*prefix, at(lower)), (*prefix, at(upper)))


def numbers(lower: KeyValue, upper: KeyValue) -> RangeBound:
    return RangeBound((lower,), (upper,))


def holds(*values: KeyValue) -> ListBound:
    return ListBound(frozenset(values))


def partition(name: str, bound: Bound, oid: int = 1, comment: str | None = CREATED) -> Partition:
    """One that we made, unless its *comment* says otherwise."""
    return Partition(EVENTS.sibling(name), oid, bound, "r", comment=comment)


def found(declared: DeclaredTable, *partitions: Partition) -> FoundTable:
    """The table as declared, with just these partitions."""
    return FoundTable(declared.name, 1, declared.spec.strategy, declared.level.key, partitions)


def named(plan: TablePlan) -> list[str]:
    """What a plan creates or removes, in order."""
    return [step.partition.name for step in plan.steps]


def bounds(plan: TablePlan) -> list[Bound | None]:
    return [step.bound for step in plan.steps]


class Refusal(Exception):
    """What a server would not do."""


@dataclass
class _Relation:
    name: QualifiedName
    oid: int
    partition_by: str | None
    parent: QualifiedName | None = None
    bound: Bound | None = None
    comment: str | None = CREATED
    pending: bool = False
    marked_by: QualifiedName | None = None
    marked_at: datetime | None = None
    had: str = ""


@dataclass
class Catalog:
    """A database that knows relations and bounds, and refuses what PostgreSQL would refuse."""

    declared: DeclaredTable
    relations: dict[QualifiedName, _Relation] = field(default_factory=dict)
    next_oid: int = 2

    def __post_init__(self) -> None:
        root = self.declared
        self.relations.setdefault(root.name, _Relation(root.name, 1, root.level.partition_by))

    # -- looking

    def found(self, *, backwards: bool = False) -> FoundTable:
        """The declared table with its partitions, in order of creation or *backwards*."""
        name = self.declared.name
        detached = tuple(
            DetachedTable(each.name, each.oid, each.marked_by, each.comment, each.marked_at, each.had)
            for each in self.relations.values()
            if each.marked_by is not None and each.parent is None
        )
        key = self.declared.level.key
        partitions = self._partitions(name, backwards)
        return FoundTable(name, 1, self.declared.spec.strategy, key, partitions, detached)

    def _partitions(self, parent: QualifiedName, backwards: bool) -> tuple[Partition, ...]:
        inside = [each for each in self.relations.values() if each.parent == parent]
        return tuple(self._partition(each, backwards) for each in (reversed(inside) if backwards else inside))

    def _partition(self, relation: _Relation, backwards: bool) -> Partition:
        assert relation.bound is not None
        return Partition(
            relation.name,
            relation.oid,
            relation.bound,
            "r" if relation.partition_by is None else "p",
            strategy=relation.partition_by.split()[0] if relation.partition_by else None,
            key=self._keys().get(relation.partition_by or ""),
            comment=relation.comment,
            detach_pending=relation.pending,
            partitions=self._partitions(relation.name, backwards),
        )

    def _keys(self) -> Mapping[str, PartitionKey]:
        return {level.partition_by: level.key for level in self.declared.levels()}

    # -- acting

    def apply(self, steps: Iterable[Step]) -> None:
        for step in steps:
            for action in step.actions:
                self.execute(action)

    def execute(self, action: Action) -> None:
        match action:
            case CreateTable(name, _, partition_by):
                self._create(name, partition_by)
            case CreatePartition(parent, name, bound, _, partition_by):
                self._create(name, partition_by)
                self._attach(parent, name, bound)
            case AttachPartition(parent, partition, bound):
                self._attach(parent, partition, bound)
            case DetachPartition(_, partition):
                self.relations[partition].parent = self.relations[partition].bound = None
            case FinalizeDetach(_, partition):
                self.relations[partition].parent, self.relations[partition].pending = None, False
            case DropPartition(_, name) | DropTable(name) | DropDetached(name):
                self._drop(name)
            case MarkDetached(table, parent, _, at, bound, key):
                relation = self.relations[table]
                relation.marked_by, relation.marked_at = parent, at
                relation.had = for_values(bound, key.types) if bound is not None and key is not None else ""
            case UnmarkDetached(table):
                self.relations[table].marked_by = None
            case MarkAdopted(table, _, at, comment):
                self.relations[table].comment = adopted(at, comment)
            case MoveRows() | ArchiveTable() | DeleteReferring() | DeleteExpired():
                pass

    def _create(self, name: QualifiedName, partition_by: str | None) -> None:
        if name in self.relations:
            raise Refusal(f"42P07: {name} exists")
        self.relations[name] = _Relation(name, self.next_oid, partition_by)
        self.next_oid += 1

    def _attach(self, parent: QualifiedName, name: QualifiedName, bound: Bound) -> None:
        for each in self.relations.values():
            if each.parent == parent and each.bound is not None and collide(bound, each.bound):
                raise Refusal(f"42P17: {name} {bound} overlaps {each.name} {each.bound}")
        relation = self.relations[name]
        if relation.parent is not None:
            raise Refusal(f"{name} is a partition already")
        relation.parent, relation.bound = parent, bound

    def _drop(self, name: QualifiedName) -> None:
        for each in [each.name for each in self.relations.values() if each.parent == name]:
            self._drop(each)
        del self.relations[name]

    def add(self, name: str, bound: Bound, partition_by: str | None = None) -> None:
        """A partition that somebody made by hand, and handed over."""
        self._create(self.declared.name.sibling(name), partition_by)
        self._attach(self.declared.name, self.declared.name.sibling(name), bound)

    def plan(self, context: Context, *, backwards: bool = False) -> TablePlan:
        return plan_table(self.declared, self.found(backwards=backwards), context)

    def converge(self, context: Context) -> TablePlan:
        """Plans and applies; what was planned."""
        plan = self.plan(context)
        self.apply(plan.steps)
        return plan


def collide(one: Bound, other: Bound) -> bool:
    """Whether PostgreSQL refuses both bounds under one parent."""
    match one, other:
        case (RangeBound(), RangeBound()) | (ListBound(), ListBound()) | (HashBound(), HashBound()):
            return one.overlaps(other)  # type: ignore[arg-type, union-attr]
        case DefaultBound(), DefaultBound():
            return True
    return False


def context(now: str | datetime, **changes: object) -> Context:
    base = Context(at(now) if isinstance(now, str) else now)
    return replace(base, **changes)  # type: ignore[arg-type]


def kinds(of: type[Action] = Action) -> tuple[type[Action], ...]:
    """Every kind of action, by module and name."""
    found = {each for below in of.__subclasses__() for each in (*kinds(below), below) if not each.__subclasses__()}
    # With slots a dataclass is made twice.
    kept = (each for each in found if getattr(sys.modules[each.__module__], each.__name__) is each)
    return tuple(sorted(kept, key=lambda each: (each.__module__, each.__name__)))
