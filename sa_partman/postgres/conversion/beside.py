"""
What is beside a table that is converted or taken back: what its partitions have for themselves, and names in use.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, text

from sa_partman.names import QualifiedName
from sa_partman.plan.conversion.request import Refusal
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


# A table also makes a type of its name; a constraint's name is only taken within its table.
_TAKEN = text("""
SELECT w.schema || '.' || w.name AS name, pg_describe_object(h.classid, h.objid, 0) AS holder
FROM unnest(CAST(:schemas AS text[]), CAST(:names AS text[])) AS w(schema, name)
JOIN pg_namespace n ON n.nspname = w.schema
CROSS JOIN LATERAL (
    SELECT CAST('pg_class' AS regclass), c.oid FROM pg_class c WHERE c.relnamespace = n.oid AND c.relname = w.name
    UNION ALL
    SELECT CAST('pg_type' AS regclass), t.oid FROM pg_type t WHERE t.typnamespace = n.oid AND t.typname = w.name
        AND t.typrelid = 0 AND t.typelem = 0
    UNION ALL
    SELECT CAST('pg_constraint' AS regclass), k.oid FROM pg_constraint k WHERE k.conrelid = :oid
        AND k.conname = w.name AND k.contype NOT IN ('p', 'u', 'x')
) AS h(classid, objid)
ORDER BY 1, 2
""")

_STATISTICS = text("""
SELECT w.schema || '.' || w.name AS name, pg_describe_object(CAST('pg_statistic_ext' AS regclass), s.oid, 0) AS holder
FROM unnest(CAST(:schemas AS text[]), CAST(:names AS text[])) AS w(schema, name)
JOIN pg_namespace n ON n.nspname = w.schema
JOIN pg_statistic_ext s ON s.stxnamespace = n.oid AND s.stxname = w.name
ORDER BY 1
""")


def name_refusals(
    connection: Connection, relations: Iterable[QualifiedName], statistics: Iterable[QualifiedName], oid: int
) -> Iterator[Refusal]:
    """
    Args:
        relations: Also the names of constraints of the table.
        statistics: They have names of their own.
        oid: The table's.
    """
    for query, names in ((_TAKEN, tuple(relations)), (_STATISTICS, tuple(statistics))):
        parameters = {"schemas": [each.schema for each in names], "names": [each.name for each in names]}
        if query is _TAKEN:
            parameters |= {"oid": oid}
        for row in connection.execute(query, parameters):
            yield Refusal(f"the name {row.name}, which the conversion needs, is taken by {row.holder}", "rename that")
