"""Locks: which relations a step locks, in which mode and in which order; and which modes exclude each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum

from sa_partman.names import QualifiedName
from sa_partman.plan.actions import (
    Action,
    ArchiveTable,
    AttachPartition,
    CreatePartition,
    CreateTable,
    DeleteReferring,
    DetachPartition,
    DropDetached,
    DropInvalidIndex,
    DropPartition,
    DropTable,
    FinalizeDetach,
    MarkAdopted,
    MarkDetached,
    MoveRows,
    RequireEmpty,
    UnmarkDetached,
)
from sa_partman.plan.table_actions import (
    ChangeOwner,
    CreatePolicy,
    CreateStatistics,
    DropPolicy,
    Publish,
    SetColumn,
    SetReplicaIdentity,
    SetRowSecurity,
    SetStorage,
    Unpublish,
)

__all__ = ["Around", "Lock", "LockMode", "Place", "Relatives", "locks_of", "subjects_of"]


class LockMode(IntEnum):
    """The modes of a table's lock, the weakest first."""

    ACCESS_SHARE = 1
    ROW_SHARE = 2
    ROW_EXCLUSIVE = 3
    SHARE_UPDATE_EXCLUSIVE = 4
    SHARE = 5
    SHARE_ROW_EXCLUSIVE = 6
    EXCLUSIVE = 7
    ACCESS_EXCLUSIVE = 8

    @property
    def sql(self) -> str:
        """As ``LOCK TABLE ... IN ... MODE`` has it."""
        return self.name.replace("_", " ")

    @property
    def gentle(self) -> bool:
        """Whether it stops no reader and no writer, so that asking for it makes none of them wait."""
        return self <= LockMode.SHARE_UPDATE_EXCLUSIVE

    def conflicts(self, other: LockMode) -> bool:
        """Whether one transaction waits for it while another one holds *other*."""
        return other in _CONFLICTS[self]

    @property
    def catalog(self) -> str:
        """As ``pg_locks.mode`` has it, such as "AccessShareLock"."""
        return self.name.title().replace("_", "") + "Lock"

    @classmethod
    def of_catalog(cls, name: str) -> LockMode | None:
        """The mode that ``pg_locks.mode`` calls *name*; None when it is no mode of a table's lock."""
        return _BY_CATALOG.get(name)


_CONFLICTS = {
    LockMode.ACCESS_SHARE: {LockMode.ACCESS_EXCLUSIVE},
    LockMode.ROW_SHARE: set(LockMode) - set(list(LockMode)[:6]),
    LockMode.ROW_EXCLUSIVE: set(LockMode) - set(list(LockMode)[:4]),
    LockMode.SHARE_UPDATE_EXCLUSIVE: set(LockMode) - set(list(LockMode)[:3]),
    LockMode.SHARE: set(LockMode) - {LockMode.ACCESS_SHARE, LockMode.ROW_SHARE, LockMode.SHARE},
    LockMode.SHARE_ROW_EXCLUSIVE: set(LockMode) - set(list(LockMode)[:2]),
    LockMode.EXCLUSIVE: set(LockMode) - {LockMode.ACCESS_SHARE},
    LockMode.ACCESS_EXCLUSIVE: set(LockMode),
}
_BY_CATALOG = {mode.catalog: mode for mode in LockMode}


class Place(IntEnum):
    """
    The order in which locks are taken: that of an application which writes the referenced table first, and then what
    refers to it, through the partitioned table and down to a partition.
    """

    REFERENCED = 0
    PARENT = 1
    PARTITION = 2
    DEFAULT = 3


@dataclass(frozen=True, slots=True)
class Lock:
    """
    A lock that a step takes on a relation that is there before it.

    Args:
        tree: On all partitions below it too.
    """

    table: QualifiedName
    mode: LockMode
    place: Place
    tree: bool = False

    def __str__(self) -> str:
        return f"{self.mode.sql} on {self.table}"


@dataclass(frozen=True, slots=True)
class Relatives:
    """
    What the catalog has around a relation.

    Args:
        parent: Whose partition it is.
        default: Its default partition.
        referenced: Tables that its foreign keys refer to, with all their partitions.
        referencing: Tables whose foreign keys refer to it.
        below: Its partitions of all levels, the lowest first; only known of what goes.
        before_15: The server attaches a partition without a lock on *referencing*.
    """

    parent: QualifiedName | None = None
    default: QualifiedName | None = None
    referenced: tuple[QualifiedName, ...] = ()
    referencing: tuple[QualifiedName, ...] = ()
    below: tuple[QualifiedName, ...] = ()
    before_15: bool = False


