"""Conversions without a record: what they left is told by its names and by what it is, and how to take it back."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote as in_shell

from sqlalchemy import Connection, text

from sa_partman.catalog import LostConversion
from sa_partman.errors import Refused
from sa_partman.names import QualifiedName, quote
from sa_partman.plan.conversion.request import key_index, new_table, proof
from sa_partman.postgres import journal

_ENOUGH = 2

_LEFT = text("""
SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = :schema AND c.relname = :new AND c.relkind = 'p' AND NOT c.relispartition),
    EXISTS (SELECT FROM pg_catalog.pg_constraint k
        WHERE k.conrelid = t.oid AND k.conname = :proof AND k.contype = 'c'),
    EXISTS (SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
        WHERE i.indrelid = t.oid AND c.relname = :key_index AND i.indisunique)
FROM pg_catalog.pg_class t JOIN pg_catalog.pg_namespace s ON s.oid = t.relnamespace
WHERE s.nspname = :schema AND t.relname = :name AND t.relkind = 'r'
""")


def lost(connection: Connection, table: QualifiedName) -> LostConversion | None:
    """
    What a conversion before its swap left; None when *table* is not plain, or there is only one such thing: its name
    may be anybody's.

    Args:
        table: With its schema, and without a conversion in progress.
    """
    names = {"new": new_table(table).name, "proof": proof(table), "key_index": key_index(table)}
    row = connection.execute(_LEFT, {"schema": table.schema, "name": table.name, **names}).one_or_none()
    if row is None or sum(row) < _ENOUGH:
        return None
    left = tuple(each for each, there in zip(_left(table), row, strict=True) if there)
    return LostConversion(table, tuple(words for words, _ in left), tuple(statement for _, statement in left))


_PARTITIONED = text("""
SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = :schema AND c.relname = :name AND c.relkind = 'p')
""")


def nothing_in_progress(connection: Connection, table: QualifiedName, what: str = "conversion in progress") -> Refused:
    """Why there is nothing to go on with, or to take back, as far as the database tells."""
    forgotten = lost(connection, table)
    if forgotten is not None:
        return Refused(f"{forgotten.message}; nothing was changed: {forgotten.remedy}")
    said = f"{table}: there is no {what}; nothing was changed"
    last = journal.last(connection, table)
    if last is not None:
        return Refused(f"{said}. The last {'conversion' if last.kind == 'convert' else 'undo'} of it is {last.status}.")
    if not connection.execute(_PARTITIONED, {"schema": table.schema, "name": table.name}).scalar():
        return Refused(f"{said}. Begin with: sa-partman convert {in_shell(str(table))}")
    return Refused(
        f"{said}. It is partitioned, and there is no record of its conversion: it was created so, a migration "
        f"converted it, or the table sa_partman.conversion was dropped. To make it plain, take the declaration off the "
        f"model; alembic revision --autogenerate writes op.unpartition_table(...) then."
    )


def _left(table: QualifiedName) -> Iterator[tuple[str, str]]:
    new, check, index = new_table(table), proof(table), table.sibling(key_index(table))
    yield f"the table {new}", f"DROP TABLE {new.quoted}"
    yield f"the constraint {check}", f"ALTER TABLE {table.quoted} DROP CONSTRAINT {quote(check)}"
    yield f"the index {index}", f"DROP INDEX CONCURRENTLY {index.quoted}"
