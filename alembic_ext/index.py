"""What the operations on partitioned indexes do."""

from __future__ import annotations

import warnings
from typing import Any

from alembic.operations import Operations
from alembic.operations.ops import CreateIndexOp, DropIndexOp
from alembic.util import CommandError
from sqlalchemy import Index, text
from sqlalchemy.schema import CreateIndex

from alembic_ext.index_ops import CreatePartitionedIndexOp, DropPartitionedIndexOp
from alembic_ext.ownership import owns_transaction
from alembic_ext.session import is_offline, on_postgresql, refuse_pending, translated, translated_name
from sa_partman.names import QualifiedName
from sa_partman.postgres.columns import oid_of, relation_of
from sa_partman.postgres.locks.retry import LockPolicy
from sa_partman.postgres.partitioned_index import (
    build_partitioned_index,
    drop_partitioned_index,
    own_timeout,
    patiently,
)

_TABLE = text("SELECT indrelid FROM pg_catalog.pg_index WHERE indexrelid = CAST(to_regclass(:name) AS oid)")


def create(operations: Operations, operation: CreatePartitionedIndexOp) -> None:
    if not _is_ours(operations, operation):
        operations.invoke(_plain(operation))
        return
    context = operations.migration_context
    with context.autocommit_block(), translated(f"op.create_partitioned_index({operation.index_name!r}, ...)"):
        connection = context.connection
        assert connection is not None
        index = operation.to_index(context)
        oid = oid_of(connection, translated_name(connection, QualifiedName(operation.schema, operation.table_name)))
        assert oid is not None
        refuse_pending(connection, oid, f"op.create_partitioned_index({operation.index_name!r}, ...)")
        name = relation_of(connection, oid).name.sibling(str(operation.index_name))
        with own_timeout(connection):
            if oid_of(connection, name) is None:
                patiently(connection, _only(index, connection.dialect), str(operation.table_name), LockPolicy())
            elif connection.execute(_TABLE, {"name": name.quoted}).scalar() != oid:
                raise CommandError(f"{name} is no index of {operation.table_name}; rename one of the two")
            build_partitioned_index(connection, name)


def drop(operations: Operations, operation: DropPartitionedIndexOp) -> None:
    if not _is_ours(operations, operation):
        operations.invoke(_plain_drop(operation))
        return
    context = operations.migration_context
    with context.autocommit_block(), translated(f"op.drop_partitioned_index({operation.index_name!r}, ...)"):
        connection = context.connection
        assert connection is not None
        oid = oid_of(connection, translated_name(connection, QualifiedName(operation.schema, operation.index_name)))
        if oid is None and operation.if_exists:
            return
        name = QualifiedName(operation.schema, operation.index_name)
        with own_timeout(connection):
            drop_partitioned_index(connection, name if oid is None else relation_of(connection, oid).name)


def _is_ours(operations: Operations, operation: CreateIndexOp | DropIndexOp) -> bool:
    """Whether the index is built partition by partition; else the plain form does: offline, elsewhere, or borrowed."""
    if not on_postgresql(operations) or is_offline(operations):
        return False
    connection = operations.get_bind()
    name = QualifiedName(operation.schema, str(operation.table_name or ""))
    if operation.table_name is not None:
        oid = oid_of(connection, translated_name(connection, name))
        if oid is None or relation_of(connection, oid).kind != "p":
            return False
    if owns_transaction(operations.migration_context):
        return True
    warnings.warn(
        f"the index {operation.index_name} is built in the caller's transaction, which blocks writers", stacklevel=4
    )
    return False


def _only(index: Index, dialect: Any) -> str:
    """CREATE INDEX ... ON ONLY, which SQLAlchemy has no word for."""
    sql = str(CreateIndex(index).compile(dialect=dialect)).replace("%%", "%")
    assert index.table is not None
    table = dialect.identifier_preparer.format_table(index.table)
    before, found, after = sql.partition(f" ON {table} ")
    if not found:
        raise ValueError(f"unexpected CREATE INDEX: {sql}")
    return f"{before} ON ONLY {table} {after}"


def _plain(operation: CreatePartitionedIndexOp) -> CreateIndexOp:
    return CreateIndexOp(
        operation.index_name,
        operation.table_name,
        operation.columns,
        schema=operation.schema,
        unique=operation.unique,
        if_not_exists=operation.if_not_exists,
        **operation.kw,
    )


def _plain_drop(operation: DropPartitionedIndexOp) -> DropIndexOp:
    return DropIndexOp(
        operation.index_name,
        operation.table_name,
        schema=operation.schema,
        if_exists=operation.if_exists,
        **operation.kw,
    )
