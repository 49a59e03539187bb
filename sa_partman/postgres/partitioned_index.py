"""
Indexes on partition trees, built without blocking writers: PostgreSQL has no CONCURRENTLY for a partitioned table.

The index is made ON ONLY the partitioned table, each leaf gets its own concurrently, and each is attached. What an
interrupted build left is found and used, or dropped when it is invalid.

Where a partition is a foreign table, PostgreSQL counts it and waits for its part for ever. There the leaves get theirs
first, and a plain CREATE INDEX, which looks at no foreign table, takes them over.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from sa_partman.errors import CatalogError, ExecutionError, LockNotAcquired
from sa_partman.names import QualifiedName, join_name, quote
from sa_partman.postgres.locks.retry import LockPolicy
from sa_partman.postgres.session import timeouts
from sa_partman.postgres.sqlstate import worth_retrying

_PARENT = text("""
SELECT i.oid AS index_oid, t.oid AS table_oid, x.indisunique AS unique, x.indisvalid AS valid,
    pg_get_indexdef(i.oid) AS definition, format('%I.%I', n.nspname, t.relname) AS table_printed
FROM pg_class i JOIN pg_index x ON x.indexrelid = i.oid
JOIN pg_class t ON t.oid = x.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE i.oid = to_regclass(:name)
""")

_CHILDREN = text("""
SELECT n.nspname AS schema, c.relname AS name, c.oid, CAST(c.relkind AS text) AS kind,
    a.oid AS attached, a.nspname AS index_schema, a.relname AS index_name
