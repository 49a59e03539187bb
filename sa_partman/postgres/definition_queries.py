"""Catalog SQL behind the definition of a table, each query named. The session is pinned."""

from __future__ import annotations

from sqlalchemy import TextClause, text

from sa_partman.table.features import ServerFeatures

STORAGE_OPTIONS = """coalesce(c.reloptions, CAST('{}' AS text[])) || ARRAY(
        SELECT 'toast.' || o FROM pg_class t, unnest(t.reloptions) AS o WHERE t.oid = c.reltoastrelid)"""
"""The storage parameters of a relation, the alias c of pg_class; those of its TOAST table too."""

POLICY_COMMAND = """CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
        WHEN 'd' THEN 'DELETE' ELSE 'ALL' END"""


def columns_of_key(side: str) -> str:
    """
    SQL for the names of the columns of a constraint, the alias k of pg_constraint, in order.

    Args:
        side: "con" of the table that has it, "conf" of the one that it refers to.
    """
    return f"""ARRAY(SELECT CAST(a.attname AS text) FROM unnest(k.{side}key) WITH ORDINALITY AS u(attnum, place)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = k.{side}relid AND a.attnum = u.attnum ORDER BY u.place)"""


TABLE = text(f"""
SELECT c.oid, CAST(c.relkind AS text) AS kind, CAST(c.relpersistence AS text) AS persistence,
    CAST(pg_get_userbyid(c.relowner) AS text) AS owner, c.reltuples AS rows,
    pg_table_size(c.oid) AS bytes, pg_indexes_size(c.oid) AS index_bytes,
    c.relrowsecurity AS row_security, c.relforcerowsecurity AS force_row_security,
    CAST(c.relreplident AS text) AS replica_identity,
    (SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
     WHERE x.indrelid = c.oid AND x.indisreplident) AS replica_index,
    {STORAGE_OPTIONS} AS options,
    s.spcname AS tablespace, m.amname AS access_method,
    format('%I.%I', n.nspname, c.relname) AS printed, quote_ident(c.relname) AS bare,
    array_remove(ARRAY[
        CASE WHEN c.relkind NOT IN ('r', 'p') THEN 'it is not a table' END,
        CASE WHEN c.relpersistence = 't' THEN 'it is temporary' END,
        CASE WHEN c.reloftype <> 0 THEN 'it is a typed table (CREATE TABLE ... OF)' END,
        CASE WHEN c.relispartition THEN 'it is a partition itself' END,
        CASE WHEN c.relkind = 'r' THEN (SELECT format('other tables inherit from it (%s)',
            string_agg(CAST(CAST(inhrelid AS regclass) AS text), ', ')) FROM pg_inherits WHERE inhparent = c.oid
            HAVING count(*) > 0) END,
        CASE WHEN NOT c.relispartition THEN (SELECT format('it inherits from %s',
            string_agg(CAST(CAST(inhparent AS regclass) AS text), ', ')) FROM pg_inherits WHERE inhrelid = c.oid
            HAVING count(*) > 0) END,
        CASE WHEN EXISTS (SELECT FROM pg_depend WHERE classid = CAST('pg_class' AS regclass) AND objid = c.oid
            AND deptype = 'e') THEN 'it belongs to an extension' END,
        CASE WHEN c.relkind IN ('r', 'p') THEN (SELECT format('it has rules (%s)', string_agg(rulename, ', '
            ORDER BY rulename)) FROM pg_rewrite WHERE ev_class = c.oid HAVING count(*) > 0) END,
        CASE WHEN EXISTS (SELECT FROM pg_seclabel WHERE objoid = c.oid) THEN 'it has security labels' END,
        CASE WHEN EXISTS (SELECT FROM pg_subscription_rel WHERE srrelid = c.oid)
            THEN 'a subscription writes to it' END,
        CASE WHEN m.amname <> 'heap' THEN format('its access method is %s', m.amname) END
    ], NULL) AS obstacles
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
LEFT JOIN pg_am m ON m.oid = c.relam
WHERE c.oid = to_regclass(:name)
""")

