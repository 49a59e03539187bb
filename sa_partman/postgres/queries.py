"""Catalog SQL, each query named."""

from __future__ import annotations

from functools import cache

from sqlalchemy import Connection, TextClause, text

# pg_constraint has no index for the table that a foreign key refers to. Its triggers tell, and where a partitioned
# table has none of those yet, what depends on the table, which is more.
_BY_TRIGGERS = "SELECT t.tgconstraint FROM pg_catalog.pg_trigger t WHERE t.tgrelid = {0} AND t.tgconstrrelid <> 0"
_BY_DEPENDENCIES = """
SELECT d.objid FROM pg_catalog.pg_depend d WHERE d.refclassid = CAST('pg_catalog.pg_class' AS regclass)
    AND d.refobjid = {0} AND d.classid = CAST('pg_catalog.pg_constraint' AS regclass)
"""


def is_before_15(connection: Connection) -> bool:
    """Whether the server is PostgreSQL 14."""
    return (connection.dialect.server_version_info or (15,)) < (15,)


def constraints_on(oid: str, *, before_15: bool) -> str:
    """A query for the oids of constraints among which are all foreign keys that refer to the table *oid*."""
    return (_BY_DEPENDENCIES if before_15 else _BY_TRIGGERS).format(oid)


# Every table of a run and whatever below it is partitioned itself, each with its key; then the tables detached by us,
# but for those that somebody made children of a table of his own since.
# Partitions that are partitioned are few, so the recursion begins at them: no leaf is looked at.
_PARENTS = """
WITH RECURSIVE wanted AS (
    SELECT n.oid AS namespace, u.name
    FROM unnest(CAST(:schemas AS text[]), CAST(:names AS text[])) AS u(schema, name)
    JOIN pg_catalog.pg_namespace n ON n.nspname = u.schema
), edge AS MATERIALIZED (
    SELECT i.inhparent, i.inhrelid
    FROM pg_catalog.pg_partitioned_table p JOIN pg_catalog.pg_inherits i ON i.inhrelid = p.partrelid
), tree AS (
    SELECT c.oid, 0 AS depth
    FROM wanted w JOIN pg_catalog.pg_class c ON c.relnamespace = w.namespace AND c.relname = w.name
    WHERE c.relkind IN ('r', 'p')
  UNION ALL
    SELECT e.inhrelid, t.depth + 1
    FROM tree t
    JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = t.oid
    JOIN edge e ON e.inhparent = t.oid
    WHERE CAST(:ranges AS boolean) OR p.partstrat <> 'r' OR e.inhrelid = p.partdefid
)
SELECT t.oid, t.depth, n.nspname, c.relname, CAST(p.partstrat AS text), k.columns, k.types, k.enums,
    CASE WHEN k.columns IS NOT NULL AND p.partexprs IS NOT NULL
        THEN pg_catalog.pg_get_expr(p.partexprs, p.partrelid) END,
    NULL,
    CASE WHEN t.depth = 0 THEN ARRAY[
        pg_catalog.pg_has_role(c.relowner, 'USAGE'),
        pg_catalog.has_schema_privilege(c.relowner, c.relnamespace, 'CREATE'),
        EXISTS (SELECT FROM ({constraints} OFFSET 0) k(oid) JOIN pg_catalog.pg_constraint f ON f.oid = k.oid
                WHERE f.confrelid = c.oid AND f.contype = 'f' AND f.conparentid = 0),
        pg_catalog.pg_get_userbyid(c.relowner) = current_user,
        pg_catalog.pg_has_role(c.relowner, CASE
            WHEN CAST(pg_catalog.current_setting('server_version_num') AS int) < 160000 THEN 'MEMBER' ELSE 'SET' END),
        EXISTS (SELECT FROM pg_catalog.pg_roles s WHERE s.oid = c.relowner AND s.rolsuper)
    ] END,
    CASE WHEN t.depth = 0 THEN CAST(pg_catalog.pg_get_userbyid(c.relowner) AS text) END,
    CASE WHEN t.depth = 0 THEN CAST(current_user AS text) END
FROM tree t
JOIN pg_catalog.pg_class c ON c.oid = t.oid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = t.oid
LEFT JOIN LATERAL (
    SELECT array_agg(CAST(a.attname AS text) ORDER BY u.place) AS columns,
        array_agg(pg_catalog.format_type(coalesce(nullif(y.typbasetype, 0), a.atttypid), a.atttypmod)
                  ORDER BY u.place) AS types,
        array_agg(y.typtype = 'e' ORDER BY u.place) AS enums
    FROM unnest(CAST(p.partattrs AS int2[])) WITH ORDINALITY AS u(attnum, place)
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = u.attnum AND a.attnum > 0
    LEFT JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
) k ON p.partrelid IS NOT NULL
UNION ALL
SELECT c.oid, -1, n.nspname, c.relname, NULL, NULL, NULL, NULL, NULL, d.description,
    ARRAY[o.rolsuper], CAST(o.rolname AS text), NULL
FROM pg_catalog.pg_description d
JOIN pg_catalog.pg_class c ON c.oid = d.objoid AND NOT c.relispartition
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_roles o ON o.oid = c.relowner
WHERE d.classoid = CAST('pg_catalog.pg_class' AS regclass) AND d.objsubid = 0
    AND d.description LIKE 'sa_partman: detached from %'
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid)
ORDER BY 2, 1
"""


