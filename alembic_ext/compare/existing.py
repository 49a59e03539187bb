"""Tables that exist and are in the metadata: their scheme, then their partitions."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Table

from alembic_ext.compare.catalog import Catalog
from alembic_ext.compare.conversion import partitioned, unpartitioned
from alembic_ext.compare.found import found_tables
from alembic_ext.compare.keys import compare_primary_key
from alembic_ext.compare.order import Difference
from alembic_ext.compare.outlived import outlived_notes
from alembic_ext.compare.partitions import compare_partitions
from alembic_ext.compare.scheme import compare_scheme
from alembic_ext.session import translated
from sa_partman.orm.facts import facts_of
from sa_partman.orm.registry import declared, spec_of
from sa_partman.postgres.unique_keys import primary_key, unique_keys
from sa_partman.spec.validate import validate

_PARTITION_BY = "partition_by"


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
    written = table.dialect_options["postgresql"].get(_PARTITION_BY)
    return written is None and (_schema(context, table), table.name) in catalog.partitioned
