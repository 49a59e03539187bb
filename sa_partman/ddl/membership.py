"""The statements that make a partition a full member of its table, and those that say who is at work."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import DDLCompiler

from sa_partman.ddl.elements import PartitionDDL, raw, relation
from sa_partman.names import QualifiedName, quote, text_literal
from sa_partman.plan.member_actions import (
    ChangeOwner,
    CreatePolicy,
    CreateStatistics,
    DropPolicy,
    GrantPrivileges,
    MemberAction,
    Publish,
    RevokePrivileges,
    SetColumn,
    SetIndexTarget,
    SetReplicaIdentity,
    SetRowSecurity,
    SetStatisticsTarget,
    SetStorage,
    Unpublish,
)
from sa_partman.table.definition import NAME, Policy
from sa_partman.table.membership import REPLICA, STATISTICS


class MemberDDL(PartitionDDL):
    """One change of what a table has for itself."""


class RoleDDL(PartitionDDL):
    """
    Who is at work from here on: a role, or None for the one that connected.

    In a transaction SET LOCAL ends with it, so that nothing of it goes back into a pool.
    """

    def __init__(self, role: str | None, *, local: bool = True) -> None:
        super().__init__(role)
        self.local = local


@compiles(RoleDDL, "postgresql")
def _role(element: RoleDDL, compiler: DDLCompiler, **_: Any) -> str:
    name = "NONE" if element.action is None else raw(compiler, quote(element.action))
    return f"SET {'LOCAL ' * element.local}ROLE {name}"


@compiles(MemberDDL, "postgresql")
def _member(element: MemberDDL, compiler: DDLCompiler, **_: Any) -> str:
    return _sql(element.action, compiler)


def statements(action: MemberAction) -> tuple[PartitionDDL, ...]:
    """The statements of *action*, in order."""
    change = MemberDDL(action)
    as_connected = isinstance(action, Publish | Unpublish) and action.as_connected
    return (RoleDDL(None), change) if as_connected else (change,)


@singledispatch
def _sql(action: MemberAction, compiler: DDLCompiler) -> str:
    raise NotImplementedError(type(action))


@_sql.register
def _(action: ChangeOwner, compiler: DDLCompiler) -> str:
    return f"{_alter(compiler, action.table)} OWNER TO {raw(compiler, quote(action.owner))}"


@_sql.register
def _(action: GrantPrivileges, compiler: DDLCompiler) -> str:
    option = " WITH GRANT OPTION" if action.grantable else ""
    return f"GRANT {_privileges(action, compiler)} TO {raw(compiler, action.grantee)}{option}"


@_sql.register
def _(action: RevokePrivileges, compiler: DDLCompiler) -> str:
    cascade = " CASCADE" if action.grantable else ""
    return f"REVOKE {_privileges(action, compiler)} FROM {raw(compiler, action.grantee)}{cascade}"


def _privileges(action: GrantPrivileges | RevokePrivileges, compiler: DDLCompiler) -> str:
    column = "" if action.column is None else f" ({raw(compiler, quote(action.column))})"
    listed = ", ".join(privilege + column for privilege in action.privileges)
    return f"{listed} ON TABLE {relation(compiler, action.table)}"


@_sql.register
def _(action: SetRowSecurity, compiler: DDLCompiler) -> str:
    verb = ("FORCE" if action.on else "NO FORCE") if action.forced else ("ENABLE" if action.on else "DISABLE")
    return f"{_alter(compiler, action.table)} {verb} ROW LEVEL SECURITY"


@_sql.register
def _(action: CreatePolicy, compiler: DDLCompiler) -> str:
    policy = action.policy
    kind = "PERMISSIVE" if policy.permissive else "RESTRICTIVE"
    using = "" if policy.using is None else f" USING ({_here(policy.using, action.table)})"
    check = "" if policy.check is None else f" WITH CHECK ({_here(policy.check, action.table)})"
    return (
        f"CREATE POLICY {raw(compiler, quote(policy.name))} ON {relation(compiler, action.table)} AS {kind} "
        f"FOR {policy.command} TO {raw(compiler, ', '.join(policy.roles))}{raw(compiler, using + check)}"
    )


def _here(expression: str, table: QualifiedName) -> str:
    return expression.replace(NAME, quote(table.name))


@_sql.register
def _(action: DropPolicy, compiler: DDLCompiler) -> str:
    policy: Policy = action.policy
    return f"DROP POLICY {raw(compiler, quote(policy.name))} ON {relation(compiler, action.table)}"


@_sql.register
def _(action: SetReplicaIdentity, compiler: DDLCompiler) -> str:
    alter = f"{_alter(compiler, action.table)} REPLICA IDENTITY"
    if action.index is None:
        return f"{alter} {REPLICA[action.identity]}"
    named = f"{text_literal(f'{alter} USING INDEX ')} || pg_catalog.quote_ident(c.relname)"
    return _of_part(named, action.table, action.index, compiler)


def _of_part(statement: str, table: QualifiedName, index: QualifiedName, compiler: DDLCompiler) -> str:
    """*statement* over the part ``c`` of *index* that *table* has: the server named it when it was attached."""
    part = (
        f"SELECT {statement} "
        f"FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid "
        f"WHERE x.indrelid = {_regclass(relation(compiler, table))} "
        f"AND pg_catalog.pg_partition_root(x.indexrelid) = {_regclass(relation(compiler, index))}"
    )
    return f"DO {text_literal(f'BEGIN EXECUTE ({part}); END')}"


def _regclass(printed: str) -> str:
    return f"{text_literal(printed)}::pg_catalog.regclass"


@_sql.register
def _(action: SetStorage, compiler: DDLCompiler) -> str:
    verb = "RESET" if action.unset else "SET"
    named = (option.partition("=")[0] if action.unset else option for option in action.options)
    return f"{_alter(compiler, action.table)} {verb} ({raw(compiler, ', '.join(named))})"


@_sql.register
def _(action: SetColumn, compiler: DDLCompiler) -> str:
    setting = action.setting
    told = f"STATISTICS {setting.value}" if setting.name == STATISTICS else f"({setting.name} = {setting.value})"
    return f"{_alter(compiler, action.table)} ALTER COLUMN {raw(compiler, quote(setting.column))} SET {told}"


@_sql.register
def _(action: SetIndexTarget, compiler: DDLCompiler) -> str:
    target = action.target
    sets = text_literal(f" ALTER COLUMN {target.number} SET STATISTICS {target.target}")
    named = f"'ALTER INDEX ' || c.oid::pg_catalog.regclass || {sets}"
    return _of_part(named, action.table, target.index, compiler)


_KINDS = {"d": "ndistinct", "f": "dependencies", "m": "mcv"}


@_sql.register
def _(action: CreateStatistics, compiler: DDLCompiler) -> str:
    like = action.like
    kinds = f" ({', '.join(_KINDS[kind] for kind in like.kinds)})" if like.kinds else ""
    subjects = ", ".join((*map(quote, like.columns), *(f"({each})" for each in like.expressions)))
    name = relation(compiler, action.name)
    return f"CREATE STATISTICS {name}{kinds} ON {raw(compiler, subjects)} FROM {relation(compiler, action.table)}"


@_sql.register
def _(action: SetStatisticsTarget, compiler: DDLCompiler) -> str:
    return f"ALTER STATISTICS {relation(compiler, action.name)} SET STATISTICS {action.target}"


@_sql.register
def _(action: Publish, compiler: DDLCompiler) -> str:
    name = raw(compiler, quote(action.publication.name))
    return (
        f"ALTER PUBLICATION {name} ADD TABLE {relation(compiler, action.table)}{raw(compiler, action.publication.tail)}"
    )


@_sql.register
def _(action: Unpublish, compiler: DDLCompiler) -> str:
    name = raw(compiler, quote(action.publication.name))
    return f"ALTER PUBLICATION {name} DROP TABLE {relation(compiler, action.table)}"


def _alter(compiler: DDLCompiler, table: QualifiedName) -> str:
    return f"ALTER TABLE {relation(compiler, table)}"
