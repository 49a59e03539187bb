"""What the database has: partitioned tables and their partitions, as values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sa_partman.bounds.bound import Bound, DefaultBound
from sa_partman.key import PartitionKey
from sa_partman.names import QualifiedName


@dataclass(frozen=True, slots=True)
class Partition:
    """
    One partition of any level.

    Args:
        name: Schema and name; the schema is never None here.
        oid: Its ``pg_class`` row, which survives renaming.
        bound: As the catalog has it; a partition is known by this, never by its name.
        kind: ``pg_class.relkind``: "r" a table, "p" partitioned itself, "f" foreign.
        detach_pending: A concurrent detach was begun and not finalized; its rows are invisible.
        comment: Its table comment; our mark there says that a pending detach is ours.
        rows: The planner's estimate; -1 when the table was never analyzed.
        pages: 8 kB pages of its main fork, as of the last analyze.
        strategy: "RANGE", "LIST" or "HASH" when it is partitioned itself.
        key: Its own partition key, then.
        partitions: Its own partitions, in catalog order.
    """

    name: QualifiedName
    oid: int
    bound: Bound
    kind: str
    detach_pending: bool = False
    comment: str | None = None
    rows: float = -1
    pages: int = 0
    strategy: str | None = None
    key: PartitionKey | None = None
    partitions: tuple[Partition, ...] = ()

    def walk(self) -> Iterator[Partition]:
        """This partition, then all below it."""
        yield self
        for partition in self.partitions:
            yield from partition.walk()


@dataclass(frozen=True, slots=True)
class DetachedTable:
    """
    A stand-alone table that bears our mark: it was detached from *parent*.

    Args:
        comment: The user's own comment, without the mark.
    """

    name: QualifiedName
    oid: int
    parent: QualifiedName
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Privileges:
    """What the connected role may do with a table."""

    is_owner: bool = True
    may_create: bool = True
    owner: str = ""


@dataclass(frozen=True, slots=True)
class FoundTable:
    """
    A table that the metadata declares, as the database has it.

    Args:
        strategy: None when the table is plain.
        key: None when the table is plain.
        partitions: Of the first level, in catalog order.
        detached: Tables that were detached from it, or from its sub-partitions, by us.
        referenced: Whether a foreign key of another table refers to it.
    """

    name: QualifiedName
    oid: int
    strategy: str | None
    key: PartitionKey | None
    partitions: tuple[Partition, ...] = ()
    detached: tuple[DetachedTable, ...] = ()
    referenced: bool = False
    privileges: Privileges = Privileges()

    def walk(self) -> Iterator[Partition]:
        """Every partition of every level."""
        for partition in self.partitions:
            yield from partition.walk()


Parent = FoundTable | Partition
"""Whatever has partitions: the table, or one of its partitions that is partitioned itself."""


def default_of(parent: Parent) -> Partition | None:
    """The default partition, if there is one."""
    return next((each for each in parent.partitions if isinstance(each.bound, DefaultBound)), None)
