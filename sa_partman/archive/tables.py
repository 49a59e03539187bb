"""A detached table: what it is made of, and its rows as they are archived."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from sa_partman.archive.copying import copy_out
from sa_partman.archive.formats import Write
from sa_partman.archive.manifest import ArchivedColumn
from sa_partman.archive.records import Splitter, Tally
from sa_partman.marks import Mark, mark_of
from sa_partman.names import QualifiedName, quote

# One order of the rows, however often they are read; and settings on which the printed form of a value depends.
_STEADY = text("""
SELECT pg_catalog.set_config(name, value, true) FROM (VALUES
    ('synchronize_seqscans', 'off'), ('max_parallel_workers_per_gather', '0'), ('lc_monetary', 'C'),
    ('xmloption', 'content'), ('enable_indexscan', 'off'), ('enable_indexonlyscan', 'off'),
    ('statement_timeout', '0'), ('tcp_user_timeout', '0'), ('idle_in_transaction_session_timeout', '0')
) AS s(name, value)
""")

_TABLE = text("""
SELECT c.oid, c.relispartition, d.description, pg_catalog.current_setting('server_version'),
    pg_catalog.current_database()
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_description d
    ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = CAST('pg_catalog.pg_class' AS regclass)
WHERE n.nspname = :schema AND c.relname = :name AND c.relkind IN ('r', 'p')
""")

_COLUMNS = text("""
SELECT attname, pg_catalog.format_type(atttypid, atttypmod), attnotnull
FROM pg_catalog.pg_attribute
WHERE attrelid = :oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum
""")

_KEYS = text("""
SELECT conname, pg_catalog.pg_get_constraintdef(oid) FROM pg_catalog.pg_constraint
WHERE conrelid = :oid AND contype IN ('p', 'u') ORDER BY contype, conname
""")


@dataclass(frozen=True, slots=True)
class DetachedNow:
    """
    A table as it is now, read under a lock that keeps it so.

    Args:
        attached: It is a partition (again).
        mark: Ours; None when it bears none.
        columns: Those that can be written.
        create: A statement that makes such a table.
    """

    name: QualifiedName
    attached: bool
    mark: Mark | None
    columns: tuple[ArchivedColumn, ...]
    create: str
    server_version: str
    database: str

    @property
    def query(self) -> str:
        """Selects its rows, also those of partitions that it has itself."""
        return f"SELECT {', '.join(quote(column.name) for column in self.columns)} FROM {self.name.quoted}"

    def is_of(self, parent: QualifiedName) -> bool:
        """Whether it is ours to remove: it stands alone, and our mark says that it was a partition of *parent*."""
        return not self.attached and self.mark is not None and self.mark.parent == parent


def table_now(connection: Connection, name: QualifiedName) -> DetachedNow | None:
    """The table of that name; None when there is none."""
    row = connection.execute(_TABLE, {"schema": name.schema, "name": name.name}).one_or_none()
    if row is None:
        return None
    oid, attached, comment, version, database = row
    columns = connection.execute(_COLUMNS, {"oid": oid}).all()
    keys = connection.execute(_KEYS, {"oid": oid}).all()
    lines = [f"{quote(column)} {type}{' NOT NULL' * not_null}" for column, type, not_null in columns]
    lines += [f"CONSTRAINT {quote(key)} {definition}" for key, definition in keys]
    return DetachedNow(
        name,
        attached,
        mark_of(comment),
        tuple(ArchivedColumn(column, type) for column, type, _ in columns),
        f"CREATE TABLE {name.quoted} (\n    " + ",\n    ".join(lines) + "\n)",
        version,
        database,
    )


def steady(connection: Connection) -> None:
    """Settings of this transaction on which the order of rows and the printed form of values depend; and no hurry."""
    connection.execute(_STEADY)


def read_rows(connection: Connection, query: str, write: Write | None = None) -> Tally:
    """
    Reads every row, in an order that stays the same while nothing changes.

    Args:
        connection: In a pinned transaction.
        write: Gets the rows, too.

    Raises:
        DBAPIError: The server refused; row security that would hide rows is such a reason.
    """
    steady(connection)
    splitter, tally = Splitter(), Tally()

    def take(data: bytes) -> None:
        records = splitter.feed(data)
        tally.add(records)
        if write is not None:
            write(records)

    copy_out(connection, query, take)
    return tally
