"""Catalog SQL behind the anatomy of a table, each query named. All take the oid, but for `TABLE`."""

from __future__ import annotations

from sqlalchemy import text

TABLE = text("""
SELECT c.oid, CAST(c.relkind AS text) AS kind, CAST(c.relpersistence AS text) AS persistence,
    CAST(pg_get_userbyid(c.relowner) AS text) AS owner, c.reltuples AS rows,
    pg_table_size(c.oid) AS bytes, pg_indexes_size(c.oid) AS index_bytes,
    c.relrowsecurity AS row_security, c.relforcerowsecurity AS force_row_security,
    CAST(c.relreplident AS text) AS replica_identity,
    (SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
     WHERE x.indrelid = c.oid AND x.indisreplident) AS replica_index,
    c.reloptions AS options, s.spcname AS tablespace, m.amname AS access_method,
    format('%I.%I', n.nspname, c.relname) AS printed,
    array_remove(ARRAY[
        CASE WHEN c.relkind NOT IN ('r', 'p') THEN 'it is not a table' END,
        CASE WHEN c.relpersistence = 't' THEN 'it is temporary' END,
        CASE WHEN c.reloftype <> 0 THEN 'it is a typed table (CREATE TABLE ... OF)' END,
        CASE WHEN c.relispartition THEN 'it is a partition itself' END,
        CASE WHEN c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid)
            THEN 'other tables inherit from it' END,
        CASE WHEN NOT c.relispartition AND EXISTS (SELECT FROM pg_inherits WHERE inhrelid = c.oid)
            THEN 'it inherits from another table' END,
        CASE WHEN EXISTS (SELECT FROM pg_depend WHERE classid = CAST('pg_class' AS regclass) AND objid = c.oid
            AND deptype = 'e') THEN 'it belongs to an extension' END,
        CASE WHEN EXISTS (SELECT FROM pg_rewrite WHERE ev_class = c.oid AND c.relkind = 'r')
            THEN 'it has rules' END,
        CASE WHEN EXISTS (SELECT FROM pg_seclabel WHERE objoid = c.oid) THEN 'it has security labels' END,
        CASE WHEN EXISTS (SELECT FROM pg_subscription_rel WHERE srrelid = c.oid)
            THEN 'a subscription writes to it' END
    ], NULL) AS obstacles
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
LEFT JOIN pg_am m ON m.oid = c.relam
WHERE c.oid = to_regclass(:name)
""")

COLUMNS = text("""
SELECT attname AS name, format_type(atttypid, atttypmod) AS type, attnotnull AS not_null,
    CAST(attidentity AS text) AS identity, CAST(attgenerated AS text) AS generated,
    CAST(coalesce(attstattarget, -1) AS int) AS statistics, attoptions AS options
FROM pg_attribute WHERE attrelid = :oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum
""")

SEQUENCES = text("""
SELECT n.nspname AS schema, s.relname AS name, a.attname AS column, d.deptype = 'i' AS identity,
    format('START WITH %s INCREMENT BY %s MINVALUE %s MAXVALUE %s CACHE %s %s', q.seqstart, q.seqincrement, q.seqmin,
           q.seqmax, q.seqcache, CASE WHEN q.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END) AS options
FROM pg_depend d
JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
JOIN pg_sequence q ON q.seqrelid = s.oid
JOIN pg_namespace n ON n.oid = s.relnamespace
JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE d.classid = CAST('pg_class' AS regclass) AND d.refclassid = CAST('pg_class' AS regclass)
    AND d.refobjid = :oid AND d.deptype IN ('a', 'i')
ORDER BY 3
""")

