"""Counting and moving the rows of a bound, whatever its strategy."""

from __future__ import annotations

from sqlalchemy import Connection, TextClause, text

from sa_partman.bounds.bound import HashBound, ListBound
from sa_partman.bounds.text import check_predicate
from sa_partman.ddl.elements import key_sql, text_literal
from sa_partman.key import PartitionKey
from sa_partman.names import QualifiedName, quote

_COLUMNS = text("""
SELECT CAST(attname AS text) FROM pg_catalog.pg_attribute
WHERE attrelid = CAST(pg_catalog.to_regclass(:name) AS oid) AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
ORDER BY attnum
""")


def condition(bound: ListBound | HashBound, parent: QualifiedName, key: PartitionKey) -> str:
    """What is true of the rows of *bound*; *parent* must be partitioned by hash for a `HashBound`."""
    columns = tuple(map(key_sql, key.parts))
    if isinstance(bound, HashBound):
        table = f"{text_literal(parent.quoted)}::pg_catalog.regclass"
        held = f"{table}, {bound.modulus}, {bound.remainder}, {', '.join(columns)}"
        return f"pg_catalog.satisfies_hash_partition({held})"
    predicate = check_predicate(bound, columns, key.types)
    assert predicate is not None
    return predicate


def count(connection: Connection, table: QualifiedName, where: str = "true") -> int:
    found: int = connection.execute(_sql(f"SELECT count(*) FROM {table.quoted} WHERE {where}")).scalar_one()
    return found


def move(connection: Connection, source: QualifiedName, target: QualifiedName, where: str) -> None:
    """In one statement. A generated column is computed anew; an identity is kept."""
    names = ", ".join(quote(row[0]) for row in connection.execute(_COLUMNS, {"name": source.quoted}))
    connection.execute(
        _sql(
            f"WITH moved AS (DELETE FROM {source.quoted} WHERE {where} RETURNING {names}) "
            f"INSERT INTO {target.quoted} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM moved"
        )
    )


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
