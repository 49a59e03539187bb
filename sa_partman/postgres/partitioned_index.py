"""
Indexes on partition trees, built without blocking writers: PostgreSQL has no CONCURRENTLY for a partitioned table.

The index is made ON ONLY the partitioned table, each leaf gets its own concurrently, and each is attached. What an
interrupted build left is found and used, or dropped when it is invalid.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from sa_partman.errors import CatalogError, ExecutionError, LockNotAcquired
from sa_partman.names import QualifiedName, join_name, quote
from sa_partman.postgres.locks.retry import LockPolicy
from sa_partman.postgres.sqlstate import worth_retrying

_PARENT = text("""
SELECT i.oid AS index_oid, t.oid AS table_oid, x.indisunique AS unique, pg_get_indexdef(i.oid) AS definition,
    quote_ident(i.relname) AS printed, format('%I.%I', n.nspname, t.relname) AS table_printed
FROM pg_class i JOIN pg_index x ON x.indexrelid = i.oid
JOIN pg_class t ON t.oid = x.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE i.oid = to_regclass(:name)
""")

_CHILDREN = text("""
SELECT n.nspname AS schema, c.relname AS name, c.oid, CAST(c.relkind AS text) AS kind,
    (SELECT h.inhrelid FROM pg_inherits h JOIN pg_index x ON x.indexrelid = h.inhrelid
     WHERE h.inhparent = CAST(:index AS oid) AND x.indrelid = c.oid) AS attached
FROM pg_inherits p JOIN pg_class c ON c.oid = p.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE p.inhparent = CAST(:table AS oid) AND c.relkind IN ('r', 'p') AND NOT p.inhdetachpending
ORDER BY n.nspname, c.relname
""")

_LEFT = text("SELECT indisvalid, indrelid FROM pg_index WHERE indexrelid = to_regclass(:name)")
_VALID = text("SELECT indisvalid FROM pg_index WHERE indexrelid = CAST(:oid AS oid)")


@dataclass(frozen=True, slots=True)
class _Node:
    """An index over one relation of the tree."""

    index: int
    name: QualifiedName
    table: int
    head: str
    tail: str


def build_partitioned_index(connection: Connection, index: QualifiedName, policy: LockPolicy | None = None) -> None:
    """
    Completes *index*, which exists ON ONLY the partitioned table, down to every leaf.

    Args:
        connection: In autocommit, because CONCURRENTLY runs outside of transactions.
        index: With its schema.

    Raises:
        CatalogError: There is no such index.
        ExecutionError: A leaf's index could not be built; call it again, and it goes on with what is left.
    """
    row = connection.execute(_PARENT, {"name": index.quoted}).one_or_none()
    if row is None:
        raise CatalogError(f"{index}: there is no such index; nothing was changed")
    head = f"CREATE {'UNIQUE ' if row.unique else ''}INDEX"
    _, found, tail = row.definition.partition(f" ON ONLY {row.table_printed} ")
    if not found:
        raise CatalogError(f"{index} is not an index of a partitioned table: {row.definition}")
    _complete(connection, _Node(row.index_oid, index, row.table_oid, head, tail), policy or LockPolicy())
    if not connection.execute(_VALID, {"oid": row.index_oid}).scalar_one():
        raise ExecutionError(
            f"{index} is still invalid: a partition came while it was built. Run it again, and it goes on."
        )


def _complete(connection: Connection, node: _Node, policy: LockPolicy) -> None:
    for child in connection.execute(_CHILDREN, {"index": node.index, "table": node.table}).all():
        if child.attached is not None:
            if child.kind == "p":
                _complete(connection, _below(node, child.attached, node.name, child.oid), policy)
            continue
        table = QualifiedName(child.schema, child.name)
        name = table.sibling(join_name(child.name, node.name.name))
        _build(connection, node, table, name, child.oid, leaf=child.kind == "r", policy=policy)
        if child.kind == "p":
            oid = connection.exec_driver_sql(f"SELECT {_regclass(name)}").scalar_one()
            _complete(connection, _below(node, oid, name, child.oid), policy)
        attach = f"ALTER INDEX {node.name.quoted} ATTACH PARTITION {name.quoted}"
        patiently(connection, attach, str(table), policy)


def _below(node: _Node, index: int, name: QualifiedName, table: int) -> _Node:
    return _Node(index, name, table, node.head, node.tail)


def _build(
    connection: Connection,
    node: _Node,
    table: QualifiedName,
    name: QualifiedName,
    oid: int,
    *,
    leaf: bool,
    policy: LockPolicy,
) -> None:
    """The index of one relation, unless an earlier attempt has made it."""
    left = connection.execute(_LEFT, {"name": name.quoted}).one_or_none()
    if left is not None and left.indrelid != oid:
        raise ExecutionError(f"{name}: the name is taken by an index of another table; rename that one")
    if left is not None and leaf and not left.indisvalid:
        connection.exec_driver_sql(_driver(f"DROP INDEX CONCURRENTLY {name.quoted}"))
        left = None
    if left is not None:
        return
    if leaf:
        # Its waits for older transactions are lock waits with nobody behind them.
        connection.exec_driver_sql(f"SET lock_timeout = '{round(policy.budget * 1000)}ms'")
        sql = f"{node.head} CONCURRENTLY {quote(name.name)} ON {table.quoted} {node.tail}"
        connection.exec_driver_sql(_driver(sql))
    else:
        sql = f"{node.head} {quote(name.name)} ON ONLY {table.quoted} {node.tail}"
        patiently(connection, sql, str(table), policy)


@contextmanager
def own_timeout(connection: Connection) -> Iterator[None]:
    """The caller's ``lock_timeout`` is put back at the end: the connection is his."""
    before = connection.exec_driver_sql("SHOW lock_timeout").scalar_one()
    try:
        yield
    finally:
        if not connection.invalidated:
            connection.exec_driver_sql(f"SET lock_timeout = '{before}'")