INDEXES = text("""
SELECT i.relname AS name, quote_ident(i.relname) AS printed, format('%I.%I', n.nspname, t.relname) AS table_printed,
    pg_get_indexdef(x.indexrelid) AS definition, x.indisunique AS unique, x.indisvalid AS valid,
    x.indpred IS NOT NULL AS partial, x.indimmediate AS immediate,
    k.conname AS constraint_name, CAST(k.contype AS text) AS kind,
    obj_description(x.indexrelid, 'pg_class') AS comment, pg_relation_size(x.indexrelid) AS bytes,
    s.spcname AS tablespace,
    ARRAY(SELECT CAST(a.attname AS text) FROM unnest(CAST(x.indkey AS int2[])) WITH ORDINALITY u(attnum, place)
          LEFT JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = u.attnum AND a.attnum > 0
          WHERE u.place <= x.indnkeyatts ORDER BY u.place) AS columns
FROM pg_index x
JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_class t ON t.oid = x.indrelid
JOIN pg_namespace n ON n.oid = t.relnamespace
LEFT JOIN pg_tablespace s ON s.oid = i.reltablespace
LEFT JOIN pg_constraint k ON k.conindid = x.indexrelid AND k.conrelid = x.indrelid AND k.contype IN ('p', 'u', 'x')
WHERE x.indrelid = :oid ORDER BY i.relname
""")

CONSTRAINTS = text("""
SELECT k.conname AS name, CAST(k.contype AS text) AS kind, pg_get_constraintdef(k.oid) AS definition,
    k.convalidated AS validated, k.connoinherit AS no_inherit, n.nspname AS ref_schema, r.relname AS ref_name,
    obj_description(k.oid, 'pg_constraint') AS comment,
    ARRAY(SELECT CAST(a.attname AS text) FROM unnest(k.conkey) WITH ORDINALITY u(attnum, place)
          JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY u.place) AS columns
FROM pg_constraint k
LEFT JOIN pg_class r ON r.oid = k.confrelid
LEFT JOIN pg_namespace n ON n.oid = r.relnamespace
WHERE k.conrelid = :oid AND k.conparentid = 0 AND k.contype IN ('c', 'f', 'p', 'u', 'x') ORDER BY k.conname
""")

INBOUND = text("""
SELECT k.conname AS name, n.nspname AS schema, t.relname AS table_name, pg_get_constraintdef(k.oid) AS definition,
    ARRAY(SELECT CAST(a.attname AS text) FROM unnest(k.conkey) WITH ORDINALITY u(attnum, place)
          JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY u.place) AS columns,
    ARRAY(SELECT CAST(a.attname AS text) FROM unnest(k.confkey) WITH ORDINALITY u(attnum, place)
          JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum ORDER BY u.place) AS referenced,
    ARRAY(SELECT CAST(a.attname AS text) FROM pg_attribute a
          WHERE a.attrelid = k.conrelid AND a.attnum > 0 AND NOT a.attisdropped) AS table_columns
FROM pg_constraint k
JOIN pg_class t ON t.oid = k.conrelid
JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE k.confrelid = :oid AND k.contype = 'f' AND k.conparentid = 0 ORDER BY 2, 3, 1
""")

TRIGGERS = text("""
SELECT tgname AS name, pg_get_triggerdef(oid) AS definition, CAST(tgenabled AS text) AS enabled,
    tgtype & 1 = 1 AS row, tgoldtable IS NOT NULL OR tgnewtable IS NOT NULL AS transition_tables,
    tgtype & 7 = 7 AS before_insert, obj_description(oid, 'pg_trigger') AS comment
FROM pg_trigger WHERE tgrelid = :oid AND NOT tgisinternal AND tgparentid = 0 ORDER BY tgname
""")

POLICIES = text("""
SELECT polname AS name, polpermissive AS permissive,
    CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
        ELSE 'ALL' END AS command,
    ARRAY(SELECT CASE WHEN role = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(role)) END
          FROM unnest(polroles) AS role) AS roles,
    pg_get_expr(polqual, polrelid) AS using, pg_get_expr(polwithcheck, polrelid) AS checked
FROM pg_policy WHERE polrelid = :oid ORDER BY polname
""")

COMMENTS = text("""
SELECT a.attname AS column, quote_literal(d.description) AS literal
FROM pg_description d LEFT JOIN pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid AND d.objsubid > 0
WHERE d.classoid = CAST('pg_class' AS regclass) AND d.objoid = :oid ORDER BY d.objsubid
""")