Around = Mapping[QualifiedName, Relatives]
"""The relations that are there, each with its relatives; what is missing does not exist (yet)."""


Gone = Mapping[QualifiedName, tuple[QualifiedName, ...]]
"""Partitions that stand alone by now, each with what the foreign keys of its former table refer to."""


def subjects_of(actions: Iterable[Action]) -> dict[QualifiedName, bool]:
    """The relations to look up before `locks_of` can tell the locks, and whether each goes with all below it."""
    found: dict[QualifiedName, bool] = {}
    made: set[QualifiedName] = set()
    for action in actions:
        if isinstance(action, CreateTable | CreatePartition):
            made.add(action.name)
        for name in _named(action):
            if name not in made:
                found[name] = found.get(name, False) or _goes(action, name)
    return found


def locks_of(actions: Iterable[Action], around: Around) -> tuple[Lock, ...]:
    """
    Every lock that *actions* take, the strongest one for each relation, in the order in which to ask for them.

    Args:
        around: Of every relation that `subjects_of` names. What the step makes itself is not in it: nobody knows it.
    """
    wanted: dict[QualifiedName, Lock] = {}
    gone: dict[QualifiedName, tuple[QualifiedName, ...]] = {}
    for action in actions:
        if isinstance(action, CreateTable | CreatePartition):
            # What had the name before was dropped by these actions; nobody knows the new one.
            around = {name: relatives for name, relatives in around.items() if name != action.name}
        for lock in _locks(action, around, gone):
            known = wanted.get(lock.table, lock)
            mode, place = max(known.mode, lock.mode), min(known.place, lock.place)
            wanted[lock.table] = replace(lock, mode=mode, place=place, tree=known.tree or lock.tree)
        if isinstance(action, DetachPartition):
            gone[action.partition] = around.get(action.parent, Relatives()).referenced
    return tuple(sorted(wanted.values(), key=lambda lock: lock.place))


def _named(action: Action) -> tuple[QualifiedName, ...]:
    match action:
        case AttachPartition() | DetachPartition() | FinalizeDetach():
            return action.parent, action.partition
        case CreatePartition() | DropPartition():
            return action.parent, action.name
        case DropTable():
            return (action.name,)
        case RequireEmpty():
            return action.parent, action.table
        case ArchiveTable() | DeleteReferring() | DropDetached():
            return (action.table,)
        case MoveRows():
            return (action.source,) if action.attached is None else (action.attached, action.source)
        case _:
            lock = _of_one(action)
            return () if lock is None else (lock.table,)


def _goes(action: Action, name: QualifiedName) -> bool:
    if isinstance(action, DropDetached):
        return True
    return isinstance(action, DropTable | DropPartition) and name == action.name


def _locks(action: Action, around: Around, gone: Gone) -> Iterator[Lock]:
    match action:
        case AttachPartition():
            yield from _attach(action, around)
        case CreatePartition():
            if action.parent in around:
                yield from _joined(around[action.parent])
                yield Lock(action.parent, LockMode.ACCESS_EXCLUSIVE, Place.PARENT)
        case DetachPartition() if action.parent in around:
            yield from _parted(around[action.parent])
            yield Lock(action.parent, LockMode.ACCESS_EXCLUSIVE, Place.PARENT)
            yield from _on(action.partition, around, LockMode.ACCESS_EXCLUSIVE)
        case DropPartition() if action.name in around:
            default = around.get(action.parent, Relatives()).default
            yield Lock(action.parent, LockMode.ACCESS_EXCLUSIVE, Place.PARENT)
            yield Lock(action.name, LockMode.ACCESS_EXCLUSIVE, Place.PARTITION, tree=True)
            yield from () if default is None else [Lock(default, LockMode.ACCESS_EXCLUSIVE, Place.DEFAULT)]
        case DropTable() if action.name in around:
            yield from _drop(action.name, around[action.name], gone)
        case FinalizeDetach() if action.parent in around:
            yield from _parted(around[action.parent])
            yield Lock(action.parent, LockMode.SHARE_UPDATE_EXCLUSIVE, Place.PARENT)
            yield from _on(action.partition, around, LockMode.ACCESS_EXCLUSIVE)
        case DropDetached() if action.table in around:
            yield from _drop(action.table, around[action.table], {action.table: ()})
        case ArchiveTable():
            yield from _on(action.table, around, LockMode.SHARE_ROW_EXCLUSIVE)
        case MoveRows():
            if action.attached is not None:
                yield from _on(action.attached, around, LockMode.SHARE_ROW_EXCLUSIVE, Place.PARENT)
            yield from _on(action.source, around, LockMode.SHARE_ROW_EXCLUSIVE, Place.DEFAULT)
        case RequireEmpty() if action.table in around:
            yield Lock(action.parent, LockMode.ACCESS_EXCLUSIVE, Place.PARENT)
            yield Lock(action.table, LockMode.ACCESS_EXCLUSIVE, Place.PARTITION, tree=True)
        case _:
            lock = _of_one(action)
            if lock is not None and lock.table in around:
                yield lock


