"""Reads the anatomy of one table, in a session whose search path is pinned to pg_catalog."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row

from sa_partman.anatomy import (
    HERE,
    Anatomy,
    Column,
    Constraint,
    Cover,
    Dependent,
    ExtendedStatistics,
    Grant,
    InboundKey,
    Index,
    OwnedSequence,
    Policy,
    Privileges,
    Publication,
    Trigger,
)
from sa_partman.errors import CatalogError
from sa_partman.names import QualifiedName, quote
from sa_partman.postgres.conversion import anatomy_queries as sql
from sa_partman.postgres.outer_reference import with_name


def read_anatomy(connection: Connection, name: QualifiedName) -> Anatomy | None:
    """
    Args:
        connection: In a transaction that `pin` pinned.
        name: With its schema.

    Returns:
        None when there is no such table.
    """
    head = connection.execute(sql.TABLE, {"name": name.quoted}).one_or_none()
    if head is None:
        return None
    oid = {"oid": head.oid}
    return Anatomy(
        name=name,
        oid=head.oid,
        server=_server(connection),
        kind=head.kind,
        persistence=head.persistence,
        owner=head.owner,
        rows=head.rows,
        bytes=head.bytes,
        index_bytes=head.index_bytes,
        columns=tuple(_column(row) for row in connection.execute(sql.COLUMNS, oid)),
        sequences=tuple(_sequence(connection, row) for row in connection.execute(sql.SEQUENCES, oid).all()),
        indexes=tuple(_index(row) for row in connection.execute(sql.INDEXES, oid)),
        constraints=tuple(_constraint(row) for row in connection.execute(sql.CONSTRAINTS, oid)),
        inbound=tuple(_inbound(row) for row in connection.execute(sql.INBOUND, oid)),
        triggers=tuple(_trigger(row, head.printed) for row in connection.execute(sql.TRIGGERS, oid)),
        dependents=tuple(_dependents(connection, oid)),
        publications=tuple(_publications(connection, oid)),
        covers=tuple(_covers(connection, oid)),
        privileges=_privileges(connection, head.oid),
        policies=tuple(_policy(row, head.bare) for row in connection.execute(sql.POLICIES, oid)),
        row_security=head.row_security,
        force_row_security=head.force_row_security,
        comments=tuple((row.column, row.description) for row in connection.execute(sql.COMMENTS, oid)),
        statistics=tuple(_statistics(row, head.printed) for row in connection.execute(sql.STATISTICS, oid)),
        replica_identity=head.replica_identity,
        replica_index=head.replica_index,
        options=tuple(head.options),
        tablespace=head.tablespace,
        access_method=head.access_method or "heap",
        obstacles=tuple(head.obstacles or ()),
        key_users=tuple(connection.execute(sql.KEY_USERS, oid).scalars()),
        missing_rights=tuple(
            connection.execute(sql.RIGHTS_16 if _server(connection) >= 16 else sql.RIGHTS_14, oid).scalars()
        ),
    )


def _server(connection: Connection) -> int:
    version = connection.dialect.server_version_info or (0,)
    return int(version[0])


def _changed(table: str, definition: str) -> CatalogError:
    """A definition is printed from the catalog of this moment, whatever the snapshot of the query is."""
    return CatalogError(
        f"{table} was changed while it was read ({definition}); nothing was changed by us. Try again, and report this "
        f"if it stays."
    )


def _column(row: Row[Any]) -> Column:
    return Column(
        row.name, row.type, row.not_null, row.identity, row.generated, row.statistics, tuple(row.options or ())
    )


def _sequence(connection: Connection, row: Row[Any]) -> OwnedSequence:
    return OwnedSequence(
        QualifiedName(row.schema, row.name),
        row.column,
        row.identity,
        row.options,
        row.comment,
        _privileges(connection, row.oid),
        tuple(row.users),
    )


def _index(row: Row[Any]) -> Index:
    head = f"CREATE {'UNIQUE ' if row.unique else ''}INDEX {row.printed} ON "
    place, _, tail = row.definition.removeprefix(head).partition(f"{row.table_printed} ")
    if not row.definition.startswith(head) or place not in ("", "ONLY "):
        raise _changed(row.table_printed, row.definition)
    return Index(
        row.name,
        tuple(row.columns),
        tail,
        row.unique,
        row.valid,
        row.constraint_name,
        row.kind or "",
        row.partial,
        row.immediate,
        row.comment,
        row.bytes,
        row.tablespace,
        tuple(row.included),
        tuple(row.options or ()),
        tuple((number, target) for number, target in row.targets),
    )


def _constraint(row: Row[Any]) -> Constraint:
    references = None if row.ref_name is None else QualifiedName(row.ref_schema, row.ref_name)
    return Constraint(
        row.name,
        row.kind,
        row.definition,
        tuple(row.columns or ()),
        row.validated,
        row.no_inherit,
        references,
        row.comment,
        row.to_partitioned,
    )


def _inbound(row: Row[Any]) -> InboundKey:
    if not row.definition.startswith(row.head):
        raise _changed(f"{row.schema}.{row.table_name}", row.definition)
    return InboundKey(
        row.name,
        QualifiedName(row.schema, row.table_name),
        tuple(row.columns),
        tuple(row.referenced),
        row.definition.removesuffix(" NOT VALID"),
        row.definition.removeprefix(row.head).removesuffix(" NOT VALID"),
        row.acts,
        row.validated,
        row.comment,
        tuple((name, type) for name, type in row.types),
    )


def _trigger(row: Row[Any], table: str) -> Trigger:
    return Trigger(
        row.name,
        _replaced(row.definition, table),
        row.enabled,
        row.row,
        row.transition_tables,
        row.before_insert,
        row.comment,
    )


def _replaced(definition: str, table: str) -> str:
    """*definition* with `HERE` for the table."""
    before, found, after = definition.partition(f" ON {table} ")
    if not found:
        raise _changed(table, definition)
    return f"{before} ON {HERE} {after}"


def _policy(row: Row[Any], table: str) -> Policy:
    kind = "PERMISSIVE" if row.permissive else "RESTRICTIVE"
    head = f"CREATE POLICY {quote(row.name)} ON {HERE} AS {kind} FOR {row.command} TO {', '.join(row.roles)}"
    return Policy(row.name, head + with_name(_expressions(row), table), row.reads_itself, row.comment)


def _expressions(row: Row[Any]) -> str:
    using = "" if row.using is None else f" USING ({row.using})"
    return using if row.checked is None else f"{using} WITH CHECK ({row.checked})"


def _statistics(row: Row[Any], table: str) -> ExtendedStatistics:
    if not row.tail.endswith(f" FROM {table}"):
        raise _changed(table, row.tail)
    tail = row.tail.removesuffix(table) + HERE
    return ExtendedStatistics(QualifiedName(row.schema, row.name), tail, row.target, row.comment)


def _privileges(connection: Connection, oid: int) -> Privileges:
    row = connection.execute(sql.PRIVILEGES, {"oid": oid}).one()
    grants = tuple(
        Grant(each.grantee, each.privilege, each.column, each.grantable)
        for each in connection.execute(sql.GRANTS, {"oid": oid})
    )
    untouched = row.untouched and not any(each.column for each in grants)
    return Privileges(row.owner, grants, untouched, tuple(row.strangers))


def _publications(connection: Connection, oid: dict[str, int]) -> Iterator[Publication]:
    server = _server(connection)
    query = sql.PUBLICATIONS_19 if server >= 19 else sql.PUBLICATIONS_15 if server >= 15 else sql.PUBLICATIONS_14
    for row in connection.execute(query, oid):
        columns = "" if row.columns is None else f" ({', '.join(quote(each) for each in row.columns)})"
        where = "" if row.condition is None else f" WHERE ({row.condition})"
        yield Publication(row.name, columns + where, row.via_root)


def _covers(connection: Connection, oid: dict[str, int]) -> Iterator[Cover]:
    server = _server(connection)
    query = sql.COVERS_19 if server >= 19 else sql.COVERS_15 if server >= 15 else sql.COVERS_14
    for row in connection.execute(query, oid):
        yield Cover(row.name, row.scope, row.via_root, row.excepted, tuple(row.others), row.ours)


def _dependents(connection: Connection, oid: dict[str, int]) -> Iterator[Dependent]:
    for row in connection.execute(sql.VIEWS, oid):
        yield _VIEWS.get(row.kind, _rule)(row)
    for row in connection.execute(sql.FUNCTIONS, oid):
        yield Dependent(row.identity, () if row.definition is None else (row.definition,))
    for row in connection.execute(sql.POLICIES_ELSEWHERE, oid):
        restore = f"ALTER POLICY {quote(row.name)} ON {row.printed}{_expressions(row)}"
        yield Dependent(row.identity, (restore,), (row.printed,))
    for row in connection.execute(sql.OTHERS, oid):
        yield Dependent(row.identity)


def _view(row: Row[Any]) -> Dependent:
    """CREATE OR REPLACE keeps grants and comments, and drops the options, which are set again."""
    options = "" if not row.options else f" WITH ({', '.join(row.options)})"
    definition = row.definition.rstrip().rstrip(";")
    return Dependent(row.identity, (f"CREATE OR REPLACE VIEW {row.printed}{options} AS {definition}",))


def _materialized(row: Row[Any]) -> Dependent:
    return Dependent(row.identity)


def _rule(row: Row[Any]) -> Dependent:
    replaced = row.definition.replace("CREATE RULE", "CREATE OR REPLACE RULE", 1)
    return Dependent(row.identity, (replaced,), (row.printed,))


_VIEWS = {"v": _view, "m": _materialized}
