"""Indexes on partitioned tables, built without blocking writers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alembic.operations import Operations
from alembic.operations.ops import CreateIndexOp, DropIndexOp


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
        """
        operations.invoke(cls(index_name, table_name, schema=schema, if_exists=if_exists, **kw))