def patiently(connection: Connection, sql: str, table: str, policy: LockPolicy) -> None:
    """One statement that needs a short lock: again and again, each try under a short timeout."""
    began = time.monotonic()
    connection.exec_driver_sql(f"SET lock_timeout = '{round(policy.lock_timeout * 1000)}ms'")
    for attempts, pause in enumerate(policy.pauses()):
        if attempts and time.monotonic() + pause - began > policy.budget:
            raise LockNotAcquired(table, lock_timeout=policy.lock_timeout, attempts=attempts)
        time.sleep(pause)
        try:
            connection.exec_driver_sql(_driver(sql))
        except DBAPIError as error:
            if not worth_retrying(error):
                raise
        else:
            return


def drop_partitioned_index(connection: Connection, index: QualifiedName, policy: LockPolicy | None = None) -> None:
    """
    Drops *index* with those of all partitions. Locks the table and its partitions, ACCESS EXCLUSIVE, for an instant:
    PostgreSQL has no concurrent form.

    Args:
        connection: In autocommit.
    """
    patiently(connection, f"DROP INDEX {index.quoted}", str(index), policy or LockPolicy())


def invalid_leaves(connection: Connection, index: QualifiedName) -> Iterator[QualifiedName]:
    """Partitions that have no valid index attached to *index* yet, of the first level."""
    row = connection.execute(_PARENT, {"name": index.quoted}).one_or_none()
    if row is not None:
        for child in connection.execute(_CHILDREN, {"index": row.index_oid, "table": row.table_oid}):
            if child.attached is None:
                yield QualifiedName(child.schema, child.name)


def _regclass(name: QualifiedName) -> str:
    return _driver("CAST(CAST('" + name.quoted.replace("'", "''") + "' AS regclass) AS oid)")


def _driver(sql: str) -> str:
    """psycopg and SQLAlchemy read % as the start of a parameter."""
    return sql.replace("%", "%%")
