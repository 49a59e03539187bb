"""
Alembic's own operations where they would do harm to partitions.

``op.drop_table`` refuses an attached partition: what autogenerate without our filters writes loses all rows. What
changes columns refuses a table with a pending detach, which PostgreSQL 18 then could not end any more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alembic.operations import Operations
from alembic.operations.ops import (
    AddColumnOp,
    AddConstraintOp,
    AlterColumnOp,
    CreateCheckConstraintOp,
    CreateTableOp,
    DropTableOp,
)
from alembic.util import CommandError
from sqlalchemy import Connection, text

from alembic_ext.session import glance, refuse_pending, translated_name
from sa_partman.names import QualifiedName
from sa_partman.orm.registry import PARTITION_BY
from sa_partman.postgres.columns import oid_of
from sa_partman.postgres.residues import CAN_T_FINALIZE

_PARENT = text("""
SELECT n.nspname, p.relname, s.nspname
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid
JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
JOIN pg_catalog.pg_namespace n ON n.oid = p.relnamespace
JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace
WHERE c.oid = CAST(pg_catalog.to_regclass(:name) AS oid) AND c.relispartition
""")

_CHANGES: dict[type, str] = {
    AddColumnOp: "add_column",
    AlterColumnOp: "alter_column",
    CreateCheckConstraintOp: "create_check_constraint",
}


def register() -> None:
    # The registry is private; replace=True, which is public, came with 1.17.2.
    registry: dict[Any, Any] = Operations._to_impl._registry
    original = registry[(DropTableOp, "default")]
    registry[(DropTableOp, "default")] = _guarded(original)
    registry[(CreateTableOp, "default")] = _percents(registry[(CreateTableOp, "default")])
    for kind in _CHANGES:
        base = AddConstraintOp if kind is CreateCheckConstraintOp else kind  # where Alembic registers it
        registry[(kind, "default")] = _careful(registry[(base, "default")])


def _percents(original: Callable[[Operations, CreateTableOp], Any]) -> Callable[[Operations, CreateTableOp], Any]:
    """SQLAlchemy puts postgresql_partition_by into CREATE TABLE as it is, and some drivers take % for a parameter."""

    def create_table(operations: Operations, operation: CreateTableOp) -> Any:
        written = operation.kw.get(PARTITION_BY)
        preparer = operations.migration_context.dialect.identifier_preparer
        if not isinstance(written, str) or not getattr(preparer, "_double_percents", False):
            return original(operations, operation)
        columns = {str(getattr(column, "name", "")) for column in operation.columns}
        by_hand = "%" not in written.replace("%%", "") and not any("%%" in name for name in columns)
        doubled = written if by_hand else written.replace("%", "%%")
        operation.kw[PARTITION_BY] = doubled
        try:
            return original(operations, operation)
        finally:
            operation.kw[PARTITION_BY] = written

    return create_table


def _careful(original: Callable[[Operations, Any], Any]) -> Callable[[Operations, Any], Any]:
    def change(operations: Operations, operation: Any) -> Any:
        with glance(operations) as connection:
            if connection is not None:
                _refuse_pending(connection, operation)
        return original(operations, operation)

    return change


def _refuse_pending(connection: Connection, operation: Any) -> None:
    if (connection.dialect.server_version_info or ()) < (CAN_T_FINALIZE,):
        return
    oid = oid_of(connection, translated_name(connection, QualifiedName(operation.schema, operation.table_name)))
    if oid is not None:
        refuse_pending(connection, oid, f"op.{_CHANGES[type(operation)]}(...) on {operation.table_name}")


def _guarded(original: Callable[[Operations, DropTableOp], Any]) -> Callable[[Operations, DropTableOp], Any]:
    def drop_table(operations: Operations, operation: DropTableOp) -> Any:
        refuse_partition(operations, QualifiedName(operation.schema, operation.table_name))
        return original(operations, operation)

    return drop_table


def refuse_partition(operations: Operations, name: QualifiedName) -> None:
    """
    Raises:
        CommandError: *name* is a partition of a table.
    """
    with glance(operations) as connection:
        found = None
        if connection is not None:
            found = connection.execute(_PARENT, {"name": translated_name(connection, name).quoted}).one_or_none()
    if found is not None:
        schema, parent, own = found
        named = f"{name.name!r}, {parent!r}"
        if name.schema is not None or schema != own:
            named += f", schema={schema!r}"
        if schema != own:
            named += f", partition_schema={own!r}"
        raise CommandError(
            f"op.drop_table({name.name!r}): it is a partition of {QualifiedName(schema, parent)}, and its rows would "
            f"be lost; nothing was changed. If autogenerate wrote this, take the line out and put 'import "
            f"alembic_ext.autogenerate' into env.py; if it is meant, write op.drop_partition({named})."
        )