@cache
def parents_query(*, before_15: bool) -> TextClause:
    """The tables of a run and what is below them, see above."""
    return text(_PARENTS.replace("{constraints}", constraints_on("c.oid", before_15=before_15)))


# The one bulk query: the partitions of all these parents. Printing a bound opens the relation, which is most of the
# cost and waits behind an ACCESS EXCLUSIVE lock; a hash of what is stored tells whether it was read before. No order:
# the server would sort what is stored of every bound, on disk.
PARTITIONS = text("""
SELECT i.inhparent, c.oid, n.nspname, c.relname, CAST(c.relkind AS text), i.inhdetachpending, d.description,
    c.reltuples, c.relpages, pg_catalog.hashtextextended(CAST(c.relpartbound AS text) COLLATE "C", 0)
FROM pg_catalog.pg_inherits i
JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = i.inhparent
LEFT JOIN pg_catalog.pg_description d
    ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = CAST('pg_catalog.pg_class' AS regclass)
WHERE i.inhparent = ANY (CAST(:parents AS oid[]))
    AND (CAST(:ranges AS boolean) OR p.partstrat <> 'r' OR i.inhrelid = p.partdefid)
""")

# The bounds that were not read before, printed.
PRINTED = text("""
SELECT c.oid, pg_catalog.pg_get_expr(c.relpartbound, c.oid),
    pg_catalog.hashtextextended(CAST(c.relpartbound AS text) COLLATE "C", 0)
FROM pg_catalog.pg_class c WHERE c.oid = ANY (CAST(:oids AS oid[])) AND c.relpartbound IS NOT NULL
""")

# What the partitions that a step just made look like to the server.
BOUNDS = text("""
SELECT n.nspname, c.relname, pg_catalog.pg_get_expr(c.relpartbound, c.oid),
    CAST(pg_catalog.pg_get_userbyid(c.relowner) AS text)
FROM unnest(CAST(:schemas AS text[]), CAST(:names AS text[])) AS u(schema, name)
JOIN pg_catalog.pg_namespace n ON n.nspname = u.schema
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = u.name
""")

# What bears a name already: relations and types share it with tables.
NAME_HELD_BY = text("""
SELECT CASE c.relkind WHEN 'r' THEN 'a table' WHEN 'p' THEN 'a partitioned table' WHEN 'v' THEN 'a view'
    WHEN 'm' THEN 'a materialized view' WHEN 'S' THEN 'a sequence' WHEN 'i' THEN 'an index'
    WHEN 'I' THEN 'a partitioned index' WHEN 'f' THEN 'a foreign table' WHEN 'c' THEN 'a composite type'
    ELSE 'a relation' END || CASE WHEN c.relispartition THEN ', a partition of '
    || (SELECT CAST(CAST(inhparent AS regclass) AS text) FROM pg_catalog.pg_inherits WHERE inhrelid = c.oid)
    ELSE '' END
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = :schema AND c.relname = :name
UNION ALL
SELECT 'a type' FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE n.nspname = :schema AND t.typname = :name AND t.typrelid = 0
LIMIT 1
""")
