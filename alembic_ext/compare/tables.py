"""Whole tables: what goes with those that Alembic creates and drops; those that exist against their declaration."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import CreateTableOp, DropTableOp, MigrateOperation, UpgradeOps
from alembic.util import CommandError
from sqlalchemy import Table

from alembic_ext.compare.catalog import Catalog, found_tables, partitions_of
from alembic_ext.compare.conversion import outlived_notes, partitioned, unpartitioned
from alembic_ext.compare.indexes import compare_primary_key
from alembic_ext.compare.order import Difference
from alembic_ext.compare.partitions import compare_partitions
from alembic_ext.literals import in_file, makes_nothing, partition_by, schema_argument
from alembic_ext.ops import CreatePartitionOp, Nothing
from alembic_ext.session import translated
from alembic_ext.table_ops import ProvisionPartitionsOp
from sa_partman.catalog import FoundTable
from sa_partman.compare.shape import shape_finding
from sa_partman.orm.registry import INFO_KEY, PARTITION_BY, declared, facts_of, spec_of
from sa_partman.postgres.relations import primary_key, unique_keys
from sa_partman.spec.declared import DeclaredTable
from sa_partman.spec.validate import validate

_DIALECT_OPTION = "partition_by"


def compare_existing(
    context: AutogenContext, schemas: Collection[str | None], catalog: Catalog
) -> Iterator[Difference]:
    """
    Raises:
        CommandError: A table is not partitioned as it is declared, and no operation makes it so.
    """
    assert context.connection is not None
    with translated("autogenerate"):
        pairs = []
        for table in _compared(context, schemas, catalog):
            spec = spec_of(table)
            if spec is None:
                if _is_foreign(context, table, catalog):
                    yield (_schema(context, table), table.name), unpartitioned(context.connection, table)
            else:
                # Constraints may have been added since the class was mapped.
                validate(spec, facts_of(table))
                pairs.append((table, declared(table)))
        tables = found_tables(context.connection, pairs)
        keys = unique_keys(context.connection, [found.oid for _, _, found in tables])
        for table, wanted, found in tables:
            key, present = (_schema(context, table), table.name), keys.get(found.oid, ())
            if found.strategy is None:
                outlived = outlived_notes(context.connection, wanted, found, present)
                yield key, partitioned(table, wanted, present, outlived)
                continue
            compare_scheme(wanted, found)
            compare_primary_key(table, found, primary_key(present))
            yield from ((key, each) for each in compare_partitions(table, wanted, found))


def _compared(context: AutogenContext, schemas: Collection[str | None], catalog: Catalog) -> Iterator[Table]:
    """
    The tables that may differ from what we know, and that Alembic itself compares, referenced ones first. The user's
    filters are asked about no others: what they are called with is Alembic's business.
    """
    migration = context.migration_context
    for table in context.sorted_tables:
        schema = _schema(context, table)
        is_version = (table.schema, table.name) == (migration.version_table_schema, migration.version_table)
        if (
            not is_version
            and schema in schemas
            and (schema, table.name) in catalog.seen
            and (spec_of(table) is not None or _is_foreign(context, table, catalog))
            and context.run_name_filters(table.name, "table", {"schema_name": schema})
            and context.run_object_filters(table, table.name, "table", False, None)
        ):
            yield table


def _schema(context: AutogenContext, table: Table) -> str | None:
    default = context.connection.dialect.default_schema_name if context.connection is not None else None
    return None if table.schema == default else table.schema


def _is_foreign(context: AutogenContext, table: Table, catalog: Catalog) -> bool:
    """Whether the database has *table* partitioned, and the model knows nothing of it."""
    written = table.dialect_options["postgresql"].get(_DIALECT_OPTION)
    return written is None and (_schema(context, table), table.name) in catalog.partitioned


def compare_scheme(declared: DeclaredTable, found: FoundTable) -> None:
    """
    Raises:
        CommandError: Strategy or key differ, and PostgreSQL can't change them in place.
    """
    misfit = shape_finding(declared, found)
    if misfit is not None:
        raise CommandError(
            f"{misfit.message}; no migration was written. PostgreSQL can't change a partition key: declare what is "
            f"there; or take __partition__ off the model, migrate (op.unpartition_table makes the table plain), and "
            f"declare {declared.level.partition_by} afterwards."
        )


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
    operation.table_kw[PARTITION_BY] = written
    if operation._reverse is not None:
        operation._reverse.kw[PARTITION_BY] = written
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
