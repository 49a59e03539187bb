"""Primary keys of partitioned tables, which Alembic itself never compares."""

from __future__ import annotations

from collections.abc import Sequence

from alembic.util import CommandError
from sqlalchemy import Connection, Table, text

from sa_partman.catalog import FoundTable

_KEYS = text("""
SELECT k.conrelid, ARRAY(
    SELECT CAST(a.attname AS text) FROM unnest(k.conkey) WITH ORDINALITY AS u(attnum, place)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY u.place)
FROM pg_catalog.pg_constraint k WHERE k.contype = 'p' AND k.conrelid = ANY (CAST(:oids AS oid[]))
""")


def primary_keys(connection: Connection, oids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """The primary key's columns of each table that has one; one query for all of them."""
    if not oids:
        return {}
    return {row[0]: tuple(row[1]) for row in connection.execute(_KEYS, {"oids": list(oids)})}


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
        f"({', '.join(wanted) or 'none'}) in the model; no migration was written. On a partitioned table the new key "
        f"has to be built first: op.create_partitioned_index(..., unique=True), then in one transaction drop the old "
        f"constraint and ADD PRIMARY KEY; or put the model's key back."
    )
