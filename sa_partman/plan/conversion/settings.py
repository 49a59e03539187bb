"""Statements that make another table say and allow what one does: comments, privileges, policies, statistics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from sa_partman.names import QualifiedName, join_name, quote
from sa_partman.plan.naming import statistics_name
from sa_partman.table.definition import (
    HERE,
    NAME,
    Column,
    ExtendedStatistics,
    ObjectPrivileges,
    Policy,
    TableDefinition,
)

_REPLICA = {"d": "DEFAULT", "f": "FULL", "n": "NOTHING"}


def literal(value: str) -> str:
    """*value* between quotes, whatever ``standard_conforming_strings`` says."""
    escaped = value.replace("'", "''")
    return "E'" + escaped.replace("\\", "\\\\") + "'" if "\\" in escaped else f"'{escaped}'"


def commented(target: str, comment: str | None) -> Iterator[str]:
    if comment is not None:
        yield f"COMMENT ON {target} IS {literal(comment)}"


def recommented(target: str, comment: str | None, before: str | None) -> Iterator[str]:
    """*target*, whose comment is *before*, gets *comment*."""
    if comment != before:
        yield f"COMMENT ON {target} IS {'NULL' if comment is None else literal(comment)}"


def granted(privileges: ObjectPrivileges, target: str, also: Iterable[str] = ()) -> Iterator[str]:
    """
    Gives *target*, which belongs to the same owner, exactly these privileges.

    Args:
        target: Such as ``TABLE "public"."events"``; new, or with privileges of nobody but *also*.
        also: Quoted: others who have privileges on it.
    """
    others = dict.fromkeys((*privileges.strangers, *also))
    if privileges.untouched and not others:
        return
    revoked = ", ".join(dict.fromkeys(("PUBLIC", privileges.owner, *others)))
    yield f"REVOKE ALL ON {target} FROM {revoked}"
    for grant in privileges.grants:
        column = "" if grant.column is None else f" ({quote(grant.column)})"
        option = " WITH GRANT OPTION" if grant.grantable and grant.grantee != privileges.owner else ""
        yield f"GRANT {grant.privilege}{column} ON {target} TO {grant.grantee}{option}"


def table_settings(anatomy: TableDefinition, new: QualifiedName) -> Iterator[str]:
    """Comments, statistics targets, grants, row security and policies of the new table."""
    for column, comment in anatomy.comments:
        yield from commented(_place(new, column), comment)
    yield from member_settings(anatomy, new)


def _place(table: QualifiedName, column: str | None) -> str:
    return f"TABLE {table.quoted}" if column is None else f"COLUMN {table.quoted}.{quote(column)}"


def member_settings(anatomy: TableDefinition, table: QualifiedName) -> Iterator[str]:
    """What every table of the tree has for itself, for nothing of it is inherited."""
    yield from column_settings(anatomy, table)
    yield from granted(anatomy.privileges, f"TABLE {table.quoted}")
    if anatomy.row_security:
        yield f"ALTER TABLE {table.quoted} ENABLE ROW LEVEL SECURITY"
    if anatomy.force_row_security:
        yield f"ALTER TABLE {table.quoted} FORCE ROW LEVEL SECURITY"
    for policy in anatomy.policies:
        if not policy.reads_itself:
            yield from _policy(policy, table)
    yield from replica_identity(anatomy, table)


def late_policies(anatomy: TableDefinition, table: QualifiedName) -> Iterator[str]:
    """Policies that read the table itself: they can be made once the new one bears the name."""
    for policy in anatomy.policies:
        if policy.reads_itself:
            yield from _policy(policy, table)


def _policy(policy: Policy, table: QualifiedName) -> Iterator[str]:
    yield policy.definition.replace(HERE, table.quoted).replace(NAME, quote(table.name))
    yield from commented(f"POLICY {quote(policy.name)} ON {table.quoted}", policy.comment)


def column_settings(anatomy: TableDefinition, table: QualifiedName) -> Iterator[str]:
    for column in anatomy.columns:
        alter = f"ALTER TABLE {table.quoted} ALTER COLUMN {quote(column.name)}"
        if column.statistics >= 0:
            yield f"{alter} SET STATISTICS {column.statistics}"
        if column.options:
            yield f"{alter} SET ({', '.join(column.options)})"


def replica_identity(anatomy: TableDefinition, table: QualifiedName) -> Iterator[str]:
    """REPLICA IDENTITY, where it is neither the default nor that of an index: those are per partition."""
    if anatomy.replica_identity in ("f", "n"):
        yield f"ALTER TABLE {table.quoted} REPLICA IDENTITY {_REPLICA[anatomy.replica_identity]}"


def leaf_settings(anatomy: TableDefinition, leaf: QualifiedName, *, divided: bool = False) -> Iterator[str]:
    """
    What a partition does not take over from its partitioned table by itself.

    Args:
        divided: It is partitioned itself, and has no storage.
    """
    yield f"ALTER TABLE {leaf.quoted} OWNER TO {quote(anatomy.owner)}"
    if anatomy.options and not divided:
        yield f"ALTER TABLE {leaf.quoted} SET ({', '.join(anatomy.options)})"
    yield from member_settings(anatomy, leaf)


def extended_statistics(anatomy: TableDefinition, new: QualifiedName) -> Iterator[str]:
    """CREATE STATISTICS under temporary names."""
    for each in anatomy.statistics:
        yield from create_statistics(each, each.name.sibling(join_name(each.name.name, "pnew")), new, anatomy.owner)


def leaf_statistics(anatomy: TableDefinition, leaf: QualifiedName) -> Iterator[str]:
    """The same for a partition: the planner looks at the statistics of each by itself."""
    for each in anatomy.statistics:
        name = statistics_name(leaf, each.name.name)
        yield from create_statistics(replace(each, comment=None), name, leaf, anatomy.owner)


def create_statistics(like: ExtendedStatistics, name: QualifiedName, table: QualifiedName, owner: str) -> Iterator[str]:
    yield f"CREATE STATISTICS {name.quoted}{like.tail.replace(HERE, table.quoted)}"
    yield f"ALTER STATISTICS {name.quoted} OWNER TO {quote(owner)}"
    if like.target >= 0:
        yield f"ALTER STATISTICS {name.quoted} SET STATISTICS {like.target}"
    yield from commented(f"STATISTICS {name.quoted}", like.comment)


def rename_statistics(name: QualifiedName, new: str) -> str:
    return f"ALTER STATISTICS {name.quoted} RENAME TO {quote(new)}"


def adopted(anatomy: TableDefinition, table: TableDefinition, name: QualifiedName) -> Iterator[str]:
    """
    What *table* has to change to say and allow what *anatomy* does now.

    Args:
        name: What *table* is called when the statements run.
    """
    alter = f"ALTER TABLE {name.quoted}"
    if table.owner != anatomy.owner:
        yield f"{alter} OWNER TO {quote(anatomy.owner)}"
    wanted, before = dict(anatomy.comments), dict(table.comments)
    for column in dict.fromkeys((*before, *wanted)):
        yield from recommented(_place(name, column), wanted.get(column), before.get(column))
    yield from _columns_adopted(anatomy, table, alter)
    if {*anatomy.privileges.grants} != {*table.privileges.grants}:
        yield from granted(
            anatomy.privileges, f"TABLE {name.quoted}", sorted({each.grantee for each in table.privileges.grants})
        )
    yield from _row_security_adopted(anatomy, table, name)
    if anatomy.replica_identity != table.replica_identity and anatomy.replica_identity in _REPLICA:
        yield f"{alter} REPLICA IDENTITY {_REPLICA[anatomy.replica_identity]}"


def _columns_adopted(anatomy: TableDefinition, table: TableDefinition, alter: str) -> Iterator[str]:
    for column in anatomy.columns:
        before = table.find(column.name) or Column(column.name, column.type, column.not_null)
        if column.statistics != before.statistics:
            yield f"{alter} ALTER COLUMN {quote(column.name)} SET STATISTICS {column.statistics}"
        gone = [option.partition("=")[0] for option in before.options if option not in column.options]
        if gone:
            yield f"{alter} ALTER COLUMN {quote(column.name)} RESET ({', '.join(gone)})"
        if column.options and column.options != before.options:
            yield f"{alter} ALTER COLUMN {quote(column.name)} SET ({', '.join(column.options)})"


def _row_security_adopted(anatomy: TableDefinition, table: TableDefinition, name: QualifiedName) -> Iterator[str]:
    alter = f"ALTER TABLE {name.quoted}"
    if anatomy.row_security != table.row_security:
        yield f"{alter} {'ENABLE' if anatomy.row_security else 'DISABLE'} ROW LEVEL SECURITY"
    if anatomy.force_row_security != table.force_row_security:
        yield f"{alter} {'FORCE' if anatomy.force_row_security else 'NO FORCE'} ROW LEVEL SECURITY"
    for policy in table.policies:
        if policy not in anatomy.policies:
            yield f"DROP POLICY {quote(policy.name)} ON {name.quoted}"
    for policy in anatomy.policies:
        if policy not in table.policies:
            yield from _policy(policy, name)
