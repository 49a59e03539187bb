"""``op.drop_table`` refuses an attached partition: what autogenerate without our filters writes loses all rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alembic.operations import Operations
from alembic.operations.ops import DropTableOp
from alembic.util import CommandError
from sqlalchemy import Connection, text

from alembic_ext.session import on_postgresql, translated_name
from sa_partman.names import QualifiedName

_PARENT = text("""
SELECT CAST(CAST(i.inhparent AS regclass) AS text)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid
WHERE c.oid = CAST(pg_catalog.to_regclass(:name) AS oid) AND c.relispartition
""")


def register() -> None:
    # The registry is private; replace=True, which is public, came with 1.17.2.
    registry: dict[Any, Any] = Operations._to_impl._registry
    original = registry[(DropTableOp, "default")]
    registry[(DropTableOp, "default")] = _guarded(original)


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
    connection = operations.migration_context.connection
    if not on_postgresql(operations) or operations.migration_context.as_sql or not isinstance(connection, Connection):
        return
    parent = connection.execute(_PARENT, {"name": translated_name(connection, name).quoted}).scalar()
    if parent is not None:
        raise CommandError(
            f"op.drop_table({name.name!r}): it is a partition of {parent}, and its rows would be lost; nothing was "
            f"changed. If autogenerate wrote this, take the line out and put 'import alembic_ext.autogenerate' into "
            f"env.py; if it is meant, write op.drop_partition({name.name!r}, {parent!r})."
        )