OIDS = text("""
SELECT u.name, CAST(to_regclass(u.name) AS oid)
FROM unnest(CAST(:names AS text[])) AS u(name) WHERE to_regclass(u.name) IS NOT NULL
""")

# PostgreSQL names the options of a column that ALTER TABLE takes; whatever else stands in pg_attribute.attoptions is
# the server's: Debian's 15.20 stamps every column of every new relation, ignores it when it is set or reset, and dumps
# without it. Source: PostgreSQL, ALTER TABLE, attribute_option: the same two since 9.0.
SETTABLE = ("n_distinct", "n_distinct_inherited")
"""What ``ALTER COLUMN ... SET (...)`` takes, from 14 to 19."""

_SETTABLE = ", ".join(f"'{name}'" for name in SETTABLE)
_OPTIONS = "SELECT o FROM unnest({column}.attoptions) AS o WHERE split_part(o, '=', 1) {which} ({names})"


def set_options(column: str) -> str:
    """SQL for the sorted options that somebody set on *column*, an alias of ``pg_attribute``; empty without any."""
    return f"ARRAY({_OPTIONS.format(column=column, which='IN', names=_SETTABLE)} ORDER BY o)"


KEPT_OPTIONS = text(f"""
SELECT DISTINCT split_part(k.o, '=', 1), split_part(current_setting('server_version'), ' ', 1)
FROM pg_attribute a CROSS JOIN LATERAL ({_OPTIONS.format(column="a", which="NOT IN", names=_SETTABLE)}) k
WHERE a.attrelid = ANY (CAST(:oids AS oid[])) AND a.attnum > 0 AND a.attoptions IS NOT NULL ORDER BY 1
""")

COLUMNS = text(f"""
SELECT a.attrelid AS oid, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS not_null,
    CAST(a.attidentity AS text) AS identity, CAST(a.attgenerated AS text) AS generated,
    CAST(coalesce(a.attstattarget, -1) AS int) AS statistics, {set_options("a")} AS options,
    pg_get_expr(d.adbin, d.adrelid) AS expression, CAST(CAST(a.attcollation AS regcollation) AS text) AS collation,
    CAST(a.attstorage AS text) AS storage, CAST(a.attcompression AS text) AS compression
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = ANY (CAST(:oids AS oid[])) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum
""")

SEQUENCES = text("""
SELECT s.oid, n.nspname AS schema, s.relname AS name, a.attname AS column, d.deptype = 'i' AS identity,
    obj_description(s.oid, 'pg_class') AS comment,
    ARRAY(SELECT pg_describe_object(u.classid, u.objid, u.objsubid) FROM pg_depend u
          WHERE d.deptype = 'i' AND u.deptype = 'n'
          AND u.refclassid = CAST('pg_class' AS regclass) AND u.refobjid = s.oid
          AND NOT EXISTS (SELECT FROM pg_attrdef e WHERE u.classid = CAST('pg_attrdef' AS regclass)
                          AND e.oid = u.objid AND e.adrelid = :oid)) AS users,
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
    s.spcname AS tablespace, i.reloptions AS options,
    ARRAY(SELECT ARRAY[CAST(e.attnum AS int), CAST(e.attstattarget AS int)] FROM pg_attribute e
          WHERE e.attrelid = i.oid AND coalesce(CAST(e.attstattarget AS int), -1) >= 0 ORDER BY e.attnum) AS targets,
    ARRAY(SELECT CAST(a.attname AS text) FROM unnest(CAST(x.indkey AS int2[])) WITH ORDINALITY u(attnum, place)
          JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = u.attnum
          WHERE u.place > x.indnkeyatts ORDER BY u.place) AS included,
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

CONSTRAINTS = text(f"""
SELECT k.conrelid AS oid, k.conname AS name, CAST(k.contype AS text) AS kind, pg_get_constraintdef(k.oid) AS definition,
    k.convalidated AS validated, k.connoinherit AS no_inherit, n.nspname AS ref_schema, r.relname AS ref_name,
    coalesce(r.relkind = 'p', false) AS to_partitioned,
    obj_description(k.oid, 'pg_constraint') AS comment,
    {columns_of_key("con")} AS columns
FROM pg_constraint k
LEFT JOIN pg_class r ON r.oid = k.confrelid
LEFT JOIN pg_namespace n ON n.oid = r.relnamespace
WHERE k.conrelid = ANY (CAST(:oids AS oid[])) AND k.contype IN ('c', 'f', 'n', 'p', 'u', 'x')
    AND (k.conparentid = 0 OR k.contype IN ('p', 'u'))
ORDER BY k.conrelid, k.conname
""")

INBOUND = text(f"""
SELECT k.conname AS name, n.nspname AS schema, t.relname AS table_name, pg_get_constraintdef(k.oid) AS definition,
    format('FOREIGN KEY (%s) REFERENCES %s(%s)',
        (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY u.place)
         FROM unnest(k.conkey) WITH ORDINALITY u(attnum, place)
         JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum),
        CAST(k.confrelid AS regclass),
        (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY u.place)
         FROM unnest(k.confkey) WITH ORDINALITY u(attnum, place)
         JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum)) AS head,
    k.confdeltype NOT IN ('a', 'r') AS acts, k.convalidated AS validated,
    obj_description(k.oid, 'pg_constraint') AS comment,
    {columns_of_key("con")} AS columns,
    {columns_of_key("conf")} AS referenced,
    ARRAY(SELECT ARRAY[CAST(a.attname AS text), format_type(a.atttypid, a.atttypmod)] FROM pg_attribute a
          WHERE a.attrelid = k.conrelid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) AS types
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

