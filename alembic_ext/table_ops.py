"""
The operations on whole partitioned tables: what a migration says about all the partitions of one.

Migration files live for ever: names stay, new arguments have defaults, everything but names is keyword-only.
"""

from __future__ import annotations

from typing import Any

from alembic.operations import MigrateOperation, Operations

from alembic_ext.ops import MOVED_AT_MOST, Nothing
from sa_partman.spec.base import PartitionSpec


class DeclarationOp(MigrateOperation):
    """What the operations on a whole partitioned table share."""

    verb: str

    def __init__(self, table: str, declaration: PartitionSpec, *, schema: str | None = None) -> None:
        self.table, self.declaration, self.schema = str(table), declaration, schema

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
        """
        operations.invoke(cls(table, declaration, existing=existing, limit=limit, schema=schema))
