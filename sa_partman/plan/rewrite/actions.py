"""
Actions of a rewrite: the log of changed keys, chunks of a copy, replays of the log, and what is compared.

The log says only which rows changed, and a replay reads what they are by then: so the order of its entries does not
matter, and an application's statement writes one more row and can't fail because of the copy.
"""

from __future__ import annotations

from dataclasses import dataclass

from sa_partman.names import QualifiedName, fit_name, join_name
from sa_partman.plan.actions import Action


def log_table(table: QualifiedName) -> QualifiedName:
    """Where the changed keys of the declared *table* are written."""
    return QualifiedName("sa_partman", fit_name(f"log_{table}"))


def back_log(log: QualifiedName) -> QualifiedName:
    """The same of the new partitions."""
    return log.sibling(join_name(log.name, "back"))


@dataclass(frozen=True, slots=True)
class KeyLog:
    """
    Where changed keys are written.

    Args:
        table: The log; its trigger function has the same name.
        columns: The columns of the row identity: name and type.
    """

    table: QualifiedName
    columns: tuple[tuple[str, str], ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.columns)

    @property
    def back(self) -> KeyLog:
        """That of the new partitions, for the way back. What is replayed into them is in it too, and does no harm."""
        return KeyLog(back_log(self.table), self.columns)

    @property
    def keys(self) -> QualifiedName:
        """Where a replay puts the keys that it takes."""
        return self.table.sibling(join_name(self.table.name, "keys"))

    @property
    def rows(self) -> QualifiedName:
        """Where it puts the rows that have them."""
        return self.table.sibling(join_name(self.table.name, "rows"))


@dataclass(frozen=True, slots=True)
class CreateLog(Action):
    """
    Create *log*, its trigger function, and where replays put what they take. Locks *like*: ACCESS SHARE.

    Args:
        columns: Of the rows of *like* that are copied.
    """

    log: KeyLog
    like: QualifiedName
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DropLog(Action):
    """Drop *log* and its trigger function, which nothing uses any more. Locks *log*: ACCESS EXCLUSIVE."""

    log: KeyLog


@dataclass(frozen=True, slots=True)
class CaptureChanges(Action):
    """
    From now on the key of each row of *table* that changes is written to *log*, whoever changes it; and that it was
    emptied. Locks *table*: SHARE ROW EXCLUSIVE, which waits for every writer, so that none is missed.
    """

    table: QualifiedName
    log: KeyLog


@dataclass(frozen=True, slots=True)
class ReleaseChanges(Action):
    """End `CaptureChanges` of *table*. Locks it: ACCESS EXCLUSIVE."""

    table: QualifiedName


@dataclass(frozen=True, slots=True)
class CaptureTree(Action):
    """
    The same of a partitioned *table*: of each row, in whatever partition, those to come among them; and that one of the
    present partitions was emptied. Locks all of them: SHARE ROW EXCLUSIVE.

    Args:
        rows: False: the rows are captured already, and only partitions that came since are looked after.
    """

    table: QualifiedName
    log: KeyLog
    rows: bool = True


@dataclass(frozen=True, slots=True)
class RequireCaptured(Action):
    """Go on only if nothing is there that `CaptureTree` of *table* knows nothing of. Locks *table*: ACCESS SHARE."""

    table: QualifiedName
    log: KeyLog


@dataclass(frozen=True, slots=True)
class ReleaseLog(Action):
    """End what writes to *log*, wherever that is. Locks each of these tables: ACCESS EXCLUSIVE."""

    log: KeyLog


@dataclass(frozen=True, slots=True)
class RequireAlike(Action):
    """Go on only if *table* and *other* have the same columns. Locks both: ACCESS SHARE."""

    table: QualifiedName
    other: QualifiedName


@dataclass(frozen=True, slots=True)
class CopyChunk(Action):
    """
    Copy the next pages of *source* into *target*, and note in a comment of *target* how far that is: as many as the
    setting ``sa_partman.pages`` says. Locks *source*: ACCESS SHARE; *target*: SHARE UPDATE EXCLUSIVE.

    Args:
        columns: Those that are not generated.
        whole: All pages at once, with no note of it.
    """

    source: QualifiedName
    target: QualifiedName
    columns: tuple[str, ...]
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Replay(Action):
    """
    Take all that *log* has, and give *target* the rows that *source* has by those keys now. Locks *source*: ACCESS
    SHARE; *target* and *log*: ROW EXCLUSIVE.

    Args:
        source: The partitioned table; its partition key is part of the row identity.
        columns: Those that are not generated.
        indexed: *target* has its indexes.
        limit: Leave everything as it is when there is more; None: whatever there is.
    """

    source: QualifiedName
    target: QualifiedName
    log: KeyLog
    columns: tuple[str, ...]
    indexed: bool = True
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class CompareRows(Action):
    """
    Compare *sources* with *target* in one snapshot, but for the keys in *log*: the number of rows and two sums over
    hashes of them. Locks all: ACCESS SHARE.

    Args:
        columns: Name, and whether its type has a hash function of its own.
        whole: *sources* with all that lies below them.
    """

    sources: tuple[QualifiedName, ...]
    target: QualifiedName
    log: KeyLog
    columns: tuple[tuple[str, bool], ...]
    whole: bool = False


@dataclass(frozen=True, slots=True)
class RequirePartition(Action):
    """
    Go on only if *table* still is the partition of *parent* with *bound*. Locks it: ACCESS SHARE.

    Args:
        bound: As the server prints it; None: any.
    """

    table: QualifiedName
    parent: QualifiedName
    bound: str | None


@dataclass(frozen=True, slots=True)
class DropForeignKeys(Action):
    """
    Drop every foreign key of *table*, which is no partition, whatever its name is. Locks it and the tables that it
    refers to: ACCESS EXCLUSIVE.
    """

    table: QualifiedName


@dataclass(frozen=True, slots=True)
class PagesLeft(Action):
    """How many pages of *source* are not copied into *target* yet, and of how many. Locks *source*: ACCESS SHARE."""

    source: QualifiedName
    target: QualifiedName


@dataclass(frozen=True, slots=True)
class ChangesLeft(Action):
    """How many changes *log* has: 0 when they are *enough* or fewer; and again, however few. Locks it: ACCESS SHARE."""

    log: KeyLog
    enough: int
