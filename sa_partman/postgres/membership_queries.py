"""Catalog SQL about membership. The session is pinned, so that every bare name is of pg_catalog."""

from __future__ import annotations

from sqlalchemy import text

from sa_partman.postgres.definition_queries import POLICY_COMMAND, STORAGE_OPTIONS, set_options

# Always quoted, as `names.quote` does.
_NAMED = """'"' || replace(CAST(pg_get_userbyid({0}) AS text), '"', '""') || '"'"""
_GRANTEE = f"CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE {_NAMED.format('g.grantee')} END"
_GRANT = f"json_build_array({_GRANTEE}, g.privilege_type, {{column}}, g.is_grantable)"

# What the planner is told of columns, of expressions in indexes, and by extended statistics; -1 and NULL (since 17) are
# the default target.
_TARGET = "coalesce(CAST({0} AS int), -1)"
_SETTINGS = f"""
    SELECT 'statistics' AS name, CAST(a.attstattarget AS text) AS value WHERE {_TARGET.format("a.attstattarget")} >= 0
    UNION ALL
    SELECT split_part(o, '=', 1), substr(o, strpos(o, '=') + 1) FROM unnest({set_options("a")}) AS o"""
_INDEX_TARGETS = f"""
    SELECT x.indrelid, CAST(coalesce(pg_partition_root(x.indexrelid), x.indexrelid) AS oid) AS root, a.attnum,
        {_TARGET.format("a.attstattarget")} AS target
    FROM pg_index x JOIN pg_attribute a ON a.attrelid = x.indexrelid WHERE x.indexprs IS NOT NULL"""
_KINDS = "ARRAY(SELECT CAST(k AS text) FROM unnest(s.stxkind) AS k WHERE k <> 'e' ORDER BY 1)"
_NAMES = """ARRAY(SELECT CAST(a.attname AS text) FROM pg_attribute a
        WHERE a.attrelid = s.stxrelid AND a.attnum = ANY (CAST(s.stxkeys AS int2[])) ORDER BY 1)"""
_EXPRESSIONS = "ARRAY(SELECT e FROM unnest(pg_get_statisticsobjdef_expressions(s.oid)) AS e ORDER BY 1)"
_SUBJECT = f"{_KINDS}, {_NAMES}, {_EXPRESSIONS}, {_TARGET.format('s.stxstattarget')}"

# Whole rows of single tables: of those that get new partitions, and of partitions that differ.
# JSON as text, because every driver has a mind of its own about json.
MEMBERS = text(f"""
SELECT c.oid, n.nspname AS schema, CAST(c.relname AS text) AS name, CAST(c.relkind AS text) AS kind,
    CAST(pg_get_userbyid(c.relowner) AS text) AS owner, pg_has_role(c.relowner, 'USAGE') AS reachable,
    c.relrowsecurity AS row_security, c.relforcerowsecurity AS forced, CAST(c.relreplident AS text) AS identity,
    CAST(i.schema AS text) AS index_schema, CAST(i.name AS text) AS index_name,
    CAST(s.spcname AS text) AS tablespace, CAST(m.amname AS text) AS access_method,
    CAST((SELECT json_agg({_GRANT.format(column="NULL")})
        FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) g) AS text) AS grants,
    CAST((SELECT json_agg({_GRANT.format(column="a.attname")})
        FROM pg_attribute a CROSS JOIN aclexplode(a.attacl) g
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS text) AS column_grants,
    EXISTS (SELECT FROM aclexplode(c.relacl) g WHERE g.grantor <> c.relowner) OR EXISTS (
        SELECT FROM pg_attribute a CROSS JOIN aclexplode(a.attacl) g
        WHERE a.attrelid = c.oid AND NOT a.attisdropped AND g.grantor <> c.relowner) AS passed_on,
    CAST((SELECT json_agg(json_build_array(p.polname,
        {POLICY_COMMAND}, p.polpermissive,
        ARRAY(SELECT CASE WHEN r = 0 THEN 'PUBLIC' ELSE {_NAMED.format("r")} END
              FROM unnest(p.polroles) AS r ORDER BY 1),
        pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)))
        FROM pg_policy p WHERE p.polrelid = c.oid) AS text) AS policies,
    CAST((SELECT json_agg(json_build_array(a.attname, o.name, o.value)) FROM pg_attribute a CROSS JOIN LATERAL (
        {_SETTINGS}) o WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS text) AS columns,
    CAST((SELECT json_agg(json_build_array(y.nspname, r.relname, t.attnum, t.target))
        FROM ({_INDEX_TARGETS}) t JOIN pg_class r ON r.oid = t.root JOIN pg_namespace y ON y.oid = r.relnamespace
        WHERE t.indrelid = c.oid AND r.relkind = 'I') AS text) AS index_targets,
    CAST((SELECT json_agg(json_build_array({_SUBJECT}, y.nspname, s.stxname))
        FROM pg_statistic_ext s JOIN pg_namespace y ON y.oid = s.stxnamespace WHERE s.stxrelid = c.oid) AS text)
        AS statistics,
    quote_ident(c.relname) AS printed,
    ARRAY(SELECT CAST(p.pubname AS text) FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
          WHERE r.prrelid = c.oid) AS publications
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
LEFT JOIN pg_am m ON m.oid = c.relam
LEFT JOIN LATERAL (
    SELECT y.nspname AS schema, x.relname AS name
    FROM (SELECT indexrelid, indisreplident FROM pg_index WHERE indrelid = c.oid OFFSET 0) d
    JOIN pg_class x ON x.oid = coalesce(CAST(pg_partition_root(d.indexrelid) AS oid), d.indexrelid)
    JOIN pg_namespace y ON y.oid = x.relnamespace
    WHERE d.indisreplident AND c.relreplident = 'i'
) i ON true
WHERE c.oid = ANY (CAST(:oids AS oid[]))
""")

