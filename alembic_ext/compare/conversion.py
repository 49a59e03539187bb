"""Tables whose scheme changes: the conversion that autogenerate writes."""

from __future__ import annotations

from alembic.util import CommandError
from sqlalchemy import Connection, Table

from alembic_ext.compare.found import partitions_of
from alembic_ext.compare.guess import guessed
from alembic_ext.compare.keys import primary_keys
from alembic_ext.compare.spec import in_file
from alembic_ext.conversion_ops import PartitionTableOp, UnpartitionTableOp
from sa_partman.spec.declared import DeclaredTable


def partitioned(table: Table, declared: DeclaredTable, present: tuple[str, ...]) -> PartitionTableOp:
    """A plain table, which has the primary key *present*, has gained a declaration."""
    return PartitionTableOp(
        table.name,
        in_file(declared.spec, table),
        primary_key=_wanted(table),
        existing_primary_key=present,
        schema=table.schema,
    )


def unpartitioned(connection: Connection, table: Table) -> UnpartitionTableOp:
    """
    A partitioned table has lost its declaration.

    Raises:
        CommandError: Nobody can tell how a downgrade would partition it again.
    """
    found, _ = partitions_of(connection, table.schema, table.name)
    declaration = guessed(found)
    if declaration is None:
        raise CommandError(
            f"{table.fullname} is PARTITION BY {found.strategy} ({found.key}) in the database, its model does not say "
            f"so, and its partitions follow no pattern that a downgrade could go back to; no migration was written. "
            f"Declare it with __partition__, or with __table_args__ = {{'postgresql_partition_by': ...}} if its "
            f"partitions are somebody else's business."
        )
    return UnpartitionTableOp(
        table.name,
        declaration,
        primary_key=_wanted(table),
        existing_primary_key=primary_keys(connection, [found.oid]).get(found.oid, ()),
        schema=table.schema,
    )


def _wanted(table: Table) -> tuple[str, ...]:
    return tuple(str(column.name) for column in table.primary_key.columns)
