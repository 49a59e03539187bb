"""
What is beside a table that is converted or taken back: what its partitions have for themselves.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from sa_partman.postgres.definition_queries import STORAGE_OPTIONS

_TREE = """
tree AS (SELECT t.relid FROM pg_partition_tree(CAST(CAST(:oid AS oid) AS regclass)) t
         WHERE t.relid <> CAST(:oid AS oid) AND t.relid <> CAST(:spared AS oid))"""

_STORAGE = text(f"""
SELECT DISTINCT {STORAGE_OPTIONS} AS options, CAST(c.relpersistence AS text) AS persistence
FROM pg_partition_tree(CAST(CAST(:oid AS oid) AS regclass)) p JOIN pg_class c ON c.oid = p.relid WHERE p.isleaf
""")

_OWN = """
SELECT pg_describe_object(CAST('pg_class' AS regclass), x.indexrelid, 0) AS thing FROM tree
JOIN pg_index x ON x.indrelid = tree.relid
WHERE NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = x.indexrelid)
UNION ALL
SELECT pg_describe_object(CAST('pg_constraint' AS regclass), k.oid, 0) FROM tree
JOIN pg_constraint k ON k.conrelid = tree.relid
WHERE k.contype IN ('c', 'f') AND k.conparentid = 0 AND k.coninhcount = 0
UNION ALL
SELECT pg_describe_object(CAST('pg_trigger' AS regclass), g.oid, 0) FROM tree
JOIN pg_trigger g ON g.tgrelid = tree.relid WHERE NOT g.tgisinternal AND g.tgparentid = 0"""

_USERS = """
SELECT CASE WHEN w.oid IS NULL THEN pg_describe_object(d.classid, d.objid, d.objsubid)
    ELSE pg_describe_object(CAST('pg_class' AS regclass), w.ev_class, 0) END AS thing FROM tree
JOIN pg_type y ON y.typrelid = tree.relid
JOIN pg_depend d ON d.deptype = 'n' AND (d.refclassid = CAST('pg_class' AS regclass) AND d.refobjid = tree.relid
    OR d.refclassid = CAST('pg_type' AS regclass) AND d.refobjid IN (y.oid, y.typarray))
LEFT JOIN pg_rewrite w ON d.classid = CAST('pg_rewrite' AS regclass) AND w.oid = d.objid
LEFT JOIN pg_constraint k ON d.classid = CAST('pg_constraint' AS regclass) AND k.oid = d.objid
WHERE (d.classid IN (CAST('pg_proc' AS regclass), CAST('pg_type' AS regclass)) OR w.oid IS NOT NULL
    OR d.classid = CAST('pg_class' AS regclass) AND d.objsubid > 0 AND d.objid <> tree.relid
    OR k.contype = 'f' AND k.confrelid = tree.relid AND k.conparentid = 0)"""


def storage(connection: Connection, oid: int) -> tuple[tuple[str, ...], str]:
    """
    The storage parameters and the persistence that all lowest partitions share; where they differ, none, and permanent.
    """
    rows = connection.execute(_STORAGE, {"oid": oid}).all()
    options = {tuple(row.options) for row in rows}
    persistence = {row.persistence for row in rows}
    return (options.pop() if len(options) == 1 else (), persistence.pop() if len(persistence) == 1 else "p")


def own_things(connection: Connection, oid: int) -> tuple[str, ...]:
    """Indexes, constraints and triggers that single partitions have for themselves, and what refers to partitions."""
    return _listed(connection, f"{_OWN} UNION ALL {_USERS}", oid, 0)


def own_of(connection: Connection, oid: int) -> tuple[str, ...]:
    """The same of one partition."""
    query = f"WITH tree AS (SELECT CAST(:oid AS oid) AS relid) SELECT DISTINCT thing FROM ({_OWN} UNION ALL {_USERS}) f"
    return tuple(connection.execute(text(f"{query} ORDER BY 1"), {"oid": oid}).scalars())


def users(connection: Connection, oid: int, spared: int) -> tuple[str, ...]:
    """
    Views, functions and foreign keys that refer to single partitions.

    Args:
        spared: A partition that stays.
    """
    return _listed(connection, _USERS, oid, spared)


def _listed(connection: Connection, query: str, oid: int, spared: int) -> tuple[str, ...]:
    found = connection.execute(
        text(f"WITH {_TREE} SELECT DISTINCT thing FROM ({query}) AS found ORDER BY 1"), {"oid": oid, "spared": spared}
    )
    return tuple(found.scalars())
