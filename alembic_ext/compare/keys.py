"""Primary keys of partitioned tables, which Alembic itself never compares."""

from __future__ import annotations

from alembic.util import CommandError
from sqlalchemy import Table

from sa_partman.catalog import FoundTable


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