def _of_one(action: Action) -> Lock | None:
    """The lock of an action that is about a single table."""
    if isinstance(action, MarkDetached | UnmarkDetached | MarkAdopted | SetStorage | SetColumn | CreateStatistics):
        return Lock(action.table, LockMode.SHARE_UPDATE_EXCLUSIVE, Place.PARTITION)
    if isinstance(action, Publish | Unpublish):
        return Lock(action.table, LockMode.SHARE_UPDATE_EXCLUSIVE, Place.PARTITION)
    if isinstance(action, DropInvalidIndex | ChangeOwner | SetRowSecurity | SetReplicaIdentity):
        return Lock(action.table, LockMode.ACCESS_EXCLUSIVE, Place.PARTITION)
    if isinstance(action, CreatePolicy | DropPolicy):
        return Lock(action.table, LockMode.ACCESS_EXCLUSIVE, Place.PARTITION)
    return None


def _attach(action: AttachPartition, around: Around) -> Iterator[Lock]:
    if action.parent not in around:
        return
    yield from _joined(around[action.parent])
    yield Lock(action.parent, LockMode.SHARE_UPDATE_EXCLUSIVE, Place.PARENT)
    if action.partition in around:
        # Its own foreign keys are merged with the parent's, which drops triggers of the tables that they refer to.
        for table in around[action.partition].referenced:
            yield Lock(table, LockMode.ACCESS_EXCLUSIVE, Place.REFERENCED)
    yield from _on(action.partition, around, LockMode.ACCESS_EXCLUSIVE)


def _joined(relatives: Relatives) -> Iterator[Lock]:
    """Around a table that gets a partition."""
    for table in relatives.referenced:
        yield Lock(table, LockMode.SHARE_ROW_EXCLUSIVE, Place.REFERENCED)
    for table in () if relatives.before_15 else relatives.referencing:
        yield Lock(table, LockMode.SHARE_ROW_EXCLUSIVE, Place.REFERENCED)
    yield from _default(relatives)


def _parted(relatives: Relatives) -> Iterator[Lock]:
    """Around a table that loses a partition, whose rows may be referenced."""
    for table in relatives.referenced:
        yield Lock(table, LockMode.SHARE_ROW_EXCLUSIVE, Place.REFERENCED)
    for table in relatives.referencing:
        yield Lock(table, LockMode.ACCESS_EXCLUSIVE, Place.REFERENCED)
    yield from _default(relatives)


def _default(relatives: Relatives) -> Iterator[Lock]:
    if relatives.default is not None:
        yield Lock(relatives.default, LockMode.ACCESS_EXCLUSIVE, Place.DEFAULT)


def _drop(name: QualifiedName, relatives: Relatives, gone: Gone) -> Iterator[Lock]:
    """A table that stands alone takes its triggers off the tables that it refers to; detached, as its table did."""
    if relatives.parent is None or name in gone:
        for table in (*relatives.referenced, *gone.get(name, ())):
            yield Lock(table, LockMode.ACCESS_EXCLUSIVE, Place.REFERENCED)
    else:
        yield Lock(relatives.parent, LockMode.ACCESS_EXCLUSIVE, Place.PARENT)
    yield Lock(name, LockMode.ACCESS_EXCLUSIVE, Place.PARTITION, tree=True)


def _on(name: QualifiedName, around: Around, mode: LockMode, place: Place = Place.PARTITION) -> Iterator[Lock]:
    if name in around:
        yield Lock(name, mode, place)
