"""What the database has: partitioned tables and their partitions, as values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from shlex import quote as in_shell

from sa_partman.bounds.bound import Bound, DefaultBound
from sa_partman.key import PartitionKey
from sa_partman.names import QualifiedName, join_name


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
        comment: Its table comment; our marks there say that we made it, or that a pending detach is ours.
        rows: The planner's estimate; -1 when the table was never analyzed.
        pages: 8 kB pages of its main fork, as of the last analyze.
        detached_by: The backend whose concurrent detach of it still runs.
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
    detached_by: int | None = None
    strategy: str | None = None
    key: PartitionKey | None = None
    partitions: tuple[Partition, ...] = ()

    @property
    def has_foreign_tables(self) -> bool:
        """Whether it is a foreign table, or has one below it."""
        return any(each.kind == "f" for each in self.walk())

    def walk(self) -> Iterator[Partition]:
        """This partition, then all below it."""
        yield self
        yield from _each(self.partitions)


@dataclass(frozen=True, slots=True)
class DetachedTable:
    """
    A stand-alone table that bears our mark: it was detached from *parent*.

    Args:
        comment: The user's own comment, without the mark.
        at: When it was detached, as the mark says; aware.
        bound: The bound that it had, as the mark says it; empty when it does not.
        foreign: We had not made it, and nobody had handed it over.
        asked: It is the branch of a tenant that somebody asked to remove.
    """

    name: QualifiedName
    oid: int
    parent: QualifiedName
    comment: str | None = None
    at: datetime | None = None
    bound: str = ""
    foreign: bool = False
    asked: bool = False


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """
    A foreign key of another table, read only when something that it refers to is to be removed.

    Args:
        columns: Of *referencing*, in the key's order.
        referred: The columns of *referenced* that they refer to, in the same order.
        divided: *referencing* is partitioned itself.
    """

    referencing: QualifiedName
    referenced: QualifiedName
    columns: tuple[str, ...]
    referred: tuple[str, ...]
    divided: bool = False


@dataclass(frozen=True, slots=True)
class Privileges:
    """
    What a role, as a rule the connected one, may do with a table.

    Args:
        is_owner: It has the rights of the owner, without SET ROLE.
        may_create: The owner may create tables in the schema.
        owner: Unquoted.
        role: Whose privileges these are; unquoted.
        is_same: The role is the owner itself.
        may_set_role: SET ROLE to the owner is allowed.
        owner_is_superuser: Nobody should be made a member of that.
    """

    is_owner: bool = True
    may_create: bool = True
    owner: str = ""
    role: str = ""
    is_same: bool = True
    may_set_role: bool = True
    owner_is_superuser: bool = False

    @property
    def suffice(self) -> bool:
        """Whether the role can maintain the table."""
        return self.may_set_role and self.may_create


MEGABYTE = 1 << 20

LARGE_LOG = 1 << 30
"""Bytes of a log of changes that somebody should know of."""


@dataclass(frozen=True, slots=True)
class UnfinishedConversion:
    """
    A conversion, or the undo of one, that has begun and not ended, whether or not anybody works on it.

    Args:
        table: The name that the table has before, and the one that bears it after.
        oid: Of the table when it began.
        undo: It makes the table plain again.
        next_step: In words; empty at its end.
        cut_over: The swap is done, so there is no way back before its end.
        helper: The table that it builds beside this one, and that takes its name in the swap.
        now: What the table is called now; None when it is gone.
        elsewhere: What is true and what to do when it is not called *table* any more.
        kind: As it is stored: "convert", "undo", or of a rewrite such as "split", "copy" or "undo split".
        kept: Of a rewrite: all is done but to drop what was replaced.
        beside: Of a rewrite: tables that are partitions most of the time, and nobody else's in between.
        logged: Of a rewrite: bytes of the log for its way back, which grows with every row that is written.
    """

    table: QualifiedName
    oid: int
    undo: bool
    next_step: str
    cut_over: bool
    helper: QualifiedName
    now: QualifiedName | None = None
    elsewhere: tuple[str, str] | None = None
    kind: str = "convert"
    kept: bool = False
    beside: tuple[QualifiedName, ...] = ()
    logged: int = 0

    @property
    def rewrites(self) -> bool:
        """Whether rows move into other partitions, and the table stays what it is."""
        return self.kind not in ("convert", "undo")

    @property
    def moves_rows(self) -> bool:
        """Whether rows are on their way from partitions that must stay until they have arrived."""
        return self.kind not in ("convert", "undo") and not self.cut_over

    @property
    def message(self) -> str:
        if self.elsewhere is not None:
            return self.elsewhere[0]
        if self.kept:
            before = "the table from before it is" if self.kind == "copy" else "the partitions from before it are"
            told = f"the {self.kind} of {self.table} is done, and {before} kept on disk"
            grown = f"; the log of what was written since has {self.logged / MEGABYTE:,.0f} MB, and grows"
            return f"{told}{grown if self.logged >= MEGABYTE else ''}"
        what = "the undo of the conversion" if self.undo else "a conversion"
        if self.kind not in ("convert", "undo"):
            what = f"the {self.kind.replace('undo ', 'undo of the ')}"
        return f"{what} of {self.table} is in progress; next step: {self.next_step or 'its end'}"

    @property
    def remedy(self) -> str:
        if self.elsewhere is not None:
            return self.elsewhere[1]
        command = f"sa-partman {verb_of(self.kind)} {in_shell(str(self.table))}"
        if self.kept:
            undo = "" if self.kind.startswith("undo") else f", or take it back: {command} --undo"
            return f"drop {'it' if self.kind == 'copy' else 'them'}: {command} --finalize{undo}"
        back = "" if self.cut_over or self.kind.startswith("undo ") else f", or take it back: {command} --abort"
        return f"go on: {command} --resume{back}"


def verb_of(kind: str) -> str:
    """The command that goes on with a conversion or a rewrite of *kind*."""
    verb = kind.removeprefix("undo ")
    return "convert" if verb in ("convert", "undo", "copy") else verb


@dataclass(frozen=True, slots=True)
class LostConversion:
    """
    What a conversion left of which there is no record any more.

    Args:
        table: Plain.
        left: In words, what there is of it.
        statements: They take it back.
    """

    table: QualifiedName
    left: tuple[str, ...]
    statements: tuple[str, ...]

    @property
    def message(self) -> str:
        return (
            f"an unfinished conversion of {self.table} left {', '.join(self.left)}, and its record is gone: the table "
            f"sa_partman.conversion was dropped, or does not have it"
        )

    @property
    def remedy(self) -> str:
        return f"run, and convert it again then: {'; '.join(self.statements)}"


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
        conversion: The one in progress, or what is left of a forgotten one, if any.
    """

    name: QualifiedName
    oid: int
    strategy: str | None
    key: PartitionKey | None
    partitions: tuple[Partition, ...] = ()
    detached: tuple[DetachedTable, ...] = ()
    referenced: bool = False
    privileges: Privileges = Privileges()
    conversion: UnfinishedConversion | LostConversion | None = None

    def walk(self) -> Iterator[Partition]:
        """Every partition of every level."""
        return _each(self.partitions)