POLICIES = text(f"""
SELECT polname AS name, polpermissive AS permissive, {POLICY_COMMAND} AS command,
    ARRAY(SELECT CASE WHEN role = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(role)) END
          FROM unnest(polroles) AS role) AS roles,
    pg_get_expr(polqual, polrelid) AS using, pg_get_expr(polwithcheck, polrelid) AS checked,
    obj_description(oid, 'pg_policy') AS comment,
    concat(CAST(polqual AS text), CAST(polwithcheck AS text)) ~ format('.relid %s ', polrelid) AS reads_itself
FROM pg_policy p WHERE polrelid = :oid ORDER BY polname
""")

COMMENTS = text("""
SELECT CAST(a.attname AS text) AS column, d.description
FROM pg_description d LEFT JOIN pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid AND d.objsubid > 0
WHERE d.classoid = CAST('pg_class' AS regclass) AND d.objoid = :oid ORDER BY d.objsubid
""")

STATISTICS = text("""
SELECT n.nspname AS schema, s.stxname AS name, CAST(coalesce(s.stxstattarget, -1) AS int) AS target,
    substr(pg_get_statisticsobjdef(s.oid), length(format('CREATE STATISTICS %I.%I', n.nspname, s.stxname)) + 1) AS tail,
    obj_description(s.oid, 'pg_statistic_ext') AS comment
FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE s.stxrelid = :oid ORDER BY 1, 2
""")

# Default privileges are those of the role that creates the new object, which is the connected one.
_STRANGERS = """ARRAY(
          SELECT DISTINCT CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END
          FROM pg_default_acl d CROSS JOIN aclexplode(d.defaclacl) g
          WHERE d.defaclobjtype = {kind} AND d.defaclnamespace IN (0, c.relnamespace)
          AND pg_get_userbyid(d.defaclrole) = current_user ORDER BY 1)"""

PRIVILEGES = text(f"""
SELECT quote_ident(pg_get_userbyid(c.relowner)) AS owner, c.relacl IS NULL AS untouched,
    CASE WHEN c.relkind = 'S' THEN {_STRANGERS.format(kind="'S'")} ELSE {_STRANGERS.format(kind="'r'")} END AS strangers
FROM pg_class c WHERE c.oid = :oid
""")

