"""Actions that make a partition a full member of its table; each is about one table, attached or still to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sa_partman.names import QualifiedName
from sa_partman.table.definition import Policy, Publication
from sa_partman.table.membership import ColumnSetting, IndexTarget, MemberStatistics


@dataclass(frozen=True, slots=True)
class ChangeOwner:
    """Give *table* to *owner*. Locks it: ACCESS EXCLUSIVE."""

    table: QualifiedName
    owner: str
    before: str

    in_transaction: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class GrantPrivileges:
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

    in_transaction: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class RevokePrivileges:
    """
    Take *privileges* on *table* away, and what the grantee passed on of them. Locks as `GrantPrivileges`: ACCESS SHARE.
    """

    table: QualifiedName
    grantee: str
    privileges: tuple[str, ...]
    column: str | None = None
    grantable: bool = False

    in_transaction: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class SetRowSecurity:
    """
    ENABLE or DISABLE ROW LEVEL SECURITY; *forced*: FORCE or NO FORCE, for the owner. Locks *table*: ACCESS EXCLUSIVE.
    """

    table: QualifiedName
    on: bool
    forced: bool = False

    in_transaction: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class CreatePolicy:
    """Give *table* a policy of its own. Locks it: ACCESS EXCLUSIVE."""

    table: QualifiedName
    policy: Policy

    in_transaction: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class DropPolicy:
    """Take a policy from *table*. Locks it: ACCESS EXCLUSIVE."""

    table: QualifiedName
    policy: Policy

    in_transaction: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class SetReplicaIdentity:
    """
    REPLICA IDENTITY of *table*. Locks it: ACCESS EXCLUSIVE.

    Args:
        identity: "d", "f", "n", or "i" with *index*.
        index: A partitioned index of the table at the top; the partition's own part of it is taken.
        before: What it was.
    """

    table: QualifiedName
    identity: str
    index: QualifiedName | None = None
    before: str = "d"
    index_before: QualifiedName | None = None

    in_transaction: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class SetStorage:
    """
    Storage parameters of a new *table*. Locks it: SHARE UPDATE EXCLUSIVE.

    Args:
        options: Such as ``fillfactor=70``; those of the TOAST table begin with ``toast.``.
        unset: Take them away instead.
    """

    table: QualifiedName
    options: tuple[str, ...]
    unset: bool = False

    in_transaction: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class SetColumn:
    """What the planner is told of a column of *table*. Locks it: SHARE UPDATE EXCLUSIVE."""

    table: QualifiedName
    setting: ColumnSetting

    in_transaction: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class SetIndexTarget:
    """
    The statistics target of an expression in the part that *table* has of a partitioned index. Locks that part: SHARE
    UPDATE EXCLUSIVE.
    """

    table: QualifiedName
    target: IndexTarget

    in_transaction: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class CreateStatistics:
    """
    Extended statistics of *table*, *name* like those of its table. Locks it: SHARE UPDATE EXCLUSIVE.
    """

    table: QualifiedName
    name: QualifiedName
    like: MemberStatistics

    in_transaction: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class SetStatisticsTarget:
    """
    The target of the extended statistics *name* of *table*. Locks it at most: SHARE UPDATE EXCLUSIVE.
    """

    table: QualifiedName
    name: QualifiedName
    target: int

    in_transaction: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Publish:
    """
    Add *table* to a publication. Locks it: SHARE UPDATE EXCLUSIVE.

    Args:
        as_connected: The table's owner may not change the publication, and the connected role may.
    """

    table: QualifiedName
    publication: Publication
    as_connected: bool = False

    in_transaction: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Unpublish:
    """Take *table* out of a publication. Locks it: SHARE UPDATE EXCLUSIVE."""

    table: QualifiedName
    publication: Publication
    as_connected: bool = False

    in_transaction: ClassVar[bool] = True


MemberAction = (
    ChangeOwner
    | GrantPrivileges
    | RevokePrivileges
    | SetRowSecurity
    | CreatePolicy
    | DropPolicy
    | SetReplicaIdentity
    | SetStorage
    | SetColumn
    | SetIndexTarget
    | CreateStatistics
    | SetStatisticsTarget
    | Publish
    | Unpublish
)
