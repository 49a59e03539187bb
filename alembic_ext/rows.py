"""What is asked of, and done to, the tables whose rows are about to move."""

from __future__ import annotations

from sqlalchemy import Connection, TextClause, text

from sa_partman.names import QualifiedName, quote


def count(connection: Connection, table: QualifiedName, where: str = "true") -> int:
    found: int = connection.execute(_sql(f"SELECT count(*) FROM {table.quoted} WHERE {where}")).scalar_one()
    return found


def lock(connection: Connection, table: QualifiedName) -> None:
    """ACCESS EXCLUSIVE, on the table and all its partitions."""
    connection.execute(_sql(f"LOCK TABLE {table.quoted} IN ACCESS EXCLUSIVE MODE"))


def rename(connection: Connection, table: QualifiedName, name: str) -> QualifiedName:
    connection.execute(_sql(f"ALTER TABLE {table.quoted} RENAME TO {quote(name)}"))
    return table.sibling(name)


_IDENTITY = text("""
SELECT EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = CAST(:oid AS oid) AND attidentity <> '')
    AND CAST(pg_catalog.current_setting('server_version_num') AS integer) >= 170000
""")


def has_identity(connection: Connection, oid: int) -> bool:
    """Whether partitions of the table have its identity columns: from PostgreSQL 17 on."""
    return bool(connection.execute(_IDENTITY, {"oid": oid}).scalar_one())


def _sql(statement: str) -> TextClause:
    """``text()`` takes ``:name`` for a parameter."""
    return text(statement.replace(":", r"\:"))
