"""
Actions about one table and what hangs on it: what makes a partition a full member of its table, and what a conversion
carries from one table to another.

A relation that is renamed meanwhile is named as it is called when the action runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sa_partman.names import QualifiedName
from sa_partman.plan.actions import Action
from sa_partman.table.definition import Policy, Publication
from sa_partman.table.membership import ColumnSetting, IndexTarget, MemberStatistics


class MemberAction(Action):
    """What makes a partition a full member of its table."""

    __slots__ = ()

    table: QualifiedName


Kind = Literal["TABLE", "INDEX", "SEQUENCE", "STATISTICS"]
"""What bears a name of its own in a schema."""

Subject = Kind | Literal["COLUMN", "CONSTRAINT", "TRIGGER", "POLICY"]
"""What bears a comment; the last ones belong to a table."""


@dataclass(frozen=True, slots=True)
class ChangeOwner(MemberAction):
    """Give *table* to *owner*. Locks it: ACCESS EXCLUSIVE."""

    table: QualifiedName
    owner: str
    kind: Kind = "TABLE"


@dataclass(frozen=True, slots=True)
class GrantPrivileges(MemberAction):
    """
    Grant *privileges* on *table*. Locks nothing but the catalog's own row: ACCESS SHARE.

    Args:
        grantee: Quoted, or PUBLIC.
        column: None: on the whole table.
        grantable: WITH GRANT OPTION.
    """

    table: QualifiedName
    grantee: str
    privileges: tuple[str, ...]
    column: str | None = None
    grantable: bool = False
    kind: Kind = "TABLE"


@dataclass(frozen=True, slots=True)
class RevokePrivileges(MemberAction):
    """
    Take *privileges* on *table* away, and what the grantee passed on of them. Locks as `GrantPrivileges`: ACCESS SHARE.
    """

    table: QualifiedName
    grantee: str
    privileges: tuple[str, ...]
    column: str | None = None
    grantable: bool = False
    kind: Kind = "TABLE"


@dataclass(frozen=True, slots=True)
class SetRowSecurity(MemberAction):
    """
    ENABLE or DISABLE ROW LEVEL SECURITY; *forced*: FORCE or NO FORCE, for the owner. Locks *table*: ACCESS EXCLUSIVE.
    """

    table: QualifiedName
    on: bool
    forced: bool = False


@dataclass(frozen=True, slots=True)
class CreatePolicy(MemberAction):
    """Give *table* a policy of its own. Locks it: ACCESS EXCLUSIVE."""

    table: QualifiedName
    policy: Policy


@dataclass(frozen=True, slots=True)
class DropPolicy(MemberAction):
    """Take a policy from *table*. Locks it: ACCESS EXCLUSIVE."""

    table: QualifiedName
    policy: str


@dataclass(frozen=True, slots=True)
class SetReplicaIdentity(MemberAction):
    """
    REPLICA IDENTITY of *table*. Locks it: ACCESS EXCLUSIVE.

    Args:
        identity: "d", "f", "n", or "i" with *index*.
        index: A partitioned index of the table at the top; the partition's own part of it is taken.
    """

    table: QualifiedName
    identity: str
    index: QualifiedName | None = None


@dataclass(frozen=True, slots=True)
class SetStorage(MemberAction):
    """
    Storage parameters of *table*, or options of its *column*. Locks it: SHARE UPDATE EXCLUSIVE.

    Args:
        options: Such as ``fillfactor=70``; those of the TOAST table begin with ``toast.``.
        unset: Take them away instead.
    """

    table: QualifiedName
    options: tuple[str, ...]
    unset: bool = False
    column: str | None = None


@dataclass(frozen=True, slots=True)
class SetColumn(MemberAction):
    """What the planner is told of a column of *table*. Locks it: SHARE UPDATE EXCLUSIVE."""

    table: QualifiedName
    setting: ColumnSetting


@dataclass(frozen=True, slots=True)
class SetIndexTarget(MemberAction):
    """
    The statistics target of an expression in the part that *table* has of a partitioned index. Locks that part: SHARE
    UPDATE EXCLUSIVE.
    """

    table: QualifiedName
    target: IndexTarget


@dataclass(frozen=True, slots=True)
class CreateStatistics(MemberAction):
    """
    Extended statistics of *table*, *name* like others. Locks it: SHARE UPDATE EXCLUSIVE.

    Args:
        like: Those of its table; or what follows the name, as the server writes it.
    """

    table: QualifiedName
    name: QualifiedName
    like: MemberStatistics | str


@dataclass(frozen=True, slots=True)
class SetStatisticsTarget(MemberAction):
    """
    The target of the extended statistics *name* of *table*. Locks it at most: SHARE UPDATE EXCLUSIVE.
    """

    table: QualifiedName
    name: QualifiedName
    target: int


@dataclass(frozen=True, slots=True)
class Publish(MemberAction):
    """
    Add *table* to a publication. Locks it: SHARE UPDATE EXCLUSIVE.

    Args:
        as_connected: The table's owner may not change the publication, and the connected role may.
    """

    table: QualifiedName
    publication: Publication
    as_connected: bool = False


@dataclass(frozen=True, slots=True)
class Unpublish(MemberAction):
    """Take *table* out of a publication. Locks it: SHARE UPDATE EXCLUSIVE."""

    table: QualifiedName
    publication: Publication
    as_connected: bool = False


@dataclass(frozen=True, slots=True)
class Rename(Action):
    """Another name, in the same schema. Locks it: ACCESS EXCLUSIVE; an index: SHARE UPDATE EXCLUSIVE."""

    kind: Kind
    name: QualifiedName
    to: str


@dataclass(frozen=True, slots=True)
class Comment(Action):
    """
    COMMENT ON something. Locks *name*, or the table of an index: SHARE UPDATE EXCLUSIVE.

    Args:
        comment: None: none any more.
        part: Its name, where it belongs to the table *name*.
    """

    kind: Subject
    name: QualifiedName
    comment: str | None
    part: str | None = None


@dataclass(frozen=True, slots=True)
class AddConstraint(Action):
    """
    A constraint as the server writes it. Locks *table*: ACCESS EXCLUSIVE; for a foreign key, it and the referenced
    table: SHARE ROW EXCLUSIVE.

    Args:
        options: Storage parameters of its index.
        validated: Else NOT VALID: only new rows are checked.
    """

    table: QualifiedName
    name: str
    definition: str
    options: tuple[str, ...] = ()
    validated: bool = True


@dataclass(frozen=True, slots=True)
class AddCheck(Action):
    """What must be true of the rows of *table*; see `AddConstraint`. Locks it: ACCESS EXCLUSIVE."""

    table: QualifiedName
    name: str
    predicate: str
    validated: bool = True


@dataclass(frozen=True, slots=True)
class AddPrimaryKey(Action):
    """
    A primary key, or with *index* one that is ready. Locks *table*: ACCESS EXCLUSIVE.

    Args:
        options: Storage parameters of its index.
        index: A unique index of *table*, which gets the name of the constraint.
    """

    table: QualifiedName
    name: str
    columns: tuple[str, ...] = ()
    included: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    index: str | None = None


@dataclass(frozen=True, slots=True)
class AddForeignKey(Action):
    """
    A foreign key that only new rows are checked by. Locks *table* and *references*: SHARE ROW EXCLUSIVE.

    Args:
        tail: What follows the referenced columns: MATCH, actions, DEFERRABLE.
        setting: The columns that an ON DELETE SET action sets; empty: all.
    """

    table: QualifiedName
    name: str
    columns: tuple[str, ...]
    references: QualifiedName
    referenced: tuple[str, ...]
    tail: str = ""
    setting: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ValidateConstraint(Action):
    """Reads all rows of *table*. Locks it: SHARE UPDATE EXCLUSIVE; what a foreign key refers to: ROW SHARE."""

    table: QualifiedName
    name: str


@dataclass(frozen=True, slots=True)
class DropConstraint(Action):
    """Locks *table*, and the table that a foreign key refers to: ACCESS EXCLUSIVE."""

    table: QualifiedName
    name: str
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class SetLogged(Action):
    """SET LOGGED; not *on*: SET UNLOGGED. It writes *table* anew. Locks *table*: ACCESS EXCLUSIVE."""

    table: QualifiedName
    on: bool = True


@dataclass(frozen=True, slots=True)
class SetNotNull(Action):
    """
    SET NOT NULL; not *on*: DROP NOT NULL. It reads all rows, unless a CHECK proves it. Locks *table*: ACCESS EXCLUSIVE.
    """

    table: QualifiedName
    column: str
    on: bool = True


@dataclass(frozen=True, slots=True)
class CreateIndex(Action):
    """
    Reads all rows of *table*. Locks it: SHARE; *concurrently*: SHARE UPDATE EXCLUSIVE.

    Args:
        tail: What follows the table, as the server writes it, instead of the fields behind it.
    """

    table: QualifiedName
    name: str
    tail: str = ""
    columns: tuple[str, ...] = ()
    included: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    tablespace: str | None = None
    unique: bool = False
    concurrently: bool = False


@dataclass(frozen=True, slots=True)
class DropIndex(Action):
    """Locks the index and its table: ACCESS EXCLUSIVE; *concurrently*: SHARE UPDATE EXCLUSIVE."""

    index: QualifiedName
    concurrently: bool = False
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class SetIndexTablespace(Action):
    """The tablespace of *index*, which has no rows yet, and of its parts to come. Locks it: ACCESS EXCLUSIVE."""

    index: QualifiedName
    tablespace: str


@dataclass(frozen=True, slots=True)
class SetIndexColumnTarget(Action):
    """The statistics target of an expression in *index*, by its *number*. Locks it: SHARE UPDATE EXCLUSIVE."""

    index: QualifiedName
    number: int
    target: int


@dataclass(frozen=True, slots=True)
class AddIdentity(Action):
    """
    Makes *column* an identity column. Locks *table*: ACCESS EXCLUSIVE.

    Args:
        always: Else BY DEFAULT.
        options: Of its sequence, as CREATE SEQUENCE takes them.
    """

    table: QualifiedName
    column: str
    always: bool
    sequence: QualifiedName
    options: str


@dataclass(frozen=True, slots=True)
class DropIdentity(Action):
    """Drops the sequence, too. Locks *table*: ACCESS EXCLUSIVE."""

    table: QualifiedName
    column: str


@dataclass(frozen=True, slots=True)
class ContinueSequence(Action):
    """*sequence* goes on after the last value of *other*. Locks both: ROW EXCLUSIVE, at most."""

    sequence: QualifiedName
    other: QualifiedName


@dataclass(frozen=True, slots=True)
class OwnSequence(Action):
    """*sequence* goes with *column* of *table*. Locks *table* and *sequence*: SHARE ROW EXCLUSIVE, at most."""

    sequence: QualifiedName
    table: QualifiedName
    column: str


@dataclass(frozen=True, slots=True)
class SetTrigger(Action):
    """
    When a trigger fires. Locks *table*: SHARE ROW EXCLUSIVE.

    Args:
        mode: "D" disabled, "A" always, "R" on a replica.
    """

    table: QualifiedName
    trigger: str
    mode: str


@dataclass(frozen=True, slots=True)
class DropTrigger(Action):
    """Locks *table*: ACCESS EXCLUSIVE."""

    table: QualifiedName
    trigger: str


@dataclass(frozen=True, slots=True)
class ExceptTables(Action):
    """
    *publication* is of all tables but *tables* and *others*. Locks *tables*: SHARE UPDATE EXCLUSIVE.

    Args:
        others: Quoted.
    """

    publication: str
    tables: tuple[QualifiedName, ...]
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Analyze(Action):
    """Reads a sample of *table*, and of its partitions unless *only*. Locks them: SHARE UPDATE EXCLUSIVE."""

    table: QualifiedName
    only: bool = False


@dataclass(frozen=True, slots=True)
class CopyEstimates(Action):
    """
    What the planner knows of the rows of *history*, it knows of *table* too, which has no others. PostgreSQL 18. Locks
    *table*: SHARE UPDATE EXCLUSIVE.
    """

    history: QualifiedName
    table: QualifiedName
