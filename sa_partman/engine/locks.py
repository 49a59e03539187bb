"""
The locks of a step: what is around the tables that it changes, who holds which locks there, and the protocol: look
before queueing, lock everything before changing anything, give way early, never without a limit.

Source: PostgreSQL, Explicit Locking; ``deadlock_timeout``; ``client_connection_check_interval``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, groupby

from sqlalchemy import Connection, TextClause, text
from sqlalchemy.exc import DBAPIError

from sa_partman.ddl.render import lock_tables, render
from sa_partman.ddl.rows import predicate
from sa_partman.engine.budget import Spending
from sa_partman.engine.running import Running
from sa_partman.engine.waits import Key, Wait, described
from sa_partman.errors import LockNotAcquired, PartmanError
from sa_partman.events import Holder
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import Action, MoveRows
from sa_partman.plan.locks import Lock, LockMode, Relatives, locks_of, subjects_of
from sa_partman.plan.steps import Step
from sa_partman.postgres.reflect import constraints_on
from sa_partman.postgres.session import act_as, execute_sql, features_of
from sa_partman.postgres.sqlstate import LOCK_NOT_AVAILABLE, sqlstate
from sa_partman.table.features import ServerFeatures

# A foreign key of a partitioned table locks that one; a foreign key to one locks its partitions too. Those of a foreign
# key that a partition has from its table are left out.
# Nothing here opens a relation, so it waits for nobody's lock. OFFSET 0 keeps the planner, which knows nothing of how
# few rows there are, to the catalog's indexes.
_AROUND = """
WITH RECURSIVE given AS MATERIALIZED (
    SELECT CAST(u.place AS int) AS place, CAST(pg_catalog.to_regclass(u.name) AS oid) AS oid, u.whole
    FROM unnest(CAST(:names AS text[]), CAST(:wholes AS boolean[])) WITH ORDINALITY AS u(name, whole, place)
), below AS (
    SELECT g.place, i.inhrelid AS oid, 1 AS depth
    FROM given g, LATERAL (SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = g.oid OFFSET 0) i
    WHERE g.whole
  UNION ALL
    SELECT b.place, i.inhrelid, b.depth + 1
    FROM below b, LATERAL (SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = b.oid OFFSET 0) i
), related AS MATERIALIZED (
    SELECT place, 'self' AS role, oid, 0 AS depth FROM given WHERE oid IS NOT NULL
  UNION ALL
    SELECT g.place, 'parent', i.inhparent, 0
    FROM given g, LATERAL (SELECT inhparent FROM pg_catalog.pg_inherits WHERE inhrelid = g.oid OFFSET 0) i
  UNION ALL
    SELECT g.place, 'default', p.partdefid, 0 FROM given g, LATERAL (
        SELECT partdefid FROM pg_catalog.pg_partitioned_table WHERE partrelid = g.oid AND partdefid <> 0 OFFSET 0) p
  UNION ALL
    SELECT g.place, 'referenced', k.confrelid, 0 FROM given g, LATERAL (
        SELECT DISTINCT confrelid FROM pg_catalog.pg_constraint WHERE conrelid = g.oid AND contype = 'f' OFFSET 0) k
  UNION ALL
    SELECT g.place, 'referencing', t.conrelid, 0 FROM given g, LATERAL (
        SELECT DISTINCT (SELECT k.conrelid FROM pg_catalog.pg_constraint k
            WHERE k.oid = t.oid AND k.contype = 'f' AND k.confrelid = g.oid AND NOT EXISTS (
                SELECT FROM pg_catalog.pg_constraint p WHERE p.oid = k.conparentid AND p.confrelid = g.oid)) AS conrelid
        FROM ({constraints} OFFSET 0) t(oid) OFFSET 0) t
  UNION ALL
    SELECT place, 'below', oid, depth FROM below
), named AS MATERIALIZED (
    SELECT r.place, r.role, r.oid, r.depth, c.schema, c.relname, c.relkind, c.relispartition FROM related r, LATERAL (
        SELECT (SELECT n.nspname FROM pg_catalog.pg_namespace n WHERE n.oid = c.relnamespace) AS schema, c.relname,
            c.relkind, c.relispartition
        FROM pg_catalog.pg_class c WHERE c.oid = r.oid OFFSET 0) c
)
SELECT r.place, r.role, r.schema, r.relname,
    r.relkind <> 'f' AND pg_catalog.has_table_privilege(
        coalesce(CAST(:acting AS name), current_user), r.oid, 'UPDATE, DELETE, TRUNCATE'),
    l.pid, l.virtualtransaction, l.mode, (SELECT {condition})
