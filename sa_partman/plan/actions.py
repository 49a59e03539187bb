"""
Actions: single changes, as values. They hold no connection and know no SQL; each names the lock it takes.

Source of the locks: PostgreSQL, ALTER TABLE and CREATE TABLE; measured on 14-18.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sa_partman.bounds.bound import Bound
from sa_partman.compare.expired_rows import MOVED_AT_MOST
from sa_partman.key import PartitionKey
from sa_partman.names import QualifiedName
from sa_partman.spec.archive import Archive


class Action:
    """One change; see the classes of this module and of `table_actions`."""

    __slots__ = ()

    @property
    def in_transaction(self) -> bool:
        """Whether it can share a transaction with other actions: what is done concurrently can't."""
        return not getattr(self, "concurrently", False)


@dataclass(frozen=True, slots=True)
class CreateTable(Action):
    """
    A stand-alone table like *like*, to be attached, with our mark. Locks *like*: ACCESS SHARE.

    Args:
        partition_by: Such as ``HASH (id)``, when it is to have partitions itself.
        unlogged: Its rows are lost in a crash.
        tablespace: None: the default one.
        access_method: None: the default one.
        options: Storage parameters.
        without_statistics: It does not take over extended statistics.
        bare: Nor constraints, comments and our mark: it is no partition, or not to be seen as one yet.
    """

    name: QualifiedName
    like: QualifiedName
    partition_by: str | None = None
    unlogged: bool = False
    tablespace: str | None = None
    access_method: str | None = None
    options: tuple[str, ...] = ()
    without_statistics: bool = field(default=False, compare=False)
    bare: bool = False


