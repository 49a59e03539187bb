"""Indexes on partitioned tables, built without blocking writers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from alembic.operations import Operations
from alembic.operations.ops import CreateIndexOp, DropIndexOp
from sqlalchemy import Index
from sqlalchemy.schema import CreateIndex

from alembic_ext.offline import note
from alembic_ext.session import (
    WAIT_LOG,
    announce_commit,
    in_autocommit_block,
    is_offline,
    may_autocommit,
    on_postgresql,
    reading_connection,
    refuse_pending,
    translated,
    translated_name,
)
from sa_partman.engine.index import WantedIndex, build_partitioned_index, drop_partitioned_index
from sa_partman.engine.outside import unhurried
from sa_partman.names import QualifiedName
from sa_partman.postgres.relations import oid_of, relation_of


@Operations.register_operation("create_partitioned_index")
class CreatePartitionedIndexOp(CreateIndexOp):
    """CREATE INDEX on a partitioned table, partition by partition; see `create_partitioned_index`."""

    @classmethod
    def of(cls, operation: CreateIndexOp) -> CreatePartitionedIndexOp:
        """The same index as *operation*, which Alembic emitted."""
        return cls(
            operation.index_name,
            operation.table_name,
            operation.columns,
            schema=operation.schema,
            unique=operation.unique,
            if_not_exists=operation.if_not_exists,
            **operation.kw,
        )

    def reverse(self) -> DropPartitionedIndexOp:
        return DropPartitionedIndexOp.back(self)

    @classmethod
    def create_partitioned_index(
        cls,
        operations: Operations,
        index_name: str,
        table_name: str,
        columns: Sequence[Any],
        *,
        schema: str | None = None,
        unique: bool = False,
        if_not_exists: bool | None = None,
        **kw: Any,
    ) -> None:
        """
        Create an index on a partitioned table: ON ONLY it, CONCURRENTLY on each leaf, then attached and verified.

        Takes what ``op.create_index`` takes. It commits what the migration did before it, and the log says so, unless
        it stands inside of ``with op.get_context().autocommit_block():``; give it a revision of its own with
        ``transaction_per_migration=True``. When it was interrupted, run the migration again: it goes on with what is
        left. Where the caller owns the transaction, the plain form is used, which blocks writers.

        Raises:
            CommandError: A lock was not granted in time, or PostgreSQL refuses the index: what was built stays, and is
                used when the migration runs again.
        """
        operation = cls(
            index_name, table_name, columns, schema=schema, unique=unique, if_not_exists=if_not_exists, **kw
        )
        operations.invoke(operation)


@Operations.register_operation("drop_partitioned_index")
class DropPartitionedIndexOp(DropIndexOp):
    """DROP INDEX on a partitioned table; see `drop_partitioned_index`."""

    @classmethod
    def of(cls, operation: DropIndexOp) -> DropPartitionedIndexOp:
        """The same index as *operation*, which Alembic emitted."""
        reverse = operation._reverse
        return cls(
            operation.index_name,
            operation.table_name,
            schema=operation.schema,
            if_exists=operation.if_exists,
            _reverse=None if reverse is None else CreatePartitionedIndexOp.of(reverse),
            **operation.kw,
        )

    @classmethod
    def back(cls, operation: CreatePartitionedIndexOp) -> DropPartitionedIndexOp:
        return cls(operation.index_name or "", operation.table_name, schema=operation.schema, _reverse=operation)

    def reverse(self) -> CreatePartitionedIndexOp:
        reverse = super().reverse()
        return CreatePartitionedIndexOp.of(reverse)

    @classmethod
    def drop_partitioned_index(
        cls,
        operations: Operations,
        index_name: str,
        table_name: str | None = None,
        *,
        schema: str | None = None,
        if_exists: bool | None = None,
        **kw: Any,
    ) -> None:
        """
        Drop an index of a partitioned table, with those of its partitions. PostgreSQL has no concurrent form: the table
        and its partitions are locked for an instant, which is tried again and again under a short timeout.

        Raises:
            CommandError: The locks were not granted in time; nothing was changed.
        """
        operations.invoke(cls(index_name, table_name, schema=schema, if_exists=if_exists, **kw))


def create(operations: Operations, operation: CreatePartitionedIndexOp) -> None:
    what = f"op.create_partitioned_index({operation.index_name!r}, ...)"
    if not _is_ours(operations, operation, what):
        operations.invoke(_plain(operation))
        return
    context = operations.migration_context
    announce_commit(context, what)
    with translated(what), in_autocommit_block(context) as connection:
        oid = oid_of(connection, translated_name(connection, QualifiedName(operation.schema, operation.table_name)))
        assert oid is not None
        refuse_pending(connection, oid, what)
        table = relation_of(connection, oid).name
        tail = _tail(operation.to_index(context), connection.dialect)
        name = table.sibling(str(operation.index_name))
        with unhurried(connection, WAIT_LOG) as autocommit:
            build_partitioned_index(autocommit, WantedIndex(name, table, oid, bool(operation.unique), tail))


def drop(operations: Operations, operation: DropPartitionedIndexOp) -> None:
    what = f"op.drop_partitioned_index({operation.index_name!r}, ...)"
    if not _is_ours(operations, operation, what):
        operations.invoke(_plain_drop(operation))
        return
    announce_commit(operations.migration_context, what)
    with translated(what), in_autocommit_block(operations.migration_context) as connection:
        oid = oid_of(connection, translated_name(connection, QualifiedName(operation.schema, operation.index_name)))
        if oid is None and operation.if_exists:
            return
        name = QualifiedName(operation.schema, operation.index_name)
        with unhurried(connection, WAIT_LOG) as autocommit:
            drop_partitioned_index(autocommit, name if oid is None else relation_of(connection, oid).name)


def _is_ours(operations: Operations, operation: CreateIndexOp | DropIndexOp, what: str) -> bool:
    """Whether the index is built partition by partition; else the plain form does: offline, elsewhere, or borrowed."""
    if not on_postgresql(operations):
        return False
    if is_offline(operations):
        if isinstance(operation, CreateIndexOp):
            note(operations, f"{what}: this blocks writers; only on a connection it is built partition by partition")
        return False
    with reading_connection(operations) as connection:
        assert connection is not None
        name = QualifiedName(operation.schema, str(operation.table_name or ""))
        if operation.table_name is not None:
            oid = oid_of(connection, translated_name(connection, name))
            if oid is None or relation_of(connection, oid).kind != "p":
                return False
    if may_autocommit(operations.migration_context):
        return True
    warnings.warn(
        f"{what}: the caller owns the transaction, so the plain form is used inside of it, which blocks writers to its "
        f"end. Let Alembic begin the transaction (context.begin_transaction() in env.py), or write it inside of "
        f"'with op.get_context().autocommit_block():'",
        stacklevel=4,
    )
    return False


def _tail(index: Index, dialect: Any) -> str:
    """What stands behind the table's name: SQLAlchemy has no word for ON ONLY."""
    sql = str(CreateIndex(index).compile(dialect=dialect))
    if getattr(dialect.identifier_preparer, "_double_percents", False):
        sql = sql.replace("%%", "%")
    assert index.table is not None
    table = dialect.identifier_preparer.format_table(index.table)
    if getattr(dialect.identifier_preparer, "_double_percents", False):
        table = table.replace("%%", "%")
    _, found, after = sql.partition(f" ON {table} ")
    if not found:
        raise AssertionError(f"unexpected CREATE INDEX: {sql}")
    return after


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