GRANTS = text("""
SELECT NULL AS column, g.privilege_type AS privilege, g.is_grantable AS grantable,
    CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END AS grantee
FROM pg_class c
CROSS JOIN aclexplode(coalesce(c.relacl, acldefault(CASE WHEN c.relkind = 'S' THEN CAST('s' AS "char")
    ELSE CAST('r' AS "char") END, c.relowner))) g
WHERE c.oid = :oid
UNION
SELECT a.attname, g.privilege_type, g.is_grantable,
    CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END
FROM pg_attribute a CROSS JOIN aclexplode(a.attacl) g
WHERE a.attrelid = :oid AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY 1 NULLS FIRST, 4, 2
""")

_PUBLICATIONS_14 = text("""
SELECT p.pubname AS name, p.pubviaroot AS via_root, NULL AS columns, NULL AS condition
FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = :oid ORDER BY 1
""")

_PUBLICATIONS_15 = text("""
SELECT p.pubname AS name, p.pubviaroot AS via_root, pg_get_expr(r.prqual, r.prrelid) AS condition,
    CASE WHEN r.prattrs IS NOT NULL THEN
        ARRAY(SELECT CAST(a.attname AS text) FROM unnest(CAST(r.prattrs AS int2[])) u(attnum)
              JOIN pg_attribute a ON a.attrelid = r.prrelid AND a.attnum = u.attnum) END AS columns
FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = :oid ORDER BY 1
""")

# An EXCEPT clause is stored as if it named tables of the publication.
_PUBLICATIONS_19 = text(str(_PUBLICATIONS_15).replace("ORDER BY", "AND NOT r.prexcept ORDER BY"))


def publications(server: ServerFeatures) -> TextClause:
    """Those that name the table."""
    if server.has_publication_exceptions:
        return _PUBLICATIONS_19
    return _PUBLICATIONS_15 if server.has_publication_details else _PUBLICATIONS_14


_ALL_TABLES = """
SELECT p.pubname AS name, 'FOR ALL TABLES' AS scope, p.pubviaroot AS via_root, {excepted} AS excepted,
    {others} AS others, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS ours
FROM pg_publication p WHERE p.puballtables"""
_ALL_TABLES_14 = _ALL_TABLES.format(excepted="false", others="CAST('{}' AS text[])")
_ALL_TABLES_19 = _ALL_TABLES.format(
    excepted="EXISTS (SELECT FROM pg_publication_rel r WHERE r.prpubid = p.oid AND r.prexcept AND r.prrelid = :oid)",
    others="""ARRAY(SELECT format('%I.%I', n.nspname, c.relname) FROM pg_publication_rel r
        JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE r.prpubid = p.oid AND r.prexcept AND r.prrelid <> :oid ORDER BY 1)""",
)
_IN_SCHEMA = """
UNION ALL
SELECT p.pubname, format('FOR TABLES IN SCHEMA %I', n.nspname), p.pubviaroot, false, CAST('{}' AS text[]),
    pg_has_role(p.pubowner, 'USAGE')
FROM pg_publication_namespace w JOIN pg_publication p ON p.oid = w.pnpubid
JOIN pg_class c ON c.relnamespace = w.pnnspid JOIN pg_namespace n ON n.oid = w.pnnspid WHERE c.oid = :oid"""
_COVERS_14 = text(f"{_ALL_TABLES_14} ORDER BY 1")
_COVERS_15 = text(f"{_ALL_TABLES_14}{_IN_SCHEMA} ORDER BY 1")
_COVERS_19 = text(f"{_ALL_TABLES_19}{_IN_SCHEMA} ORDER BY 1")


def covers(server: ServerFeatures) -> TextClause:
    """Publications of all tables, or of all of the schema."""
    if server.has_publication_exceptions:
        return _COVERS_19
    return _COVERS_15 if server.has_publication_details else _COVERS_14


VIEWS = text("""
SELECT DISTINCT CAST(v.relkind AS text) AS kind, format('%I.%I', n.nspname, v.relname) AS printed,
    CASE v.relkind WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialized view ' ELSE format('rule %I on ', w.rulename) END
        || CAST(CAST(v.oid AS regclass) AS text) AS identity,
    CASE WHEN v.relkind = 'v' THEN pg_get_viewdef(v.oid) WHEN v.relkind <> 'm' THEN pg_get_ruledef(w.oid)
        END AS definition, v.reloptions AS options
FROM pg_depend d
JOIN pg_rewrite w ON w.oid = d.objid
JOIN pg_class v ON v.oid = w.ev_class
JOIN pg_namespace n ON n.oid = v.relnamespace
WHERE d.classid = CAST('pg_rewrite' AS regclass) AND d.refclassid = CAST('pg_class' AS regclass)
    AND d.refobjid = :oid AND v.oid <> :oid
ORDER BY 2, 3
""")