@dataclass(frozen=True, slots=True)
class DropTable(Action):
    """
    Drop a table, and the partitions that it has. Locks it and, while attached, its parent: ACCESS EXCLUSIVE.

    Args:
        foreign: It is a foreign table; its rows stay on the other server.
    """

    name: QualifiedName
    foreign: bool = field(default=False, repr=False, kw_only=True)
    if_exists: bool = field(default=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class CreatePartition(Action):
    """
    A table made as a partition at once, with our mark. Locks the parent: ACCESS EXCLUSIVE; so for parents that nobody
    sees yet.
    """

    parent: QualifiedName
    name: QualifiedName
    bound: Bound
    key: PartitionKey
    partition_by: str | None = None
    unlogged: bool = False


@dataclass(frozen=True, slots=True)
class DropPartition(Action):
    """
    Drop an attached partition with its rows. Locks the parent: ACCESS EXCLUSIVE.

    Args:
        foreign: It is a foreign table; its rows stay on the other server.
    """

    parent: QualifiedName
    name: QualifiedName
    bound: Bound
    key: PartitionKey
    foreign: bool = field(default=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class AttachPartition(Action):
    """
    Make *partition* a partition of *parent*. Locks the parent: SHARE UPDATE EXCLUSIVE; a default partition and
    *partition*: ACCESS EXCLUSIVE.
    """

    parent: QualifiedName
    partition: QualifiedName
    bound: Bound
    key: PartitionKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class DetachPartition(Action):
    """
    Make *partition* a table of its own. Locks the parent and a default partition: ACCESS EXCLUSIVE; *concurrently*,
    the parent: SHARE UPDATE EXCLUSIVE.
    """

    parent: QualifiedName
    partition: QualifiedName
    bound: Bound
    key: PartitionKey = field(repr=False)
    concurrently: bool = False


@dataclass(frozen=True, slots=True)
class FinalizeDetach(Action):
    """
    End a concurrent detach that was interrupted. Locks the parent: SHARE UPDATE EXCLUSIVE; *partition*, and tables that
    refer to *parent*: ACCESS EXCLUSIVE.
    """

    parent: QualifiedName
    partition: QualifiedName


@dataclass(frozen=True, slots=True)
class DropInvalidIndex(Action):
    """
    Drop an index of *table* whose build was cut off, if it still is invalid. Locks *table*: ACCESS EXCLUSIVE, for an
    instant.
    """

    index: QualifiedName
    table: QualifiedName


@dataclass(frozen=True, slots=True)
class MarkDetached(Action):
    """
    Comment on *table* that it was detached from *parent* by us. Locks it: SHARE UPDATE EXCLUSIVE.

    Args:
        comment: The user's own comment, which is kept behind the mark.
        at: When it is detached; aware. The grace is counted from then.
        bound: The bound that it had.
        key: Of *parent*.
        foreign: We had not made it, and nobody had handed it over.
        asked: It is the branch of a tenant that somebody asked to remove.
    """

    table: QualifiedName
    parent: QualifiedName
    comment: str | None = None
    at: datetime | None = field(default=None, repr=False)
    bound: Bound | None = field(default=None, repr=False)
    key: PartitionKey | None = field(default=None, repr=False)
    foreign: bool = field(default=False, repr=False)
    asked: bool = field(default=False, repr=False)


@dataclass(frozen=True, slots=True)
class UnmarkDetached(Action):
    """Take our mark off *table*, which is attached again, and leave *comment*. Locks it: SHARE UPDATE EXCLUSIVE."""

    table: QualifiedName
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class MarkAdopted(Action):
    """
    Comment on the partition *table* that it was handed over to us: retention takes it like one that we made. Locks it:
    SHARE UPDATE EXCLUSIVE.

    Args:
        at: When; aware.
        comment: What it had, which is kept behind the mark.
        bound: Of the partition.
        key: Of *parent*.
    """

    table: QualifiedName
    parent: QualifiedName
    at: datetime
    comment: str | None = None
    bound: Bound | None = field(default=None, repr=False)
    key: PartitionKey | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class MoveRows(Action):
    """
    Move the rows that *bound* takes from *source* into *target*, at most one of which is attached. Locks *source* and
    *attached*: SHARE ROW EXCLUSIVE; with rows to move, *attached*: ACCESS EXCLUSIVE. It is refused where it
    would fire triggers, or a subscriber would see only a part of it.

    Args:
        limit: More rows than this are not moved; the step fails and nothing is changed.
        parent: Whose partitions both were and will be, if neither is attached; a hash is told by it.
        known_as: The name of *source* for people, where it has another one meanwhile.
        attached: Whose partition *source* is, when *target* is attached next: who writes waits here, because a row that
            waited for *source* would be refused when it goes on.
    """

    source: QualifiedName
    target: QualifiedName
    bound: Bound
    key: PartitionKey = field(repr=False)
    limit: int = MOVED_AT_MOST
    parent: QualifiedName | None = None
    known_as: QualifiedName | None = None
    attached: QualifiedName | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class CopyRows(Action):
    """
    Copy all rows of *source*, which is dropped afterwards, into *target*. Locks *source*: ACCESS SHARE; *target*: ROW
    EXCLUSIVE. It is refused where a subscriber would be sent the rows again.
    """

    source: QualifiedName
    target: QualifiedName


@dataclass(frozen=True, slots=True)
class RequireEmpty(Action):
    """
    Go on only if *table*, a partition of *parent*, has no row. Locks both, and what is below: ACCESS EXCLUSIVE, so that
    this stays so until the end of the transaction.
    """

    table: QualifiedName
    parent: QualifiedName


@dataclass(frozen=True, slots=True)
class DeleteReferring(Action):
    """
    Delete the rows of *table* that refer to rows of *partition*, in batches that are each a transaction. Locks *table*:
    ROW EXCLUSIVE.

    Args:
        columns: Of *table*, in the order of its foreign key.
        referred: The columns of *partition* that they refer to.
        batch: Rows in one transaction, at most.
        parent: Of *partition*, with *bound* and *key*: what tells whether it is still the one that was meant.
        where: Only rows that refer to such rows of *partition*; empty: to any.
    """

    table: QualifiedName
    partition: QualifiedName
    columns: tuple[str, ...]
    referred: tuple[str, ...]
    batch: int = 5_000
    parent: QualifiedName | None = field(default=None, repr=False)
    bound: Bound | None = field(default=None, repr=False)
    key: PartitionKey | None = field(default=None, repr=False)
    where: str = ""


@dataclass(frozen=True, slots=True)
class DeleteExpired(Action):
    """
    Delete the expired rows of *table*, in batches that are each a transaction. Locks it: ROW EXCLUSIVE, and the rows of
    a batch.

    Args:
        table: The default partition *default* of *parent*, or a table below it.
        where: Which rows are expired: on the key, with an end that does not move.
        key: Of *parent*.
        batch: Rows in one transaction, at most.
        rows: How many there were when it was planned, up to `COUNTED`.
    """

    table: QualifiedName
    default: QualifiedName
    parent: QualifiedName
    where: str
    key: PartitionKey = field(repr=False)
    batch: int = 5_000
    rows: int = field(default=0, compare=False, repr=False)

    @property
    def in_transaction(self) -> bool:
        """Each batch is one, so that it needs to be outside of any."""
        return False


COUNTED = 1_000_000
"""Expired rows of a default partition that are counted before they are deleted."""


@dataclass(frozen=True, slots=True)
class ArchiveTable(Action):
    """
    Write *table*, which was detached from *parent*, to a file, and read it back. Locks it: SHARE ROW EXCLUSIVE.

    Args:
        archive: Where, and how.
        bound: The bound that it had, where that is known.
        key: Of *parent*.
    """

    table: QualifiedName
    parent: QualifiedName
    archive: Archive
    bound: Bound | None = field(default=None, repr=False)
    key: PartitionKey | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class DropDetached(Action):
    """
    Drop *table* if it still bears our mark, which names *parent*. Locks it: SHARE ROW EXCLUSIVE, then ACCESS EXCLUSIVE,
    also on the tables that it refers to.

    Args:
        archive: Where an archive must be found that holds the very rows of the table.
        expired: What all its rows must lie in, when its mark does not say what bound it had.
        key: Of *parent*.
    """

    table: QualifiedName
    parent: QualifiedName
    archive: Archive | None = None
    expired: Bound | None = field(default=None, repr=False)
    key: PartitionKey | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Stored(Action):
    """
    A statement as the catalog has it, or as a conversion has stored it. Locks what it says, at most: ACCESS EXCLUSIVE.

    Args:
        sql: Without a semicolon.
        transaction: False: it can only stand alone (CONCURRENTLY).
    """

    sql: str
    transaction: bool = True

    @property
    def in_transaction(self) -> bool:
        return self.transaction
