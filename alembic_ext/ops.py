"""
The operations on one partition: what a migration says about it. Each translates into actions of
``sa_partman.plan.actions``.

Migration files live for ever: names stay, new arguments have defaults, everything but names is keyword-only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alembic.operations import MigrateOperation, Operations

from alembic_ext.literals import bound_from_arguments
from sa_partman.bounds.bound import Bound
from sa_partman.compare.expired_rows import MOVED_AT_MOST
from sa_partman.spec.base import PartitionSpec


class Nothing(MigrateOperation):
    """Does nothing and is not written; its reverse is *back*. What DROP TABLE takes along, and brings back."""

    def __init__(self, back: MigrateOperation) -> None:
        self.back = back

    def reverse(self) -> MigrateOperation:
        return self.back

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return ("nothing", self.back.to_diff_tuple())


class PartitionOp(MigrateOperation):
    """What the operations on one partition share."""

    verb: str

    def __init__(
        self,
        name: str,
        parent: str,
        bound: Bound | None,
        *,
        schema: str | None = None,
        partition_schema: str | None = None,
    ) -> None:
        self.name, self.parent, self.bound = str(name), str(parent), bound
        self.schema, self.partition_schema = schema, partition_schema

    @property
    def names(self) -> dict[str, Any]:
        return {"schema": self.schema, "partition_schema": self.partition_schema}

    @property
    def call(self) -> str:
        """What messages call it."""
        return f"op.{self.verb}({self.name!r}, ...)"

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return (self.verb, self.schema, self.parent, self.name, self.bound)

    def needs_bound(self) -> Bound:
        """
        Raises:
            NotImplementedError: The bound was not given, so there is no way back.
        """
        if self.bound is None:
            raise NotImplementedError(f"{self.call} can only be reversed when it says its bound")
        return self.bound


@Operations.register_operation("create_partition")
class CreatePartitionOp(PartitionOp):
    """A new partition; see `create_partition`."""

    verb = "create_partition"

    def __init__(
        self,
        name: str,
        parent: str,
        bound: Bound | None,
        *,
        partition_by: PartitionSpec | str | None = None,
        unlogged: bool = False,
        limit: int = MOVED_AT_MOST,
        schema: str | None = None,
        partition_schema: str | None = None,
    ) -> None:
        super().__init__(name, parent, bound, schema=schema, partition_schema=partition_schema)
        self.partition_by, self.unlogged, self.limit = partition_by, unlogged, limit

    def reverse(self) -> DropPartitionOp:
        return DropPartitionOp(
            self.name,
            self.parent,
            self.bound,
            rows_to_default=True,
            partition_by=self.partition_by,
            unlogged=self.unlogged,
            limit=self.limit,
            **self.names,
        )

    @classmethod
    def create_partition(
        cls,
        operations: Operations,
        name: str,
        parent: str,
        *,
        values: Sequence[Any] | None = None,
        lower: Any = None,
        upper: Any = None,
        modulus: int | None = None,
        remainder: int | None = None,
        default: bool = False,
        partition_by: PartitionSpec | str | None = None,
        unlogged: bool = False,
        limit: int = MOVED_AT_MOST,
        schema: str | None = None,
        partition_schema: str | None = None,
    ) -> None:
        """
        Make a partition of *parent*, apart from it, and attach it. Rows of it that the default partition holds are
        moved into it, in the same transaction.

        A table of that name that was detached from *parent* by us is attached again, with its rows.

        Args:
            values: Of a list partition; None among them is NULL.
            lower: Of a range, inclusive: a value, or a tuple with one for each key column.
            upper: Of a range, exclusive.
            modulus: Of a hash partition, with *remainder*.
            default: Make the default partition.
            partition_by: How it is partitioned itself: a declaration, whose partitions are made too, or the text
                behind PARTITION BY.
            limit: More rows than this are not moved; the migration fails and nothing is changed.
            schema: Where *parent* is; None: wherever the search path finds it.
            partition_schema: Where the partition is made; None: beside *parent*.

        Raises:
            CommandError: The bound is not said, or said twice, or another partition has it; *parent* is not
                partitioned; something else bears the name; or more than *limit* rows would move. Nothing was changed.
        """
        bound = bound_from_arguments(
            values=values, lower=lower, upper=upper, modulus=modulus, remainder=remainder, default=default
        )
        operation = cls(
            name,
            parent,
            bound,
            partition_by=partition_by,
            unlogged=unlogged,
            limit=limit,
            schema=schema,
            partition_schema=partition_schema,
        )
        operations.invoke(operation)


@Operations.register_operation("drop_partition")
class DropPartitionOp(PartitionOp):
    """A partition is dropped; see `drop_partition`."""

    verb = "drop_partition"

    def __init__(
        self,
        name: str,
        parent: str,
        bound: Bound | None,
        *,
        rows_to_default: bool = False,
        partition_by: PartitionSpec | str | None = None,
        unlogged: bool = False,
        limit: int = MOVED_AT_MOST,
        schema: str | None = None,
        partition_schema: str | None = None,
    ) -> None:
        super().__init__(name, parent, bound, schema=schema, partition_schema=partition_schema)
        self.rows_to_default, self.limit = rows_to_default, limit
        self.partition_by, self.unlogged = partition_by, unlogged

    def reverse(self) -> CreatePartitionOp:
        return CreatePartitionOp(
            self.name,
            self.parent,
            self.needs_bound(),
            partition_by=self.partition_by,
            unlogged=self.unlogged,
            limit=self.limit,
            **self.names,
        )

    @classmethod
    def drop_partition(
        cls,
        operations: Operations,
        name: str,
        parent: str,
        *,
        values: Sequence[Any] | None = None,
        lower: Any = None,
        upper: Any = None,
        modulus: int | None = None,
        remainder: int | None = None,
        default: bool = False,
        rows_to_default: bool = False,
        limit: int = MOVED_AT_MOST,
        schema: str | None = None,
        partition_schema: str | None = None,
    ) -> None:
        """
        Detach a partition and drop it, with all below it. **Its rows are gone**, unless *rows_to_default* is set and
        *parent* has a default partition: they are moved there then.

        The bound need not be given; when it is, a partition with another one is not dropped.

        Args:
            rows_to_default: Move the rows into the default partition first, if there is one.
            limit: More rows than this are not moved; the migration fails and nothing is changed.

        Raises:
            CommandError: It is no partition of *parent*, or one with another bound; or more than *limit* rows would
                move. Nothing was changed.
        """
        bound = bound_from_arguments(
            values=values, lower=lower, upper=upper, modulus=modulus, remainder=remainder, default=default
        )
        operation = cls(
            name,
            parent,
            bound,
            rows_to_default=rows_to_default,
            limit=limit,
            schema=schema,
            partition_schema=partition_schema,
        )
        operations.invoke(operation)


@Operations.register_operation("attach_partition")
class AttachPartitionOp(PartitionOp):
    """A table becomes a partition; see `attach_partition`."""

    verb = "attach_partition"

    def reverse(self) -> DetachPartitionOp:
        return DetachPartitionOp(self.name, self.parent, self.bound, **self.names)

    @classmethod
    def attach_partition(
        cls,
        operations: Operations,
        name: str,
        parent: str,
        *,
        values: Sequence[Any] | None = None,
        lower: Any = None,
        upper: Any = None,
        modulus: int | None = None,
        remainder: int | None = None,
        default: bool = False,
        schema: str | None = None,
        partition_schema: str | None = None,
    ) -> None:
        """
        Make the existing table *name* a partition of *parent*; our mark is taken off it. The bound as above.

        Raises:
            CommandError: There is no such table, it has rows outside of the bound, or PostgreSQL refuses it for another
                reason; nothing was changed.
        """
        bound = bound_from_arguments(
            values=values, lower=lower, upper=upper, modulus=modulus, remainder=remainder, default=default
        )
        operations.invoke(cls(name, parent, bound, schema=schema, partition_schema=partition_schema))


@Operations.register_operation("detach_partition")
class DetachPartitionOp(PartitionOp):
    """A partition becomes a table of its own; see `detach_partition`."""

    verb = "detach_partition"

    def __init__(
        self,
        name: str,
        parent: str,
        bound: Bound | None,
        *,
        concurrently: bool = False,
        without_foreign_keys: bool = False,
        schema: str | None = None,
        partition_schema: str | None = None,
    ) -> None:
        super().__init__(name, parent, bound, schema=schema, partition_schema=partition_schema)
        self.concurrently, self.without_foreign_keys = concurrently, without_foreign_keys

    def reverse(self) -> AttachPartitionOp:
        return AttachPartitionOp(self.name, self.parent, self.needs_bound(), **self.names)

    @classmethod
    def detach_partition(
        cls,
        operations: Operations,
        name: str,
        parent: str,
        *,
        values: Sequence[Any] | None = None,
        lower: Any = None,
        upper: Any = None,
        modulus: int | None = None,
        remainder: int | None = None,
        default: bool = False,
        concurrently: bool = False,
        without_foreign_keys: bool = False,
        schema: str | None = None,
        partition_schema: str | None = None,
    ) -> None:
        """
        Make a partition a table of its own, which keeps its rows. A comment on it says where it came from, and keeps
        autogenerate from dropping it.

        The bound need not be given; when it is, a partition with another one is not detached.

        Args:
            concurrently: Without making any query wait. It commits what the migration did before it (so use
                ``transaction_per_migration=True`` and a revision of its own), and is impossible while *parent* has a
                default partition.
            without_foreign_keys: Drop the keys by which it refers to partitioned tables, whose partitions they would
                keep from being detached. They come again when it is attached.

        Raises:
            CommandError: It is no partition of *parent*, or one with another bound; or *parent* has a default
                partition, and *concurrently* is set. Nothing was changed.
        """
        bound = bound_from_arguments(
            values=values, lower=lower, upper=upper, modulus=modulus, remainder=remainder, default=default
        )
        operation = cls(
            name,
            parent,
            bound,
            concurrently=concurrently,
            without_foreign_keys=without_foreign_keys,
            schema=schema,
            partition_schema=partition_schema,
        )
        operations.invoke(operation)
