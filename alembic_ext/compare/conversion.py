"""Tables whose scheme changes: the conversion that autogenerate writes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence

from alembic.util import CommandError
from sqlalchemy import Connection, Table

from alembic_ext.compare.found import partitions_of
from alembic_ext.compare.guess import guessed
from alembic_ext.compare.spec import in_file
from alembic_ext.conversion_ops import PartitionTableOp, UnpartitionTableOp
from sa_partman.orm.facts import lost_by, primary_key_of
from sa_partman.postgres.unique_keys import UniqueKey, primary_key, unique_keys
from sa_partman.spec.declared import DeclaredTable

log = logging.getLogger(__name__)


def partitioned(
    table: Table, declared: DeclaredTable, keys: Sequence[UniqueKey], more: Iterable[str] = ()
) -> PartitionTableOp:
    """
    A plain table, which has the unique *keys*, has gained a declaration.

    Args:
        more: What else whoever reads the migration should know.
    """
    present = primary_key(keys)
    operation = PartitionTableOp(
        table.name,
        in_file(declared.spec, table),
        primary_key=primary_key_of(table, present),
        existing_primary_key=present,
        schema=table.schema,
    )
    operation.notes = (*_notes(table, keys), *more)
    for note in operation.notes:
        log.warning("%s: %s", table.fullname, note)
    return operation


def _notes(table: Table, keys: Sequence[UniqueKey]) -> Iterator[str]:
    """What the conversion costs, and whoever reads the migration should know."""
    for lost in lost_by(table, primary_key(keys), ((each.name, each.columns) for each in keys)):
        yield f"{lost.message}: {lost.remedy}"


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
            f"Declare it with __partition__, or, if something else manages its partitions, with __table_args__ = "
            f"{{'postgresql_partition_by': ...}}."
        )
    present = primary_key(unique_keys(connection, [found.oid]).get(found.oid, ()))
    return UnpartitionTableOp(
        table.name,
        declaration,
        primary_key=primary_key_of(table, present),
        existing_primary_key=present,
        schema=table.schema,
    )