# What else a new member is to have: default privileges of the owner, publications of the other partitions, and the
# privileges that this needs. A publication that names an ancestor, a schema or all tables covers partitions by itself.
# The partitions are only walked where single tables are published.
_MEMBERSHIP = f"""
WITH RECURSIVE tree AS (
    SELECT c.oid AS root, c.oid, c.relkind, 0 AS depth FROM pg_class c
    WHERE c.oid = ANY (CAST(:oids AS oid[])) AND EXISTS (SELECT FROM pg_publication_rel)
  UNION ALL
    SELECT t.root, c.oid, c.relkind, t.depth + 1
    FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid AND NOT i.inhdetachpending
    JOIN pg_class c ON c.oid = i.inhrelid
), sizes AS (
    SELECT root, relkind = 'p' AS divided, count(*) AS number FROM tree WHERE depth > 0 GROUP BY 1, 2
), named AS (
    SELECT t.root, t.relkind = 'p' AS divided, r.prpubid, count(*) AS number, {{tail}} AS tail
    FROM tree t JOIN pg_publication_rel r ON r.prrelid = t.oid
    WHERE t.depth > 0 GROUP BY 1, 2, 3
)
SELECT c.oid,
    CAST((SELECT json_agg({_GRANT.format(column="NULL")}) FROM (
        SELECT * FROM aclexplode(coalesce(
            (SELECT d.defaclacl FROM pg_default_acl d WHERE d.defaclobjtype = 'r' AND d.defaclnamespace = 0
             AND d.defaclrole = c.relowner), acldefault('r', c.relowner)))
        UNION
        SELECT e.* FROM pg_default_acl d CROSS JOIN aclexplode(d.defaclacl) e
        WHERE d.defaclobjtype = 'r' AND d.defaclnamespace = c.relnamespace AND d.defaclrole = c.relowner
    ) g) AS text) AS fresh,
    CAST((SELECT json_agg(json_build_array(p.pubname, a.divided, a.tail,
                pg_has_role(c.relowner, p.pubowner, 'USAGE'), pg_has_role(p.pubowner, 'USAGE'),
                quote_ident(pg_get_userbyid(p.pubowner))) ORDER BY p.pubname)
        FROM named a JOIN sizes z ON z.root = a.root AND z.divided = a.divided
        JOIN pg_publication p ON p.oid = a.prpubid AND NOT p.puballtables
        WHERE a.root = c.oid AND 2 * a.number >= z.number AND NOT EXISTS (
            SELECT FROM pg_publication_rel r WHERE r.prpubid = p.oid AND r.prrelid = c.oid)
            {{schemas}}) AS text) AS publications,
    CASE WHEN c.reltablespace <> 0 THEN has_tablespace_privilege(c.relowner, c.reltablespace, 'CREATE') ELSE true END
        AS may_place,
    quote_ident(s.spcname) AS tablespace, quote_ident(pg_get_userbyid(c.relowner)) AS owner,
    quote_ident(current_user) AS role
FROM pg_class c LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
WHERE c.oid = ANY (CAST(:oids AS oid[]))
"""