def _each(partitions: tuple[Partition, ...]) -> Iterator[Partition]:
    """They and all below them; a generator only for those that have any, since most have none."""
    for partition in partitions:
        yield partition
        if partition.partitions:
            yield from _each(partition.partitions)


Parent = FoundTable | Partition
"""Whatever has partitions: the table, or one of its partitions that is partitioned itself."""


def default_of(parent: Parent) -> Partition | None:
    """The default partition, if there is one."""
    return next((each for each in parent.partitions if isinstance(each.bound, DefaultBound)), None)


@dataclass(frozen=True, slots=True)
class InvalidIndex:
    """
    An index that no query uses, and that every write keeps up nevertheless.

    Args:
        relation: The oid of *table*.
        partitioned: Over a partitioned table: it lacks the index of a partition.
        built: Somebody builds it right now.
        above: The names of the indexes of the table's parent.
        lacking: A partition without its part, if there is one, as SQL; this and the next are about *partitioned* ones.
        below: A part of it that is invalid itself, as SQL.
        attached: A valid part of it, as SQL.
        foreign: A foreign table among the partitions of all levels, as SQL.
    """

    name: QualifiedName
    table: QualifiedName
    relation: int
    partitioned: bool = False
    built: bool = False
    above: tuple[str, ...] = ()
    lacking: str | None = None
    below: str | None = None
    attached: str | None = None
    foreign: str | None = None

    @property
    def ours(self) -> bool:
        """Whether ``op.create_partitioned_index`` began it for a partition: it bears the name that only we give."""
        named = (join_name(self.table.name, index) for index in self.above)
        return not self.partitioned and self.name.name in named


@dataclass(frozen=True, slots=True)
class Unvalidated:
    """A constraint that was not proved for the rows that were there before it; *relation* is the table's oid."""

    name: str
    table: QualifiedName
    relation: int


@dataclass(frozen=True, slots=True)
class Residues:
    """All of a database; that of tables which are not ours too."""

    indexes: tuple[InvalidIndex, ...] = ()
    constraints: tuple[Unvalidated, ...] = ()
