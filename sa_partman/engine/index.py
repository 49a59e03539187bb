"""
Indexes on partition trees, built without blocking writers: PostgreSQL has no CONCURRENTLY for a partitioned table.

The index is made ON ONLY the partitioned table, each leaf gets its own concurrently, and each is attached. What an
interrupted build left is found and used, or dropped when it is invalid.

Where a partition is a foreign table, PostgreSQL counts it and waits for its part for ever. There the leaves get theirs
first, and a plain CREATE INDEX, which looks at no foreign table, takes them over.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from sa_partman.engine.budget import LockPolicy
from sa_partman.engine.waits import Wait, Waits, holders
from sa_partman.errors import CatalogError, ExecutionError, LockNotAcquired
from sa_partman.events import Holder
from sa_partman.names import QualifiedName, join_name, quote
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


@dataclass(frozen=True, slots=True)
class Pace:
    """
    How long statements outside of transactions wait, and who tells for whom.

    Args:
        pid: Of their backend.
    """

    pid: int
    waits: Waits
    policy: LockPolicy

    def wait(self, table: str, what: str, seek: Callable[[], tuple[Holder, ...]] = tuple) -> Wait:
        return Wait(self.waits, table, what, seek)

    @contextmanager
    def concurrently(self, connection: Connection, table: str, what: str) -> Iterator[None]:
        """The wait of a concurrent statement, whose queue has nobody behind it."""
        connection.exec_driver_sql(f"SET lock_timeout = '{round(self.policy.budget * 1000)}ms'")
        wait = self.wait(table, what)
        try:
            with self.waits.statement(self.pid, wait):
                yield
        finally:
            wait.over()


@contextmanager
def unhurried(connection: Connection, log: logging.Logger) -> Iterator[Pace]:
    """
    Statements that may wait, on the caller's connection: no timeout of the session's ends them, and all of these are
    put back at the end; whom they wait for goes to *log*.
    """
    waits, pid = Waits(log=log), connection.exec_driver_sql("SELECT pg_catalog.pg_backend_pid()").scalar_one()
    with _own_timeouts(connection), waits.watched(connection.engine):
        yield Pace(pid, waits, LockPolicy())


def build_partitioned_index(connection: Connection, wanted: Wanted, pace: Pace) -> None:
    """
    Builds *wanted* down to every leaf, or goes on with what is there of it.

    Args:
        connection: In autocommit, because CONCURRENTLY runs outside of transactions.

    Raises:
        CatalogError: The name is taken, or the foreign tables among the partitions allow no such index; nothing was
            changed.
        ExecutionError: A leaf's index could not be built; call it again, and it goes on with what is left.
    """
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
                _build(connection, wanted.head, wanted.tail, leaf, name, each.oid, leaf=True, pace=pace)
        _plainly(connection, wanted, pace)
        return
    if row is not None and not tree:
        # It was begun when there were partitions, and none is left whose part could make it valid.
        patiently(connection, f"DROP INDEX {wanted.name.quoted}", wanted.table, pace)
        row = None
    if row is None:
        sql = f"{wanted.head} {quote(wanted.name.name)} ON ONLY {wanted.table.quoted} {wanted.tail}"
        patiently(connection, sql, wanted.table, pace)
        row = connection.execute(_PARENT, {"name": wanted.name.quoted}).one()
    _finish(connection, wanted, row, pace)


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


def _plainly(connection: Connection, wanted: Wanted, pace: Pace) -> None:
    """CREATE INDEX on all of it: every leaf has its part, so nothing is read, and the lock is held for an instant."""
    sql = f"{wanted.head} {quote(wanted.name.name)} ON {wanted.table.quoted} {wanted.tail}"
    patiently(connection, sql, wanted.table, pace)


def _finish(connection: Connection, wanted: Wanted, row: Any, pace: Pace) -> None:
    head = f"CREATE {'UNIQUE ' if row.unique else ''}INDEX"
    _, found, tail = row.definition.partition(f" ON ONLY {row.table_printed} ")
    assert found, row.definition
    node = _Node(row.index_oid, wanted.name, row.table_oid, head, tail)
    for _ in range(_ROUNDS):
        _complete(connection, node, pace)
        if connection.execute(_VALID, {"oid": row.index_oid}).scalar_one():
            return
    raise ExecutionError(
        f"{wanted.name} is still invalid: partitions were created meanwhile, or a partition that is itself partitioned "
        f"has none. Create one there first (sa-partman run), then run this again: it goes on."
    )


def _complete(connection: Connection, node: _Node, pace: Pace) -> None:
    part: QualifiedName | None = None
    for child in connection.execute(_CHILDREN, {"index": node.index, "table": node.table}).all():
        if child.attached is not None:
            part = QualifiedName(child.index_schema, child.index_name)
            if child.kind == "p":
                _complete(connection, _below(node, child.attached, part, child.oid), pace)
            continue
        table = QualifiedName(child.schema, child.name)
        name = table.sibling(join_name(child.name, node.name.name))
        _build(connection, node.head, node.tail, table, name, child.oid, leaf=child.kind == "r", pace=pace)
        if child.kind == "p":
            oid = connection.execute(_OID, {"name": name.quoted}).scalar_one()
            _complete(connection, _below(node, oid, name, child.oid), pace)
        _attach(connection, node, name, pace)
    if part is not None and not connection.execute(_VALID, {"oid": node.index}).scalar_one():
        # The partition that lacked its part is gone. To attach one once more makes PostgreSQL count again.
        _attach(connection, node, part, pace)


def _attach(connection: Connection, node: _Node, part: QualifiedName, pace: Pace) -> None:
    sql = f"ALTER INDEX {node.name.quoted} ATTACH PARTITION {part.quoted}"
    patiently(connection, sql, node.name, pace)


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
    pace: Pace,
) -> None:
    """The index of one relation, unless an earlier attempt has made it."""
    left = connection.execute(_LEFT, {"name": name.quoted}).one_or_none()
    if left is not None and left.indrelid != oid:
        raise ExecutionError(f"{name}: the name is taken by an index of another table; rename that one")
    if left is not None and leaf and not left.indisvalid:
        with pace.concurrently(connection, str(table), f"the end of older transactions, to drop {name}"):
            connection.exec_driver_sql(_driver(connection, f"DROP INDEX CONCURRENTLY {name.quoted}"))
        left = None
    if left is not None:
        return
    if leaf:
        sql = f"{head} CONCURRENTLY {quote(name.name)} ON {table.quoted} {tail}"
        with pace.concurrently(connection, str(table), f"the end of older transactions, to build {name}"):
            connection.exec_driver_sql(_driver(connection, sql))
    else:
        sql = f"{head} {quote(name.name)} ON ONLY {table.quoted} {tail}"
        patiently(connection, sql, table, pace)


@contextmanager
def _own_timeouts(connection: Connection) -> Iterator[None]:
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


_AGAIN = "A long transaction holds the table: end it (pg_stat_activity shows it), then run the migration again."


def patiently(connection: Connection, sql: str, name: QualifiedName, pace: Pace) -> None:
    """One statement that needs a short lock on *name*: again and again, each try under a short timeout."""
    began, policy = time.monotonic(), pace.policy
    wait = pace.wait(str(name), "a lock for an instant", lambda: holders(connection, (name.quoted,)))
    connection.exec_driver_sql(f"SET lock_timeout = '{round(policy.lock_timeout * 1000)}ms'")
    try:
        for attempts, pause in enumerate(policy.pauses()):
            if attempts and time.monotonic() + pause - began > policy.budget:
                raise LockNotAcquired(str(name), lock_timeout=policy.lock_timeout, attempts=attempts, advice=_AGAIN)
            time.sleep(pause)
            try:
                connection.exec_driver_sql(_driver(connection, sql))
            except DBAPIError as error:
                if not worth_retrying(error):
                    raise
                wait.found(since=began)
            else:
                return
    finally:
        wait.over()


def drop_partitioned_index(connection: Connection, index: QualifiedName, pace: Pace) -> None:
    """
    Drops *index* with those of all partitions. Locks the table and its partitions, ACCESS EXCLUSIVE, for an instant:
    PostgreSQL has no concurrent form.

    Args:
        connection: In autocommit.
    """
    patiently(connection, f"DROP INDEX {index.quoted}", index, pace)


def _driver(connection: Connection, sql: str) -> str:
    """Some drivers read % as the start of a parameter; to others it is a character like any other."""
    doubled = getattr(connection.dialect.identifier_preparer, "_double_percents", False)
    return sql.replace("%", "%%") if doubled else sql
