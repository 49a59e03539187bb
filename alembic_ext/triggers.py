"""Triggers that moving rows would fire."""

from __future__ import annotations

from collections.abc import Iterable

from alembic.util import CommandError
from sqlalchemy import Connection, text

from sa_partman.names import QualifiedName

# Row triggers of users, whose clones on partitions PostgreSQL 14 calls internal, and those of foreign keys that act on
# the referencing table.
_ROW_TRIGGERS = text("""
SELECT CAST(CAST(t.tgrelid AS regclass) AS text), t.tgname FROM pg_catalog.pg_trigger t
WHERE t.tgrelid IN (SELECT CAST(pg_catalog.to_regclass(u) AS oid) FROM unnest(CAST(:names AS text[])) AS u)
    AND t.tgenabled <> 'D' AND t.tgtype & 1 = 1 AND (NOT t.tgisinternal
        OR (t.tgparentid <> 0 AND t.tgconstraint = 0) OR t.tgconstraint IN (
        SELECT f.oid FROM pg_catalog.pg_constraint f
        WHERE f.contype = 'f' AND f.confdeltype <> 'a' AND f.confrelid = t.tgrelid))
ORDER BY 1, 2
""")


def refuse_triggers(connection: Connection, tables: Iterable[QualifiedName], what: str) -> None:
    """
    Raises:
        CommandError: Rows of one of *tables* can't be moved without firing a trigger.
    """
    rows = connection.execute(_ROW_TRIGGERS, {"names": [table.quoted for table in tables]}).all()
    if rows:
        shown = ", ".join(f"{row[1]} on {row[0]}" for row in rows[:5])
        raise CommandError(
            f"op.{what}: moving rows would fire the row triggers {shown}; nothing was changed. "
            f"Disable them for this migration (ALTER TABLE ... DISABLE TRIGGER ...), or move the rows by hand."
        )


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
