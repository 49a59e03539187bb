"""Whole tables: what goes with those that autogenerate creates and drops. Alembic's own operations stay as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import CreateTableOp, DropTableOp, MigrateOperation, UpgradeOps

from alembic_ext.compare.catalog import Catalog
from alembic_ext.compare.found import partitions_of
from alembic_ext.compare.spec import in_file, makes_nothing, partition_by, schema_argument
from alembic_ext.ops import CreatePartitionOp, Nothing
from alembic_ext.table_ops import ProvisionPartitionsOp
from sa_partman.orm.registry import INFO_KEY, spec_of

_PARTITION_BY = "postgresql_partition_by"


def complete_created(context: AutogenContext, upgrade_ops: UpgradeOps) -> None:
    """Behind CREATE TABLE of a declared table, its first partitions: computed when the upgrade runs."""
    upgrade_ops.ops[:] = [each for operation in upgrade_ops.ops for each in _with_partitions(context, operation)]


def _with_partitions(context: AutogenContext, operation: MigrateOperation) -> Iterator[MigrateOperation]:
    yield operation
    if not isinstance(operation, CreateTableOp):
        return
    key = f"{operation.schema}.{operation.table_name}" if operation.schema else operation.table_name
    table = context.table_key_to_table.get(key)
    spec = None if table is None else spec_of(table)
    if table is not None and spec is not None and not makes_nothing(spec):
        yield ProvisionPartitionsOp(operation.table_name, in_file(spec, table), schema=operation.schema)


def complete_dropped(context: AutogenContext, upgrade_ops: UpgradeOps, catalog: Catalog) -> None:
    """So that a downgrade makes the table again as it was: partitioned, and with its partitions."""
    completed: list[MigrateOperation] = []
    for operation in upgrade_ops.ops:
        if isinstance(operation, DropTableOp):
            completed.extend(_taken_along(context, operation, catalog))
        completed.append(operation)
    upgrade_ops.ops[:] = completed


def _taken_along(context: AutogenContext, operation: DropTableOp, catalog: Catalog) -> Iterator[Nothing]:
    """The partitions, in the order in which a reversed list makes them: parents first."""
    written = catalog.partitioned.get((operation.schema, operation.table_name))
    if written is None or context.connection is None:
        return
    operation.table_kw[_PARTITION_BY] = written
    if operation._reverse is not None:
        operation._reverse.kw[_PARTITION_BY] = written
    table, partitions = partitions_of(context.connection, operation.schema, operation.table_name)
    for parent, partition in reversed(list(partitions)):
        yield Nothing(
            CreatePartitionOp(
                partition.name.name,
                parent.name.name,
                partition.bound,
                partition_by=None if partition.key is None else partition_by(str(partition.strategy), partition.key),
                schema=schema_argument(parent.name, table.name, operation.schema),
                partition_schema=None if partition.name.schema == parent.name.schema else partition.name.schema,
            )
        )


def strip_info(upgrade_ops: UpgradeOps) -> None:
    """Alembic writes ``Table.info`` into the file; a declaration does not belong there."""
    for operation in upgrade_ops.ops:
        if isinstance(operation, CreateTableOp | DropTableOp) and isinstance(operation.info, Mapping):
            operation.info = {key: value for key, value in operation.info.items() if key != INFO_KEY}