FROM pg_inherits p JOIN pg_class c ON c.oid = p.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
    SELECT i.oid, m.nspname, i.relname FROM pg_inherits h JOIN pg_index x ON x.indexrelid = h.inhrelid
    JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_namespace m ON m.oid = i.relnamespace
    WHERE h.inhparent = CAST(:index AS oid) AND x.indrelid = c.oid
) a ON true
WHERE p.inhparent = CAST(:table AS oid) AND c.relkind IN ('r', 'p') AND NOT p.inhdetachpending
ORDER BY n.nspname, c.relname
""")

_TREE = text("""
SELECT n.nspname AS schema, c.relname AS name, c.oid, CAST(c.relkind AS text) AS kind
FROM pg_partition_tree(CAST(CAST(:table AS oid) AS regclass)) p
JOIN pg_class c ON c.oid = p.relid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'f') ORDER BY n.nspname, c.relname
""")

_LEFT = text("SELECT indisvalid, indrelid FROM pg_index WHERE indexrelid = to_regclass(:name)")
_VALID = text("SELECT indisvalid FROM pg_index WHERE indexrelid = CAST(:oid AS oid)")


_OID = text("SELECT CAST(to_regclass(:name) AS oid)")

_ROUNDS = 3
"""Partitions that come while an index is built are looked for again so often."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    An index over a partition tree, as it is to be.

    Args:
        name: With its schema.
        table: The partitioned table, whose oid is *oid*.
        tail: What stands behind the table's name in CREATE INDEX.
    """

    name: QualifiedName
    table: QualifiedName
    oid: int
    unique: bool
    tail: str

    @property
    def head(self) -> str:
        return "CREATE UNIQUE INDEX" if self.unique else "CREATE INDEX"


@dataclass(frozen=True, slots=True)
class _Node:
    """An index over one relation of the tree."""

    index: int
    name: QualifiedName
    table: int
    head: str
    tail: str


def build_partitioned_index(connection: Connection, wanted: Wanted, policy: LockPolicy | None = None) -> None:
    """
    Builds *wanted* down to every leaf, or goes on with what is there of it.

    Args:
        connection: In autocommit, because CONCURRENTLY runs outside of transactions.

    Raises:
        CatalogError: The name is taken, or the foreign tables among the partitions allow no such index; nothing was
            changed.
        ExecutionError: A leaf's index could not be built; call it again, and it goes on with what is left.
    """
    policy = policy or LockPolicy()
    row = connection.execute(_PARENT, {"name": wanted.name.quoted}).one_or_none()
    if row is not None and row.table_oid != wanted.oid:
        raise CatalogError(
            f"{wanted.name} exists already and is no index of {wanted.table}; nothing was changed. Rename one of the "
            f"two"
        )
    if row is not None and row.valid:
        return
    tree = connection.execute(_TREE, {"table": wanted.oid}).all()
    foreign = [QualifiedName(each.schema, each.name) for each in tree if each.kind == "f"]
    if foreign:
        _require_possible(wanted, foreign[0], begun=row is not None)
        for each in tree:
            if each.kind == "r":
                leaf = QualifiedName(each.schema, each.name)
                name = leaf.sibling(join_name(each.name, wanted.name.name))
                _build(connection, wanted.head, wanted.tail, leaf, name, each.oid, leaf=True, policy=policy)
        _plainly(connection, wanted, policy)
        return
    if row is not None and not tree:
        # It was begun when there were partitions, and none is left whose part could make it valid.
        patiently(connection, f"DROP INDEX {wanted.name.quoted}", str(wanted.table), policy)
        row = None
    if row is None:
        sql = f"{wanted.head} {quote(wanted.name.name)} ON ONLY {wanted.table.quoted} {wanted.tail}"
        patiently(connection, sql, str(wanted.table), policy)
        row = connection.execute(_PARENT, {"name": wanted.name.quoted}).one()
    _finish(connection, wanted, row, policy)


def _require_possible(wanted: Wanted, foreign: QualifiedName, *, begun: bool) -> None:
    """
    Raises:
        CatalogError: PostgreSQL has no such index where a partition is a foreign table.
    """
    if wanted.unique:
        raise CatalogError(
            f"{wanted.name} is unique, and {foreign} is a foreign table: PostgreSQL has no unique index over both; "
            f"nothing was changed. Create it on each of the other partitions, or detach {foreign}"
        )
    if begun:
        raise CatalogError(
            f"{wanted.name} was begun ON ONLY {wanted.table}, and PostgreSQL waits for a part of {foreign}, which is a "
            f"foreign table, for ever; nothing was changed. DROP INDEX {wanted.name.quoted}, and run this again: it is "
            f"built in another way then"
        )


def _plainly(connection: Connection, wanted: Wanted, policy: LockPolicy) -> None:
    """CREATE INDEX on all of it: every leaf has its part, so nothing is read, and the lock is held for an instant."""
    sql = f"{wanted.head} {quote(wanted.name.name)} ON {wanted.table.quoted} {wanted.tail}"
    patiently(connection, sql, str(wanted.table), policy)


def _finish(connection: Connection, wanted: Wanted, row: Any, policy: LockPolicy) -> None:
    head = f"CREATE {'UNIQUE ' if row.unique else ''}INDEX"
    _, found, tail = row.definition.partition(f" ON ONLY {row.table_printed} ")
    assert found, row.definition
    node = _Node(row.index_oid, wanted.name, row.table_oid, head, tail)
    for _ in range(_ROUNDS):
        _complete(connection, node, policy)
        if connection.execute(_VALID, {"oid": row.index_oid}).scalar_one():
            return
    raise ExecutionError(
        f"{wanted.name} is still invalid: partitions were created meanwhile, or a partition that is itself partitioned "
        f"has none. Create one there first (sa-partman run), then run this again: it goes on."
    )


def _complete(connection: Connection, node: _Node, policy: LockPolicy) -> None:
    part: QualifiedName | None = None
    for child in connection.execute(_CHILDREN, {"index": node.index, "table": node.table}).all():
        if child.attached is not None:
            part = QualifiedName(child.index_schema, child.index_name)
            if child.kind == "p":
                _complete(connection, _below(node, child.attached, part, child.oid), policy)
            continue
        table = QualifiedName(child.schema, child.name)
        name = table.sibling(join_name(child.name, node.name.name))
        _build(connection, node.head, node.tail, table, name, child.oid, leaf=child.kind == "r", policy=policy)
        if child.kind == "p":
            oid = connection.execute(_OID, {"name": name.quoted}).scalar_one()
            _complete(connection, _below(node, oid, name, child.oid), policy)
        _attach(connection, node, name, policy)
    if part is not None and not connection.execute(_VALID, {"oid": node.index}).scalar_one():
        # The partition that lacked its part is gone. To attach one once more makes PostgreSQL count again.
        _attach(connection, node, part, policy)


def _attach(connection: Connection, node: _Node, part: QualifiedName, policy: LockPolicy) -> None:
    sql = f"ALTER INDEX {node.name.quoted} ATTACH PARTITION {part.quoted}"
    patiently(connection, sql, str(node.name), policy)


def _below(node: _Node, index: int, name: QualifiedName, table: int) -> _Node:
    return _Node(index, name, table, node.head, node.tail)


def _build(
    connection: Connection,
    head: str,
    tail: str,
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
        connection.exec_driver_sql(_driver(connection, f"DROP INDEX CONCURRENTLY {name.quoted}"))
        left = None
    if left is not None:
        return
    if leaf:
        wait_for_locks(connection, policy)
        sql = f"{head} CONCURRENTLY {quote(name.name)} ON {table.quoted} {tail}"
        connection.exec_driver_sql(_driver(connection, sql))
    else:
        sql = f"{head} {quote(name.name)} ON ONLY {table.quoted} {tail}"
        patiently(connection, sql, str(table), policy)


@contextmanager
def own_timeouts(connection: Connection) -> Iterator[None]:
    """The session's timeouts are put back at the end, because the connection is the caller's; none ends a build."""
    names = ("lock_timeout", *timeouts(connection))
    before = {name: connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names}
    try:
        for name in names[1:]:
            connection.exec_driver_sql(f"SET {name} = 0")
        yield
    finally:
        if not connection.invalidated:
            for name, value in before.items():
                connection.exec_driver_sql(f"SET {name} = '{value}'")


def wait_for_locks(connection: Connection, policy: LockPolicy) -> None:
    """The wait of a concurrent statement, whose queue has nobody behind it."""
    connection.exec_driver_sql(f"SET lock_timeout = '{round(policy.budget * 1000)}ms'")


_AGAIN = "A long transaction holds the table: end it (pg_stat_activity shows it), then run the migration again."


def patiently(connection: Connection, sql: str, table: str, policy: LockPolicy) -> None:
    """One statement that needs a short lock: again and again, each try under a short timeout."""
    began = time.monotonic()
    connection.exec_driver_sql(f"SET lock_timeout = '{round(policy.lock_timeout * 1000)}ms'")
    for attempts, pause in enumerate(policy.pauses()):
        if attempts and time.monotonic() + pause - began > policy.budget:
            raise LockNotAcquired(table, lock_timeout=policy.lock_timeout, attempts=attempts, advice=_AGAIN)
        time.sleep(pause)
        try:
            connection.exec_driver_sql(_driver(connection, sql))
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


def _driver(connection: Connection, sql: str) -> str:
    """Some drivers read % as the start of a parameter; to others it is a character like any other."""
    doubled = getattr(connection.dialect.identifier_preparer, "_double_percents", False)
    return sql.replace("%", "%%") if doubled else sql