MEMBERSHIP_14 = text(_MEMBERSHIP.format(tail="NULL", schemas=""))

_TAIL = """max(
        CASE WHEN r.prattrs IS NOT NULL THEN ' (' || (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
            FROM pg_attribute a WHERE a.attrelid = r.prrelid AND a.attnum = ANY (CAST(r.prattrs AS int2[]))) || ')'
            ELSE '' END
        || coalesce(' WHERE (' || pg_get_expr(r.prqual, r.prrelid) || ')', ''))"""

MEMBERSHIP_15 = text(
    _MEMBERSHIP.format(
        tail=_TAIL,
        schemas="AND NOT EXISTS (SELECT FROM pg_publication_namespace w "
        "WHERE w.pnpubid = p.oid AND w.pnnspid = c.relnamespace)",
    )
)

OPTIONS = text(f"""
SELECT c.oid, {STORAGE_OPTIONS} AS options
FROM pg_class c WHERE c.oid = ANY (CAST(:oids AS oid[])) AND (c.reloptions IS NOT NULL OR c.reltoastrelid <> 0)
""")

# Partitions that may differ from their table; what is left over is looked at whole, by `MEMBERS`. A stored expression
# is compared without what CREATE POLICY adds when it is read back and written again; most partitions have the very
# same expressions, so each is stripped once.
_BARE = (
    "regexp_replace(min(x.tree), ' :(location|funcformat|relabelformat|coerceformat|convertformat|row_format)"
    " -?[0-9]+', '', 'g')"
)
_SORTED = (
    "(SELECT array_agg(CAST(e AS text) ORDER BY CAST(e AS text)) "
    "FROM unnest(coalesce({0}.relacl, acldefault('r', {0}.relowner))) e)"
)
_HAS = (
    "c.relkind, c.relowner, c.relacl, c.relrowsecurity, c.relforcerowsecurity, c.relreplident, c.reltablespace, c.relam"
)