STATISTICS = text("""
SELECT stxname AS name, pg_get_statisticsobjdef(oid) AS definition
FROM pg_statistic_ext WHERE stxrelid = :oid ORDER BY stxname
""")

# The owner's own privileges come with ownership, unless they were revoked.
GRANTS = text("""
SELECT NULL AS column, g.privilege_type AS privilege, g.is_grantable AS grantable,
    CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END AS grantee
FROM pg_class c CROSS JOIN aclexplode(c.relacl) g
WHERE c.oid = :oid AND g.grantee <> c.relowner
UNION ALL
SELECT a.attname, g.privilege_type, g.is_grantable,
    CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END
FROM pg_attribute a CROSS JOIN aclexplode(a.attacl) g
WHERE a.attrelid = :oid AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY 1 NULLS FIRST, 4, 2
""")

PUBLICATIONS_14 = text("""
SELECT p.pubname AS name, NULL AS columns, NULL AS condition
FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = :oid ORDER BY 1
""")

PUBLICATIONS_15 = text("""
SELECT p.pubname AS name, pg_get_expr(r.prqual, r.prrelid) AS condition,
    CASE WHEN r.prattrs IS NOT NULL THEN
        ARRAY(SELECT CAST(a.attname AS text) FROM unnest(CAST(r.prattrs AS int2[])) u(attnum)
              JOIN pg_attribute a ON a.attrelid = r.prrelid AND a.attnum = u.attnum) END AS columns
FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = :oid ORDER BY 1
""")

VIEWS = text("""
SELECT DISTINCT CAST(v.relkind AS text) AS kind, format('%I.%I', n.nspname, v.relname) AS printed,
    CASE WHEN v.relkind IN ('v', 'm') THEN CAST(CAST(v.oid AS regclass) AS text)
        ELSE w.rulename || ' on ' || CAST(CAST(v.oid AS regclass) AS text) END AS identity,
    CASE WHEN v.relkind = 'v' THEN pg_get_viewdef(v.oid) END AS definition, v.reloptions AS options
FROM pg_depend d
JOIN pg_rewrite w ON w.oid = d.objid
JOIN pg_class v ON v.oid = w.ev_class
JOIN pg_namespace n ON n.oid = v.relnamespace
WHERE d.classid = CAST('pg_rewrite' AS regclass) AND d.refclassid = CAST('pg_class' AS regclass)
    AND d.refobjid = :oid AND v.oid <> :oid
ORDER BY 2
""")

FUNCTIONS = text("""
SELECT DISTINCT CAST(CAST(p.oid AS regprocedure) AS text) AS identity,
    CASE WHEN d.refclassid = CAST('pg_class' AS regclass) THEN pg_get_functiondef(p.oid) END AS definition
FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
WHERE d.classid = CAST('pg_proc' AS regclass) AND (
    d.refclassid = CAST('pg_class' AS regclass) AND d.refobjid = :oid
    OR d.refclassid = CAST('pg_type' AS regclass) AND d.refobjid IN (
        SELECT oid FROM pg_type WHERE typrelid = :oid
        UNION SELECT typarray FROM pg_type WHERE typrelid = :oid))
ORDER BY 1
""")

OTHERS = text("""
SELECT 'policy' AS kind, p.polname || ' on ' || CAST(CAST(p.polrelid AS regclass) AS text) AS identity
FROM pg_depend d JOIN pg_policy p ON p.oid = d.objid
WHERE d.classid = CAST('pg_policy' AS regclass) AND d.refclassid = CAST('pg_class' AS regclass)
    AND d.refobjid = :oid AND p.polrelid <> :oid
UNION
SELECT 'column', CAST(CAST(a.attrelid AS regclass) AS text) || '.' || a.attname
FROM pg_attribute a
WHERE NOT a.attisdropped AND a.attnum > 0 AND a.atttypid IN (
    SELECT oid FROM pg_type WHERE typrelid = :oid UNION SELECT typarray FROM pg_type WHERE typrelid = :oid)
    AND a.attrelid <> :oid
ORDER BY 1, 2
""")
