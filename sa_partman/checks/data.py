"""What checks need to know of the rows themselves; read by the floor above, judged here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from sa_partman.names import QualifiedName


class Fate(StrEnum):
    """
    What becomes of rows of a default partition: the next run moves them, a later one does, or none. Of expired ones:
    the next run deletes them, a later one does; they are of a partition that we did not make, which the declaration may
    want; or its retention keeps what leaves the table, or counts its grace in time and the key has none.
    """

    NEXT = "next"
    LATER = "later"
    DELETED = "deleted"
    GRACE = "grace"
    FOREIGN = "foreign"
    KEPT = "kept"
    STAYING = "staying"
    TIMELESS = "timeless"
    NONE = "none"


class Blocked(NamedTuple):
    """
    Args:
        what: A cell of the grid, or a value, as text.
        rows: That lie in it, as far as they were seen.
        at: The first instant of the cell, for ``--at``; empty where there is none.
        where: The condition of its rows.
    """

    what: str
    rows: int
    fate: Fate = Fate.NONE
    at: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True)
class DefaultRows:
    """
    Rows that sit in a default partition.

    Args:
        partition: The default partition.
        rows: How many; estimated when the table is large.
        blocked: The cells or values that they belong to; the first ones, when there are many.
        sampled: The table is large and only a part of it was read.
        held: Why a run moves none of them although it makes their partitions, in words.
    """

    partition: QualifiedName
    rows: int
    blocked: tuple[Blocked, ...] = ()
    sampled: bool = False
    held: str = ""


@dataclass(frozen=True, slots=True)
class Misplaced:
    """
    Rows whose key a codec can't place.

    Args:
        partition: Where they sit.
        rows: How many were seen.
        sampled: The table is large and only a part of it was read.
    """

    partition: QualifiedName
    rows: int
    sampled: bool


@dataclass(frozen=True, slots=True)
class ByPartition:
    """
    Publications without ``publish_via_partition_root``.

    Args:
        publications: Their names; at least one.
        subscribed: The database has a slot of a subscriber, of whichever publication.
    """

    publications: tuple[str, ...]
    subscribed: bool


@dataclass(frozen=True, slots=True)
class TableFacts:
    """
    What the catalog says of one table beside its partitions.

    Args:
        indexes: Of the table itself; each partition has as many.
        nullable: Columns that may be NULL.
        written: Partitions at the end of a runway that have been written to.
        by_partition: None unless a publication sends its rows by the names of its partitions.
    """

    indexes: int = 0
    nullable: frozenset[str] = frozenset()
    written: frozenset[QualifiedName] = frozenset()
    by_partition: ByPartition | None = None


@dataclass(frozen=True, slots=True)
class LockTable:
    """
    How many locks all sessions together can hold.

    Args:
        per_transaction: ``max_locks_per_transaction``.
        transactions: ``max_connections`` and ``max_prepared_transactions`` together.
    """

    per_transaction: int
    transactions: int

    @property
    def size(self) -> int:
        """In locks."""
        return self.per_transaction * self.transactions


@dataclass(frozen=True, slots=True)
class LastRuns:
    """
    What the audit tables say of the runs.

    Args:
        age: Seconds since the last good run ended, by the server's clock; None: there was none.
        first: Seconds since the oldest run that is known began.
        began: When the last run began, in seconds since 1970.
        succeeded: When the last good run ended; None: there was none.
        seconds: How long the last run that ended took; None: there was none.
    """

    age: float | None
    first: float
    began: float
    succeeded: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class DataFacts:
    """Everything that was read of one table's rows."""

    default_rows: tuple[DefaultRows, ...] = ()
    misplaced: tuple[Misplaced, ...] = ()