FROM named r
LEFT JOIN pg_catalog.pg_locks l ON l.relation = r.oid AND l.locktype = 'relation' AND l.granted
    AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
    AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
ORDER BY r.place, r.depth DESC, r.relispartition, r.oid
"""

_CROWD = text("""
SELECT (SELECT count(*) FROM pg_catalog.pg_inherits WHERE inhparent = c.oid),
    (SELECT count(*) FROM pg_catalog.pg_index WHERE indrelid = c.oid)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = :schema AND c.relname = :name
""")


@dataclass(frozen=True, slots=True)
class HeldLock:
    """A lock that another transaction holds."""

    table: QualifiedName
    key: Key
    mode: LockMode


@dataclass(frozen=True, slots=True)
class LockView:
    """
    Args:
        relatives: Of every table that was asked for and exists.
        lockable: Tables that the role may lock by itself; ALTER TABLE needs no such privilege on the others, and LOCK
            TABLE takes no foreign table.
        held: By others, on all of these tables.
        holds: Whether the condition holds; False too when there was no table to look at.
    """

    relatives: Mapping[QualifiedName, Relatives]
    lockable: frozenset[QualifiedName]
    held: tuple[HeldLock, ...]
    holds: bool

    def in_the_way(self, locks: Iterable[Lock]) -> dict[Key, tuple[Lock, HeldLock]]:
        """The transactions that one of *locks* would wait for, each with such a lock and what it holds there."""
        wanted: dict[QualifiedName, Lock] = {}
        for lock in locks:
            trees = self.relatives[lock.table].below if lock.tree and lock.table in self.relatives else ()
            wanted.update(dict.fromkeys((*trees, lock.table), lock))
        found: dict[Key, tuple[Lock, HeldLock]] = {}
        for each in self.held:
            asked = wanted.get(each.table)
            if asked is not None and asked.mode.conflicts(each.mode):
                found.setdefault(each.key, (asked, each))
        return found


def view_locks(
    connection: Connection,
    subjects: Mapping[QualifiedName, bool],
    condition: str = "true",
    role: str | None = None,
) -> LockView:
    """
    One look at the catalog and at ``pg_locks``, in a pinned transaction; it waits for nobody.

    Args:
        subjects: Tables, and whether what is below them matters too.
        condition: An SQL expression to evaluate by the way.
        role: Who will take the locks; None: the connected role.
    """
    names = tuple(subjects)
    parameters = {
        "names": [name.quoted for name in names],
        "wholes": list(subjects.values()),
        "acting": role,
    }
    found: dict[int, dict[str, dict[QualifiedName, None]]] = {}
    lockable: set[QualifiedName] = set()
    held: dict[HeldLock, None] = {}
    server = features_of(connection)
    rows = connection.execute(_query(condition, server), parameters).all()
    for place, kin, schema, relation, may_lock, pid, transaction, mode, _ in rows:
        name = QualifiedName(schema, relation)
        found.setdefault(place, {}).setdefault(kin, {})[name] = None
        if may_lock:
            lockable.add(name)
        if mode is not None and (known := LockMode.of_catalog(mode)) is not None:
            held[HeldLock(name, (pid, transaction), known)] = None
    before_15 = not server.has_triggers_of_foreign_keys
    relatives = {names[place - 1]: _relatives(roles, before_15=before_15) for place, roles in found.items()}
    return LockView(relatives, frozenset(lockable), tuple(held), bool(rows and rows[0][-1]))


@lru_cache(8)
def _query(condition: str, server: ServerFeatures) -> TextClause:
    constraints = constraints_on("g.oid", server)
    return text(_AROUND.replace("{constraints}", constraints).replace("{condition}", condition))


def _relatives(roles: Mapping[str, Mapping[QualifiedName, None]], *, before_15: bool) -> Relatives:
    return Relatives(
        next(iter(roles.get("parent", ())), None),
        next(iter(roles.get("default", ())), None),
        tuple(roles.get("referenced", ())),
        tuple(roles.get("referencing", ())),
        tuple(roles.get("below", ())),
        before_15,
    )


def crowd_of(connection: Connection, parent: QualifiedName) -> tuple[int, int]:
    """How many partitions *parent* has, and how many indexes; nothing when it does not exist."""
    row = connection.execute(_CROWD, {"schema": parent.schema, "name": parent.name}).one_or_none()
    return (0, 0) if row is None else (row[0], row[1])


LOOK_AGAIN = 0.25
"""Seconds between two looks: who is there both times holds his locks for long."""

AT_ONCE = 0.005
"""Seconds: a request that is granted within them has not queued, it has only travelled."""


class InTheWay(PartmanError):
    """
    Leaves a transaction before anything was asked for: somebody holds on to what it needs.

    Args:
        holders: Who.
    """

    def __init__(self, holders: tuple[Holder, ...] = ()) -> None:
        self.holders = holders
        super().__init__(*map(str, holders))


class StallSpent(PartmanError):
    """The run has made others wait for as long as it may; nothing was asked for."""


@dataclass(frozen=True, slots=True)
class Target:
    """A relation as ``LOCK TABLE`` has it, and the mode."""

    sql: str
    mode: LockMode

    @classmethod
    def of(cls, lock: Lock) -> Target:
        return cls(f"{'' if lock.tree else 'ONLY '}{lock.table.quoted}", lock.mode)


@dataclass(frozen=True, slots=True)
class Patience:
    """
    How long to wait for a lock, in seconds.

    Args:
        gentle: For one that stops no reader and no writer: autovacuum, which gives way to whoever has waited for a
            ``deadlock_timeout``, is gone by then.
        strong: For any other. It ends before the server looks for a deadlock, so it is we who give way.
    """

    gentle: float
    strong: float

    @classmethod
    def of(cls, lock_timeout: float, deadlock_timeout: float) -> Patience:
        return cls(deadlock_timeout + 0.5, min(lock_timeout, deadlock_timeout / 2))


def take(
    connection: Connection,
    targets: Iterable[Target],
    patience: Patience,
    spending: Spending,
    before_exclusive: Callable[[Connection], None] | None = None,
) -> bool:
    """
    Takes every lock, in order. The transaction's ``lock_timeout`` is that of gentle locks before, and afterwards that
    of strong ones, if there are any; a single gentle lock is left to the statement that needs it.

    First the mode that stops no reader and no writer, and that autovacuum gives way to; only then what everybody feels.

    Args:
        before_exclusive: Called in between: nobody else can change the tables, and everybody still reads and
            writes them.

    Returns:
        Whether any was taken.

    Raises:
        StallSpent: See there.
    """
    wanted = tuple(targets)
    strong = tuple(each for each in wanted if not each.mode.gentle)
    budget = spending.stall_left
    if strong and not budget:
        raise StallSpent
    if not strong and before_exclusive is None and len(wanted) == 1:
        return False
    if wanted:
        take_locks(connection, (each.sql for each in wanted), LockMode.SHARE_UPDATE_EXCLUSIVE)
    if before_exclusive is not None:
        before_exclusive(connection)
    for mode, group in groupby(strong, key=lambda each: each.mode):
        _timeout(connection, min(patience.strong, max(spending.stall_left, AT_ONCE)))
        began = time.monotonic()
        try:
            take_locks(connection, (each.sql for each in group), mode)
        finally:
            spent = time.monotonic() - began
            spending.stall(spent if spent > AT_ONCE else 0.0)
    _timeout(connection, patience.strong)
    return bool(wanted)


def late(running: Running, connection: Connection, table: str, actions: tuple[Action, ...]) -> None:
    """
    Executes *actions* at the end of a long transaction, in a savepoint that first takes every lock that they need;
    again, while these are refused, and without doing the long part again.

    Raises:
        LockNotAcquired: Not within the stall that the policy allows; the caller's transaction should be rolled back.
    """
    patience = Patience.of(running.policy.lock_timeout, running.limits.deadlock_timeout)
    attempts, wait = 0, Wait(running.waits, table, "locks for an instant")
    try:
        for pause in running.policy.pauses():
            if attempts >= running.policy.attempts:
                break
            running.waiting.sleep(pause)
            attempts += 1
            found: tuple[Holder, ...] = ()
            try:
                with connection.begin_nested():
                    around = view_locks(connection, subjects_of(actions))
                    locks = [lock for lock in locks_of(actions, around.relatives) if lock.table in around.lockable]
                    wait.what = ", ".join(map(str, locks[:3])) or wait.what
                    found = described(connection, around.in_the_way(locks))
                    take(connection, map(Target.of, locks), patience, running.spending)
                    for statement in chain.from_iterable(map(render, actions)):
                        connection.execute(statement)
                return
            except DBAPIError as error:
                if not queued(error):
                    raise
                wait.found(found)
    finally:
        wait.over()
    raise LockNotAcquired(table, lock_timeout=running.policy.lock_timeout, attempts=attempts)


def queued(error: BaseException) -> bool:
    """Whether a statement gave up in a queue."""
    return sqlstate(error) == LOCK_NOT_AVAILABLE


def take_locks(connection: Connection, names: Iterable[str], mode: LockMode) -> None:
    """
    LOCK TABLE.

    Args:
        names: As it has them: quoted, and behind ONLY where what is below does not matter.
    """
    execute_sql(connection, lock_tables(names, mode.sql))


def _timeout(connection: Connection, seconds: float) -> None:
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{max(1, round(seconds * 1000))}ms'")


def moves_of(steps: Iterable[Step]) -> Iterator[MoveRows]:
    """Those out of a partition that stays attached."""
    actions = (action for step in steps for action in step.actions)
    return (action for action in actions if isinstance(action, MoveRows) and action.attached is not None)


def rows_to_move(connection: Connection, moves: Iterable[MoveRows], role: str | None) -> set[QualifiedName]:
    """
    The partitioned tables of those of *moves* that have a row to move.

    Args:
        role: Who looks; None: who is connected.
    """
    wanted = tuple(moves)
    if not wanted:
        return set()
    found = set()
    # What the look locks, and the role, is given back.
    with connection.begin_nested() as savepoint:
        act_as(connection, role)
        for each in wanted:
            sql = f"SELECT EXISTS (SELECT FROM {each.source.quoted} WHERE {predicate(each.bound, each.key)})"
            if each.attached is not None and connection.execute(text(sql.replace(":", r"\:"))).scalar():
                found.add(each.attached)
        savepoint.rollback()
    return found


def exclusively(locks: tuple[Lock, ...], tables: Set[QualifiedName]) -> tuple[Lock, ...]:
    """*locks*, with those on *tables* as strong as they can be."""
    return tuple(replace(each, mode=LockMode.ACCESS_EXCLUSIVE) if each.table in tables else each for each in locks)
