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
    Dependent,
    InboundKey,
    Index,
    OwnedSequence,
    Publication,
    Trigger,
)
from sa_partman.errors import CatalogError
from sa_partman.names import QualifiedName, quote
from sa_partman.postgres import anatomy_queries as sql


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
        kind=head.kind,
        persistence=head.persistence,
        owner=head.owner,
        rows=head.rows,
        bytes=head.bytes,
        index_bytes=head.index_bytes,
        columns=tuple(_column(row) for row in connection.execute(sql.COLUMNS, oid)),
        sequences=tuple(_sequence(row) for row in connection.execute(sql.SEQUENCES, oid)),
        indexes=tuple(_index(row) for row in connection.execute(sql.INDEXES, oid)),
        constraints=tuple(_constraint(row) for row in connection.execute(sql.CONSTRAINTS, oid)),
        inbound=tuple(_inbound(row) for row in connection.execute(sql.INBOUND, oid)),
        triggers=tuple(_trigger(row, head.printed) for row in connection.execute(sql.TRIGGERS, oid)),
        dependents=tuple(_dependents(connection, oid)),
        publications=tuple(_publications(connection, oid)),
        grants=tuple(_grants(connection, oid)),
        policies=tuple((row.name, _policy(row)) for row in connection.execute(sql.POLICIES, oid)),
        row_security=head.row_security,
        force_row_security=head.force_row_security,
        comments=tuple(_comment(row) for row in connection.execute(sql.COMMENTS, oid)),
        statistics=tuple(
            (row.name, _replaced(row.definition, head.printed)) for row in connection.execute(sql.STATISTICS, oid)
        ),
        replica_identity=head.replica_identity,
        replica_index=head.replica_index,
        options=tuple(head.options or ()),
        tablespace=head.tablespace,
        access_method=head.access_method or "heap",
        obstacles=tuple(head.obstacles or ()),
    )


def _column(row: Row[Any]) -> Column:
    return Column(
        row.name, row.type, row.not_null, row.identity, row.generated, row.statistics, tuple(row.options or ())
    )


def _sequence(row: Row[Any]) -> OwnedSequence:
    return OwnedSequence(QualifiedName(row.schema, row.name), row.column, row.identity, row.options)


def _index(row: Row[Any]) -> Index:
    head = f"CREATE {'UNIQUE ' if row.unique else ''}INDEX {row.printed} ON "
    place, _, tail = row.definition.removeprefix(head).partition(f"{row.table_printed} ")
    if not row.definition.startswith(head) or place not in ("", "ONLY "):
        raise CatalogError(f"unexpected index definition: {row.definition}")
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
    )


def _inbound(row: Row[Any]) -> InboundKey:
    return InboundKey(
        row.name,
        QualifiedName(row.schema, row.table_name),
        tuple(row.columns),
        tuple(row.referenced),
        row.definition,
        tuple(row.table_columns),
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
    """*definition* with `HERE` for the table: the first ``ON`` or the last ``FROM`` that names it."""
    for word in (" ON ", " FROM "):
        before, found, after = definition.partition(f"{word}{table}")
        if found:
            return f"{before}{word}{HERE}{after}"
    raise CatalogError(f"{table} is not named in: {definition}")


def _policy(row: Row[Any]) -> str:
    parts = [f"CREATE POLICY {quote(row.name)} ON {HERE} AS {'PERMISSIVE' if row.permissive else 'RESTRICTIVE'}"]
    parts.append(f"FOR {row.command} TO {', '.join(row.roles)}")
    if row.using is not None:
        parts.append(f"USING ({row.using})")
    if row.checked is not None:
        parts.append(f"WITH CHECK ({row.checked})")
    return " ".join(parts)


def _comment(row: Row[Any]) -> str:
    target = f"TABLE {HERE}" if row.column is None else f"COLUMN {HERE}.{quote(row.column)}"
    return f"COMMENT ON {target} IS {row.literal}"


def _grants(connection: Connection, oid: dict[str, int]) -> Iterator[str]:
    for row in connection.execute(sql.GRANTS, oid):
        columns = "" if row.column is None else f" ({quote(row.column)})"
        option = " WITH GRANT OPTION" if row.grantable else ""
        yield f"GRANT {row.privilege}{columns} ON TABLE {HERE} TO {row.grantee}{option}"


def _publications(connection: Connection, oid: dict[str, int]) -> Iterator[Publication]:
    modern = connection.dialect.server_version_info >= (15,)  # type: ignore[operator]
    for row in connection.execute(sql.PUBLICATIONS_15 if modern else sql.PUBLICATIONS_14, oid):
        columns = "" if row.columns is None else f" ({', '.join(quote(each) for each in row.columns)})"
        where = "" if row.condition is None else f" WHERE ({row.condition})"
        yield Publication(row.name, columns + where)


def _dependents(connection: Connection, oid: dict[str, int]) -> Iterator[Dependent]:
    for row in connection.execute(sql.VIEWS, oid):
        if row.kind == "v":
            yield Dependent("view", row.identity, _view(row))
        else:
            kind = "materialized view" if row.kind == "m" else "rule"
            yield Dependent(kind, row.identity)
    for row in connection.execute(sql.FUNCTIONS, oid):
        yield Dependent("function", row.identity, () if row.definition is None else (row.definition,))
    for row in connection.execute(sql.OTHERS, oid):
        yield Dependent(row.kind, row.identity)


def _view(row: Row[Any]) -> tuple[str, ...]:
    """CREATE OR REPLACE keeps grants and comments, and drops the options, which are set again."""
    options = "" if not row.options else f" WITH ({', '.join(row.options)})"
    return (f"CREATE OR REPLACE VIEW {row.printed}{options} AS {row.definition.rstrip().rstrip(';')}",)
