"""Indexes on tables that are partitioned already: autogenerate chooses the form that does not block writers."""

from __future__ import annotations

from collections.abc import Iterator

from alembic.operations.ops import CreateIndexOp, DropIndexOp, MigrateOperation, ModifyTableOps, UpgradeOps

from alembic_ext.compare.catalog import Catalog
from alembic_ext.index_ops import CreatePartitionedIndexOp, DropPartitionedIndexOp


def choose_partitioned(upgrade_ops: UpgradeOps, catalog: Catalog) -> None:
    """
    Puts our operations in the place of Alembic's for tables that the database has partitioned.

    They stand outside of ``ModifyTableOps``, so that a batch block, which they don't fit into, leaves them alone.
    """
    upgrade_ops.ops[:] = [each for operation in upgrade_ops.ops for each in _chosen(operation, catalog)]


def _chosen(operation: MigrateOperation, catalog: Catalog) -> Iterator[MigrateOperation]:
    if not isinstance(operation, ModifyTableOps) or (operation.schema, operation.table_name) not in catalog.partitioned:
        yield operation
        return
    dropped = [each for each in operation.ops if isinstance(each, DropIndexOp)]
    created = [each for each in operation.ops if isinstance(each, CreateIndexOp)]
    yield from (DropPartitionedIndexOp.of(each) for each in dropped)
    operation.ops[:] = [each for each in operation.ops if not isinstance(each, CreateIndexOp | DropIndexOp)]
    if operation.ops:
        yield operation
    yield from (CreatePartitionedIndexOp.of(each) for each in created)
