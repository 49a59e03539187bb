"""Foreign keys that keep partitions from being taken apart."""

from __future__ import annotations

from alembic.util import CommandError
from sqlalchemy import Connection, text

from sa_partman.names import QualifiedName, do, text_literal

_REFERENCES = text("""
SELECT CAST(CAST(f.conrelid AS regclass) AS text), f.conname FROM pg_catalog.pg_constraint f
WHERE f.contype = 'f' AND f.confrelid = CAST(:oid AS oid) ORDER BY 1, 2
""")


def refuse_references(connection: Connection, oid: int, what: str) -> None:
    """
    Raises:
        CommandError: A foreign key refers to the table, whose partitions can't be detached then while it is used.
    """
    rows = connection.execute(_REFERENCES, {"oid": oid}).all()
    if rows:
        shown = ", ".join(f"{row[1]} of {row[0]}" for row in rows[:5])
        raise CommandError(
            f"{what}: the foreign key {shown} refers to it, and its partitions can't be taken apart meanwhile; "
            f"nothing was changed. Drop the foreign key before and create it again after this operation."
        )


def keys_dropped(table: QualifiedName) -> str:
    """Drops the foreign keys of a detached *table* to partitioned tables; PostgreSQL 14 has dropped them itself."""
    return do(f"""
DECLARE
    found record;
BEGIN
    FOR found IN SELECT k.conrelid, k.conname FROM pg_catalog.pg_constraint k
        JOIN pg_catalog.pg_class r ON r.oid = k.confrelid AND r.relkind = 'p'
        WHERE k.contype = 'f' AND k.conparentid = 0 AND k.conrelid = {text_literal(table.quoted)}::pg_catalog.regclass
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', found.conrelid::pg_catalog.regclass, found.conname);
    END LOOP;
END""")
