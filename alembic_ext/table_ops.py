"""
The operations on whole tables: what a migration says about all the partitions of one.

Those that convert a table, plain to partitioned and back, are gates: what is done already is left alone, what is small
is done in the migration's transaction, and what is large has to be done before, by ``sa-partman convert``. So one
revision is right on a laptop, in CI and in production.

Migration files live for ever: names stay, new arguments have defaults, everything but names is keyword-only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from alembic.operations import MigrateOperation, Operations

from alembic_ext.ops import Nothing
from sa_partman.compare.expired_rows import MOVED_AT_MOST
from sa_partman.spec.base import PartitionSpec


class DeclarationOp(MigrateOperation):
    """What the operations on a whole partitioned table share."""

    verb: str

    def __init__(self, table: str, declaration: PartitionSpec, *, schema: str | None = None) -> None:
        self.table, self.declaration, self.schema = str(table), declaration, schema

    @property
    def call(self) -> str:
        """What messages call it."""
        return f"op.{self.verb}({self.table!r}, ...)"

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return (self.verb, self.schema, self.table, self.declaration)


@Operations.register_operation("provision_partitions")
class ProvisionPartitionsOp(DeclarationOp):
    """The partitions that a declaration asks for; see `provision_partitions`."""

    verb = "provision_partitions"

    def reverse(self) -> Nothing:
        """DROP TABLE, which follows in a downgrade, takes the partitions along."""
        return Nothing(self)

    @classmethod
    def provision_partitions(
        cls,
        operations: Operations,
        table: str,
        declaration: PartitionSpec,
        *,
        schema: str | None = None,
    ) -> None:
        """
        Make the partitions that *declaration* asks for and *table* lacks, as of the time when the migration runs, by
        the server's clock. Those that exist are left as they are.

        Raises:
            CommandError: *table* is partitioned otherwise than declared, or a partition can't be made; nothing was
                changed. With ``--sql``: the script does not create the table, so that nothing tells the key's types.
        """
        operations.invoke(cls(table, declaration, schema=schema))


@Operations.register_operation("repartition_table")
class RepartitionTableOp(DeclarationOp):
    """Rows move between the partitions of a table; see `repartition_table`."""

    verb = "repartition_table"

    def __init__(
        self,
        table: str,
        declaration: PartitionSpec,
        *,
        existing: PartitionSpec | None = None,
        limit: int = MOVED_AT_MOST,
        schema: str | None = None,
    ) -> None:
        super().__init__(table, declaration, schema=schema)
        self.existing, self.limit = existing, limit

    def reverse(self) -> RepartitionTableOp:
        if self.existing is None:
            raise NotImplementedError("op.repartition_table() can only be reversed when it says existing=")
        return RepartitionTableOp(
            self.table, self.existing, existing=self.declaration, limit=self.limit, schema=self.schema
        )

    @classmethod
    def repartition_table(
        cls,
        operations: Operations,
        table: str,
        declaration: PartitionSpec,
        *,
        existing: PartitionSpec | None = None,
        limit: int = MOVED_AT_MOST,
        schema: str | None = None,
    ) -> None:
        """
        Give *table* the list values, or the modulus, of *declaration*; key and strategy stay.

        All of it happens in the migration's transaction, under an ACCESS EXCLUSIVE lock on the table: rows are moved
        and counted, emptied partitions dropped. A label that is gone is detached with its rows. A partition that only
        gains values keeps its table.

        Args:
            declaration: As it is to be.
            existing: As it was; what a downgrade goes back to.
            limit: More rows than this are not moved; the migration fails and nothing is changed.

        Raises:
            CommandError: More than *limit* rows would move, no partition takes some of them, or moving them would fire
                triggers or foreign keys; nothing was changed. With ``--sql``: always.
        """
        operations.invoke(cls(table, declaration, existing=existing, limit=limit, schema=schema))


class ConversionOp(DeclarationOp):
    """What both directions share; see `PartitionTableOp.partition_table`."""

    notes: tuple[str, ...] = ()
    """What autogenerate writes above it, as comments."""

    def __init__(
        self,
        table: str,
        declaration: PartitionSpec,
        *,
        primary_key: Sequence[str] = (),
        existing_primary_key: Sequence[str] = (),
        inline_max_bytes: int | None = None,
        inbound: str = "refuse",
        unique: Mapping[str, str] | None = None,
        schema: str | None = None,
    ) -> None:
        super().__init__(table, declaration, schema=schema)
        self.primary_key, self.existing_primary_key = tuple(primary_key), tuple(existing_primary_key)
        self.inline_max_bytes, self.inbound, self.unique = inline_max_bytes, inbound, dict(unique or {})

    @property
    def keywords(self) -> dict[str, Any]:
        """As they stand in a migration file; None is left out."""
        return {
            "primary_key": list(self.primary_key),
            "existing_primary_key": list(self.existing_primary_key),
            "inline_max_bytes": self.inline_max_bytes,
            "inbound": None if self.inbound == "refuse" else self.inbound,
            "unique": self.unique or None,
            "schema": self.schema,
        }

    def _turned(self) -> dict[str, Any]:
        return {
            "primary_key": self.existing_primary_key,
            "existing_primary_key": self.primary_key,
            "inline_max_bytes": self.inline_max_bytes,
            "inbound": self.inbound,
            "unique": self.unique,
            "schema": self.schema,
        }


@Operations.register_operation("partition_table")
class PartitionTableOp(ConversionOp):
    """A plain table becomes partitioned; see `partition_table`."""

    verb = "partition_table"

    def reverse(self) -> UnpartitionTableOp:
        return UnpartitionTableOp(self.table, self.declaration, **self._turned())

    @classmethod
    def partition_table(
        cls,
        operations: Operations,
        table: str,
        declaration: PartitionSpec,
        *,
        primary_key: Sequence[str] = (),
        existing_primary_key: Sequence[str] = (),
        inline_max_bytes: int | None = None,
        inbound: str = "refuse",
        unique: Mapping[str, str] | None = None,
        schema: str | None = None,
    ) -> None:
        """
        Convert *table*, with its rows, into one partitioned by *declaration*.

        A table that is partitioned so already is left alone. One of at most *inline_max_bytes* is converted here, in
        the migration's transaction. A larger one has to be converted before: run ``sa-partman convert``, which does it
        while the application works; until then this raises, and nothing is changed.

        Args:
            primary_key: The columns that the primary key is to have: those of the partition key among them.
            existing_primary_key: The ones that it had; what a downgrade goes back to.
            inline_max_bytes: With indexes; the default is 64 MB, or ``sa_partman={"inline_max_bytes": ...}`` of
                ``context.configure()``.
            inbound: "drop" drops foreign keys of other tables that refer to this one; else they are refused.
            unique: What becomes of unique indexes without the partition key, by name: "local" keeps them on the rows
                of now, "drop" drops them; else they are refused.

        Raises:
            CommandError: The table can't be converted as it is, is too large, has a conversion in progress, or is
                partitioned otherwise; nothing was changed. With ``--sql``: always.
        """
        operations.invoke(
            cls(
                table,
                declaration,
                primary_key=primary_key,
                existing_primary_key=existing_primary_key,
                inline_max_bytes=inline_max_bytes,
                inbound=inbound,
                unique=unique,
                schema=schema,
            )
        )


@Operations.register_operation("unpartition_table")
class UnpartitionTableOp(ConversionOp):
    """A partitioned table becomes plain; see `unpartition_table`."""

    verb = "unpartition_table"

    def reverse(self) -> PartitionTableOp:
        return PartitionTableOp(self.table, self.declaration, **self._turned())

    @classmethod
    def unpartition_table(
        cls,
        operations: Operations,
        table: str,
        declaration: PartitionSpec,
        *,
        primary_key: Sequence[str] = (),
        existing_primary_key: Sequence[str] = (),
        inline_max_bytes: int | None = None,
        inbound: str = "refuse",
        unique: Mapping[str, str] | None = None,
        schema: str | None = None,
    ) -> None:
        """
        Make *table*, with its rows, a plain one. A table that is plain already is left alone; one of at most
        *inline_max_bytes* is done here; a larger one that was converted in place goes back by
        ``sa-partman convert --undo``, before.

        Args:
            declaration: How it is partitioned; what a downgrade goes back to.
            primary_key: The columns that the primary key is to have.
            existing_primary_key: The ones that it has.
            inline_max_bytes: See `partition_table`.
            inbound: See `partition_table`.
            unique: See `partition_table`.

        Raises:
            CommandError: The table can't be made plain as it is, is too large, or has a conversion in progress; nothing
                was changed. With ``--sql``: always.
        """
        operations.invoke(
            cls(
                table,
                declaration,
                primary_key=primary_key,
                existing_primary_key=existing_primary_key,
                inline_max_bytes=inline_max_bytes,
                inbound=inbound,
                unique=unique,
                schema=schema,
            )
        )
