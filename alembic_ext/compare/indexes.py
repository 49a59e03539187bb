"""Indexes on tables that are partitioned already, in the form that does not block writers; and their primary keys."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from alembic.operations.ops import CreateIndexOp, DropIndexOp, MigrateOperation, ModifyTableOps, UpgradeOps
from alembic.util import CommandError
from sqlalchemy import Table

from alembic_ext.compare.catalog import Catalog
from alembic_ext.indexes import CreatePartitionedIndexOp, DropPartitionedIndexOp
from sa_partman.catalog import FoundTable

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


def compare_primary_key(table: Table, found: FoundTable, present: tuple[str, ...]) -> None:
    """
    Raises:
        CommandError: The model's primary key is another one; on a partitioned table no operation changes it in place.
    """
    wanted = tuple(str(column.name) for column in table.primary_key.columns)
    if set(wanted) == set(present):
        return
    raise CommandError(
        f"{found.name} has the primary key ({', '.join(present) or 'none'}) in the database and "
        f"({', '.join(wanted) or 'none'}) in the model; no migration was written. On a partitioned table, first build "
        f"the new key on each partition (CREATE UNIQUE INDEX CONCURRENTLY); then in one transaction drop the old "
        f"constraint, ADD PRIMARY KEY USING INDEX on each partition, and ADD PRIMARY KEY on the table, which takes "
        f"those over. Or put the model's key back."
    )
