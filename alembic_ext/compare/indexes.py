"""Indexes on tables that are partitioned already: autogenerate chooses the form that does not block writers."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from alembic.operations.ops import CreateIndexOp, DropIndexOp, MigrateOperation, ModifyTableOps, UpgradeOps

from alembic_ext.compare.catalog import Catalog
from alembic_ext.index_ops import CreatePartitionedIndexOp, DropPartitionedIndexOp

log = logging.getLogger(__name__)


def choose_partitioned(upgrade_ops: UpgradeOps, catalog: Catalog) -> None:
    """
    Puts our operations in the place of Alembic's for tables that the database has partitioned.

    They stand outside of ``ModifyTableOps``, so that a batch block, which they don't fit into, leaves them alone. Those
    that build come last, because each commits what was done before it.
    """
    operations = [each for operation in upgrade_ops.ops for each in _chosen(operation, catalog)]
    built = [each for each in operations if isinstance(each, CreatePartitionedIndexOp)]
    upgrade_ops.ops[:] = [*(each for each in operations if each not in built), *built]
    if built and len(operations) > len(built):
        names = ", ".join(str(each.index_name) for each in built)
        log.warning(
            "Building an index of a partitioned table commits what the revision did before: "
            "move the line for %s into a revision of its own, so that it can be run again if it is interrupted",
            names,
        )


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
