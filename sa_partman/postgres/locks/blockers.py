"""Who stands in the way: looked for before we queue for a lock, and named when it was not granted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

from sa_partman.events import Holder

__all__ = ["Holder", "Key", "Watch", "blocking", "described", "holders", "lingering"]

Key = tuple[int | None, str]
"""A transaction: the pid, None for a prepared one, and its virtual transaction id; needs no privilege to be seen."""

# The columns that need a privilege come back empty without it. Only autovacuum has a process without a user.
_HOLDER = """
    l.pid, l.virtualtransaction, coalesce(a.application_name, ''), coalesce(a.state, ''), l.mode,
    coalesce(a.backend_type, CASE WHEN a.pid IS NOT NULL AND a.usesysid IS NULL THEN 'autovacuum worker' END,
        'client backend'), p.gid,
    CAST(extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared)) AS float8),
    coalesce(a.query LIKE 'autovacuum:%(to prevent wraparound)', false),
    coalesce((SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = l.relation), '')
FROM pg_catalog.pg_locks l
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
LEFT JOIN pg_catalog.pg_locks x ON l.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid'
    AND x.virtualtransaction = l.virtualtransaction
LEFT JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = x.transactionid
"""

_HOLDERS = text(f"""
WITH named AS (
    SELECT CAST(pg_catalog.to_regclass(u.name) AS oid) AS oid FROM unnest(CAST(:tables AS text[])) AS u(name)
), wanted AS (
    SELECT oid FROM named
    UNION SELECT CAST(t.relid AS oid) FROM named, pg_catalog.pg_partition_tree(named.oid) t
    UNION SELECT k.confrelid FROM named JOIN pg_catalog.pg_constraint k ON k.conrelid = named.oid
        WHERE :related AND k.contype = 'f'
)
SELECT DISTINCT ON (l.pid, l.virtualtransaction) {_HOLDER}
WHERE l.locktype = 'relation' AND l.relation IN (SELECT oid FROM wanted) AND l.granted
    AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
    AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
    AND (:writers IS FALSE OR l.mode NOT IN ('AccessShareLock', 'RowShareLock'))
ORDER BY l.pid, l.virtualtransaction, l.mode
""")

_TRANSACTIONS = text(f"""
SELECT DISTINCT ON (l.pid, l.virtualtransaction) {_HOLDER}
JOIN unnest(CAST(:pids AS int[]), CAST(:transactions AS text[])) AS u(pid, id)
    ON u.id = l.virtualtransaction AND u.pid IS NOT DISTINCT FROM l.pid
WHERE l.locktype = 'relation' AND l.granted
ORDER BY l.pid, l.virtualtransaction, l.mode
""")

# A statement can wait for a lock on a relation, or for transactions to end, whatever they hold. Nothing is looked for
# while it does not wait.
_BLOCKING = text("""
SELECT b.pid, coalesce(l.virtualtransaction, ''), coalesce(a.application_name, ''), coalesce(a.state, ''),
    coalesce(l.mode, ''), coalesce(a.backend_type, 'client backend'), NULL,
    CAST(extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start) AS float8),
    coalesce(a.query LIKE 'autovacuum:%(to prevent wraparound)', false), coalesce(l.name, '')
FROM pg_catalog.pg_stat_activity me
CROSS JOIN LATERAL (SELECT DISTINCT nullif(u.pid, 0) FROM unnest(pg_catalog.pg_blocking_pids(me.pid)) AS u(pid)) b(pid)
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid
LEFT JOIN LATERAL (
    SELECT h.virtualtransaction, h.mode, n.nspname || '.' || c.relname AS name
    FROM pg_catalog.pg_locks h
    JOIN pg_catalog.pg_class c ON c.oid = h.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_locks w ON w.pid = me.pid AND NOT w.granted AND w.relation = h.relation
    WHERE h.pid = b.pid AND h.locktype = 'relation' AND h.granted AND n.nspname NOT IN ('pg_catalog', 'pg_toast')
        AND c.relkind IN ('r', 'p', 'f')
        AND h.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
    ORDER BY w.pid IS NULL, n.nspname || '.' || c.relname <> :table, c.oid, h.mode LIMIT 1
) l ON true
WHERE me.pid = :pid AND me.wait_event_type = 'Lock'
""")


@dataclass(slots=True)
class Watch:
    """
    The looks of one step: who was there at the last one, and which autovacuum did not give way when it was asked.

    Args:
        before: At the last look; None before the first one.
        last: Those that the last look found in the way.
        anchored: Compare with the first look and not with the last one: it only matters who was there already.
    """

    before: frozenset[Key] | None = None
    last: tuple[Holder, ...] = ()
    asked: set[Key] = field(default_factory=set)
    anchored: bool = False

    def lingering(self, found: tuple[Holder, ...]) -> tuple[Holder, ...]:
        """
        Those to wait for without a request of ours: who is there at two looks holds his locks for long, and so will
        whoever queues behind him. After the first look that is everybody, until the second one tells.
        """
        seen, self.last = self.before, found
        if seen is None or not self.anchored:
            self.before = frozenset(each.key for each in found)
        here = found if seen is None else tuple(each for each in found if each.key in seen)
        stay = tuple(each for each in here if not each.gives_way or each.key in self.asked)
        if not stay:
            self.asked.update(each.key for each in found if each.gives_way)
        return stay


def holders(
    connection: Connection, tables: Iterable[str], *, related: bool = False, writers: bool = False
) -> tuple[Holder, ...]:
    """
    Other transactions with a lock on *tables* or on partitions of them.

    Args:
        tables: Quoted names.
        related: And on the tables that they refer to.
        writers: Only those with more than a reader's lock.
    """
    wanted = {"tables": list(tables), "related": related, "writers": writers}
    return tuple(Holder(*row) for row in connection.execute(_HOLDERS, wanted))


def described(connection: Connection, keys: Iterable[Key]) -> tuple[Holder, ...]:
    """Who these transactions are; those that ended meanwhile are left out."""
    wanted = tuple(keys)
    if not wanted:
        return ()
    parameters = {"pids": [pid for pid, _ in wanted], "transactions": [transaction for _, transaction in wanted]}
    return tuple(Holder(*row) for row in connection.execute(_TRANSACTIONS, parameters))


def blocking(connection: Connection, pid: int, table: str = "") -> tuple[Holder, ...]:
    """
    For whom the backend *pid* waits now.

    Args:
        table: Of what such a transaction has locked, this is shown first; another one if *pid* waits for that.
    """
    return tuple(Holder(*row) for row in connection.execute(_BLOCKING, {"pid": pid, "table": table}))


def lingering(before: Iterable[Holder], after: Iterable[Holder]) -> tuple[Holder, ...]:
    """The holders of both looks: no short transactions, so whoever queues behind them queues for long."""
    seen = {each.key for each in before}
    return tuple(each for each in after if each.key in seen and not each.gives_way)
