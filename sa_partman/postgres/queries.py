"""Catalog SQL, each query named."""

from __future__ import annotations

from sqlalchemy import text

# One query for every table of a run: the roots, their partitions of all levels, and the tables detached by us.
# pg_get_expr() opens each relation, which makes up most of the cost; nothing here computes a size.
TREES = text("""
WITH RECURSIVE wanted AS (
    SELECT n.oid AS namespace, u.name
    FROM unnest(CAST(:schemas AS text[]), CAST(:names AS text[])) AS u(schema, name)
    JOIN pg_catalog.pg_namespace n ON n.nspname = u.schema
), tree AS (
    SELECT c.oid, CAST(0 AS oid) AS parent, false AS pending, 0 AS depth, c.oid AS root
    FROM wanted w JOIN pg_catalog.pg_class c ON c.relnamespace = w.namespace AND c.relname = w.name
    WHERE c.relkind IN ('r', 'p')
  UNION ALL
    SELECT i.inhrelid, i.inhparent, i.inhdetachpending, t.depth + 1, t.root
    FROM tree t
    JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = t.oid
    JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid
    WHERE CAST(:ranges AS boolean) OR p.partstrat <> 'r' OR i.inhrelid = p.partdefid
)
SELECT t.oid, t.parent, t.pending, t.depth, t.root, n.nspname, c.relname, CAST(c.relkind AS text),
    CASE WHEN t.depth > 0 THEN pg_catalog.pg_get_expr(c.relpartbound, c.oid) END,
    c.reltuples, c.relpages, CAST(p.partstrat AS text), k.columns, k.types, k.enums,
    CASE WHEN k.columns IS NOT NULL AND p.partexprs IS NOT NULL
        THEN pg_catalog.pg_get_expr(p.partexprs, p.partrelid) END,
    d.description,
    CASE WHEN t.depth = 0 THEN ARRAY[
        pg_catalog.pg_has_role(c.relowner, 'USAGE'),
        pg_catalog.has_schema_privilege(c.relnamespace, 'CREATE'),
        EXISTS (SELECT FROM pg_catalog.pg_constraint f
                WHERE f.confrelid = c.oid AND f.contype = 'f' AND f.conparentid = 0)
    ] END,
    CASE WHEN t.depth = 0 THEN CAST(pg_catalog.pg_get_userbyid(c.relowner) AS text) END
FROM tree t
JOIN pg_catalog.pg_class c ON c.oid = t.oid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = t.oid
LEFT JOIN pg_catalog.pg_description d
    ON d.objoid = t.oid AND d.objsubid = 0 AND d.classoid = CAST('pg_catalog.pg_class' AS regclass)
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
SELECT c.oid, CAST(0 AS oid), false, -1, CAST(0 AS oid), n.nspname, c.relname, CAST(c.relkind AS text),
    NULL, c.reltuples, c.relpages, NULL, NULL, NULL, NULL, NULL, d.description, NULL, NULL
FROM pg_catalog.pg_description d
JOIN pg_catalog.pg_class c ON c.oid = d.objoid AND NOT c.relispartition
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE d.classoid = CAST('pg_catalog.pg_class' AS regclass) AND d.objsubid = 0
    AND d.description LIKE 'sa_partman: detached from %'
ORDER BY 4, 1
""")

# What the partitions that a step just made look like to the server.
BOUNDS = text("""
SELECT n.nspname, c.relname, pg_catalog.pg_get_expr(c.relpartbound, c.oid)
FROM unnest(CAST(:schemas AS text[]), CAST(:names AS text[])) AS u(schema, name)
JOIN pg_catalog.pg_namespace n ON n.nspname = u.schema
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = u.name
""")

# Who holds locks on a relation, for messages; the columns that need a privilege come back empty without it.
HOLDERS = text("""
SELECT l.pid, coalesce(a.application_name, ''), coalesce(a.state, ''), l.mode
FROM pg_catalog.pg_locks l
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE l.relation = CAST(pg_catalog.to_regclass(:name) AS oid) AND l.granted
    AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
    AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
ORDER BY l.pid LIMIT 5
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