# Whoever takes or returns the row type would still mean the history's.
FUNCTIONS = text("""
SELECT 'function ' || CAST(CAST(p.oid AS regprocedure) AS text) AS identity,
    CASE WHEN bool_and(d.refclassid = CAST('pg_class' AS regclass)) THEN pg_get_functiondef(p.oid) END AS definition
FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
WHERE d.classid = CAST('pg_proc' AS regclass) AND (
    d.refclassid = CAST('pg_class' AS regclass) AND d.refobjid = :oid
    OR d.refclassid = CAST('pg_type' AS regclass) AND d.refobjid IN (
        SELECT oid FROM pg_type WHERE typrelid = :oid
        UNION SELECT typarray FROM pg_type WHERE typrelid = :oid))
GROUP BY p.oid ORDER BY 1
""")

POLICIES_ELSEWHERE = text("""
SELECT DISTINCT p.polname AS name, format('%I.%I', n.nspname, c.relname) AS printed,
    format('policy %I on %s', p.polname, CAST(c.oid AS regclass)) AS identity,
    pg_get_expr(p.polqual, p.polrelid) AS using, pg_get_expr(p.polwithcheck, p.polrelid) AS checked
FROM pg_depend d
JOIN pg_policy p ON p.oid = d.objid
JOIN pg_class c ON c.oid = p.polrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE d.classid = CAST('pg_policy' AS regclass) AND d.refclassid = CAST('pg_class' AS regclass)
    AND d.refobjid = :oid AND p.polrelid <> :oid
ORDER BY 3
""")

# Whatever else refers to the table or to its row type: PostgreSQL names it, whatever it is.
OTHERS = text("""
SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid) AS identity
FROM pg_depend d
WHERE d.deptype = 'n' AND (
    d.refclassid = CAST('pg_class' AS regclass) AND d.refobjid = :oid
    OR d.refclassid = CAST('pg_type' AS regclass) AND d.refobjid IN (
        SELECT oid FROM pg_type WHERE typrelid = :oid
        UNION SELECT typarray FROM pg_type WHERE typrelid = :oid))
    AND d.classid NOT IN (CAST('pg_rewrite' AS regclass), CAST('pg_proc' AS regclass), CAST('pg_policy' AS regclass),
        CAST('pg_publication_rel' AS regclass), CAST('pg_statistic_ext' AS regclass))
    AND NOT EXISTS (SELECT FROM pg_constraint k WHERE d.classid = CAST('pg_constraint' AS regclass)
        AND k.oid = d.objid AND (k.contype = 'f' OR k.conrelid = :oid))
    AND NOT EXISTS (SELECT FROM pg_trigger t WHERE d.classid = CAST('pg_trigger' AS regclass)
        AND t.oid = d.objid AND (t.tgisinternal OR t.tgrelid = :oid))
    AND NOT EXISTS (SELECT FROM pg_attrdef e WHERE d.classid = CAST('pg_attrdef' AS regclass)
        AND e.oid = d.objid AND e.adrelid = :oid)
    AND NOT EXISTS (SELECT FROM pg_class c LEFT JOIN pg_index x ON x.indexrelid = c.oid
        WHERE d.classid = CAST('pg_class' AS regclass) AND c.oid = d.objid
        AND (c.oid = :oid OR x.indrelid = :oid OR c.relispartition))
ORDER BY 1
""")

