"""What stands around a step: the relatives of the tables that it changes, and who holds which locks on all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import Connection, TextClause, text

from sa_partman.names import QualifiedName
from sa_partman.plan.locks import Lock, LockMode, Relatives
from sa_partman.postgres.locks.blockers import Key
from sa_partman.postgres.queries import constraints_on, is_before_15

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
class Held:
    """A lock that another transaction holds."""

    table: QualifiedName
    key: Key
    mode: LockMode


@dataclass(frozen=True, slots=True)
class Surroundings:
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
    held: tuple[Held, ...]
    holds: bool

    def in_the_way(self, locks: Iterable[Lock]) -> dict[Key, tuple[Lock, Held]]:
        """The transactions that one of *locks* would wait for, each with such a lock and what it holds there."""
        wanted: dict[QualifiedName, Lock] = {}
        for lock in locks:
            trees = self.relatives[lock.table].below if lock.tree and lock.table in self.relatives else ()
            wanted.update(dict.fromkeys((*trees, lock.table), lock))
        found: dict[Key, tuple[Lock, Held]] = {}
        for each in self.held:
            asked = wanted.get(each.table)
            if asked is not None and asked.mode.conflicts(each.mode):
                found.setdefault(each.key, (asked, each))
        return found


def look_around(
    connection: Connection,
    subjects: Mapping[QualifiedName, bool],
    condition: str = "true",
    role: str | None = None,
) -> Surroundings:
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
    held: dict[Held, None] = {}
    before_15 = is_before_15(connection)
    rows = connection.execute(_query(condition, before_15), parameters).all()
    for place, kin, schema, relation, may_lock, pid, transaction, mode, _ in rows:
        name = QualifiedName(schema, relation)
        found.setdefault(place, {}).setdefault(kin, {})[name] = None
        if may_lock:
            lockable.add(name)
        if mode is not None and (known := LockMode.of_catalog(mode)) is not None:
            held[Held(name, (pid, transaction), known)] = None
    relatives = {names[place - 1]: _relatives(roles, before_15=before_15) for place, roles in found.items()}
    return Surroundings(relatives, frozenset(lockable), tuple(held), bool(rows and rows[0][-1]))


@lru_cache(8)
def _query(condition: str, before_15: bool) -> TextClause:
    constraints = constraints_on("g.oid", before_15=before_15)
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