DRIFT = text(f"""
WITH RECURSIVE tree AS (
    SELECT c.oid AS root, c.oid, 0 AS depth, {_HAS} FROM pg_class c WHERE c.oid = ANY (CAST(:oids AS oid[]))
  UNION ALL
    SELECT t.root, c.oid, t.depth + 1, {_HAS}
    FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid AND NOT i.inhdetachpending
    JOIN pg_class c ON c.oid = i.inhrelid AND c.relkind IN ('r', 'p')
), expressions AS MATERIALIZED (
    SELECT hashtextextended(x.tree, 0) AS tree, md5({_BARE}) AS sum FROM (
        SELECT CAST(polqual AS text) FROM pg_policy WHERE polqual IS NOT NULL
        UNION ALL SELECT CAST(polwithcheck AS text) FROM pg_policy WHERE polwithcheck IS NOT NULL) x(tree)
    GROUP BY 1
), hashed AS MATERIALIZED (
    SELECT p.polrelid, concat_ws('|', p.polname, p.polcmd, p.polpermissive, CAST(p.polroles AS text)) AS head,
        hashtextextended(CAST(p.polqual AS text), 0) AS qual,
        hashtextextended(CAST(p.polwithcheck AS text), 0) AS checked
    FROM pg_policy p
), policies AS MATERIALIZED (
    SELECT p.polrelid, string_agg(concat_ws('|', p.head, q.sum, '/', w.sum), '|' ORDER BY p.head) AS sum
    FROM hashed p LEFT JOIN expressions q ON q.tree = p.qual LEFT JOIN expressions w ON w.tree = p.checked
    GROUP BY 1
), columns AS MATERIALIZED (
    SELECT a.attrelid, string_agg(concat_ws('|', a.attname, a.attacl), '|' ORDER BY a.attname) AS sum
    FROM pg_attribute a WHERE a.attacl IS NOT NULL AND a.attnum > 0 AND NOT a.attisdropped GROUP BY 1
), sizes AS (
    SELECT root, relkind, count(*) AS number FROM tree WHERE depth > 0 GROUP BY 1, 2
), named AS (
    SELECT t.root, t.relkind, r.prpubid, count(*) AS number
    FROM pg_publication_rel r JOIN tree t ON t.oid = r.prrelid AND t.depth > 0 GROUP BY 1, 2, 3
), told AS MATERIALIZED (
    SELECT a.attrelid, a.attname, o.name, o.value FROM pg_attribute a CROSS JOIN LATERAL ({_SETTINGS}) o
    WHERE a.attrelid = ANY (CAST(:oids AS oid[])) AND a.attnum > 0 AND NOT a.attisdropped
), targeted AS MATERIALIZED (
    SELECT * FROM ({_INDEX_TARGETS}) t WHERE t.indrelid = ANY (CAST(:oids AS oid[])) AND t.target >= 0
), measured AS MATERIALIZED (
    SELECT s.stxrelid, ROW({_SUBJECT}) AS subject
    FROM pg_statistic_ext s WHERE s.stxrelid = ANY (CAST(:oids AS oid[]))
), untold AS MATERIALIZED (
    SELECT t.oid FROM told r JOIN tree t ON t.root = r.attrelid AND t.depth > 0 WHERE NOT EXISTS (
        SELECT FROM pg_attribute a CROSS JOIN LATERAL ({_SETTINGS}) o
        WHERE a.attrelid = t.oid AND a.attname = r.attname AND o.name = r.name AND o.value = r.value)
  UNION
    SELECT t.oid FROM targeted r JOIN tree t ON t.root = r.indrelid AND t.depth > 0
    JOIN ({_INDEX_TARGETS}) o ON o.indrelid = t.oid AND o.root = r.root AND o.attnum = r.attnum
    WHERE o.target <> r.target
  UNION
    SELECT t.oid FROM measured r JOIN tree t ON t.root = r.stxrelid AND t.depth > 0 WHERE NOT EXISTS (
        SELECT FROM pg_statistic_ext s WHERE s.stxrelid = t.oid AND ROW({_SUBJECT}) = r.subject)
), unpublished AS MATERIALIZED (
    SELECT t.oid FROM named a JOIN sizes z USING (root, relkind) JOIN tree t USING (root, relkind)
    WHERE 2 * a.number >= z.number AND t.depth > 0
    AND NOT EXISTS (SELECT FROM pg_publication_rel r WHERE r.prpubid = a.prpubid AND r.prrelid IN (a.root, t.oid))
), judged AS (
    SELECT t.*, p.sum AS policies, a.sum AS columns FROM tree t
    LEFT JOIN policies p ON p.polrelid = t.oid LEFT JOIN columns a ON a.attrelid = t.oid
)
SELECT c.root, c.oid
FROM judged c JOIN judged r ON r.oid = c.root
WHERE c.depth > 0 AND (
    c.relowner <> r.relowner OR c.relrowsecurity <> r.relrowsecurity
    OR c.relforcerowsecurity <> r.relforcerowsecurity OR c.relreplident <> r.relreplident
    OR c.reltablespace <> r.reltablespace OR (r.relam <> 0 AND c.relam <> r.relam)
    OR (r.relreplident = 'i' AND NOT EXISTS (
        SELECT FROM pg_index x, pg_index y WHERE x.indrelid = c.oid AND x.indisreplident AND y.indrelid = r.oid
        AND y.indisreplident AND CAST(pg_partition_root(x.indexrelid) AS oid) = y.indexrelid))
    OR r.policies IS DISTINCT FROM c.policies OR r.columns IS DISTINCT FROM c.columns
    OR (c.relacl IS DISTINCT FROM r.relacl AND {_SORTED.format("c")} IS DISTINCT FROM {_SORTED.format("r")})
    OR c.oid IN (SELECT oid FROM unpublished) OR c.oid IN (SELECT oid FROM untold)
)
ORDER BY 1, 2
""")