# GROUP BY a primary key makes a view depend on that very constraint.
KEY_USERS = text("""
SELECT DISTINCT CASE WHEN w.ev_class IS NULL THEN pg_describe_object(d.classid, d.objid, d.objsubid)
    ELSE pg_describe_object(CAST('pg_class' AS regclass), w.ev_class, 0) END AS identity
FROM pg_constraint k
JOIN pg_depend d ON d.refclassid = CAST('pg_constraint' AS regclass) AND d.refobjid = k.oid AND d.deptype = 'n'
LEFT JOIN pg_rewrite w ON d.classid = CAST('pg_rewrite' AS regclass) AND w.oid = d.objid
WHERE k.conrelid = :oid AND k.contype = 'p' ORDER BY 1
""")

_SET_16 = "NOT pg_has_role(current_user, c.relowner, 'SET')"

_RIGHTS = """
SELECT unnest(array_remove(ARRAY[
    CASE WHEN NOT pg_has_role(current_user, c.relowner, 'USAGE')
        THEN format('the role %s does not own it', current_user) END,
    CASE WHEN {set} THEN format('the role %s may not SET ROLE to the owner, {owner}', current_user,
        pg_get_userbyid(c.relowner)) END,
    CASE WHEN row_security_active(c.oid)
        THEN format('row security hides rows of it from the role %s', current_user) END,
    CASE WHEN NOT has_schema_privilege(c.relnamespace, 'CREATE')
        THEN format('the role %s may not create in the schema %I', current_user, n.nspname) END,
    CASE WHEN pg_get_userbyid(c.relowner) <> current_user AND NOT has_schema_privilege(c.relowner, n.oid, 'CREATE')
        AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
        THEN format('its owner %s may not create in the schema %I', pg_get_userbyid(c.relowner), n.nspname) END
], NULL)) AS lacking
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = :oid
UNION ALL
SELECT DISTINCT format('the role %s does not own %s', current_user, pg_describe_object(x.classid, x.oid, 0))
FROM (SELECT v.oid, v.relowner AS owner, CAST('pg_class' AS regclass) AS classid
      FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid JOIN pg_class v ON v.oid = w.ev_class
      WHERE d.classid = CAST('pg_rewrite' AS regclass) AND d.refclassid = CAST('pg_class' AS regclass)
          AND d.refobjid = :oid AND v.oid <> :oid
      UNION SELECT p.oid, p.proowner, CAST('pg_proc' AS regclass)
      FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
      WHERE d.classid = CAST('pg_proc' AS regclass) AND d.refclassid = CAST('pg_class' AS regclass)
          AND d.refobjid = :oid
      UNION SELECT t.oid, t.relowner, CAST('pg_class' AS regclass)
      FROM pg_policy p JOIN pg_depend d ON d.objid = p.oid JOIN pg_class t ON t.oid = p.polrelid
      WHERE d.classid = CAST('pg_policy' AS regclass) AND d.refclassid = CAST('pg_class' AS regclass)
          AND d.refobjid = :oid
      UNION SELECT t.oid, t.relowner, CAST('pg_class' AS regclass)
      FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid WHERE k.confrelid = :oid AND k.contype = 'f'
      UNION SELECT p.oid, p.pubowner, CAST('pg_publication' AS regclass)
      FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = :oid
        AND NOT p.puballtables
      UNION SELECT s.oid, s.stxowner, CAST('pg_statistic_ext' AS regclass) FROM pg_statistic_ext s
      WHERE s.stxrelid = :oid) x(oid, owner, classid)
WHERE NOT pg_has_role(current_user, x.owner, 'USAGE')
UNION ALL
SELECT DISTINCT format('the role %s has no REFERENCES on %s', current_user, CAST(k.confrelid AS regclass))
FROM pg_constraint k WHERE k.conrelid = :oid AND k.contype = 'f' AND k.conparentid = 0
    AND NOT has_any_column_privilege(k.confrelid, 'REFERENCES')
"""

_RIGHTS_14 = text(_RIGHTS.format(set="false", owner="%s"))
_RIGHTS_16 = text(_RIGHTS.format(set=_SET_16, owner="%s"))


def rights(server: ServerFeatures) -> TextClause:
    """What the connected role lacks, in words."""
    return _RIGHTS_16 if server.has_set_option else _RIGHTS_14
