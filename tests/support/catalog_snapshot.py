"""
What a schema holds, object by object and by names, as lines that can be compared: two equal snapshots are two equal
catalogs, and the difference of two others reads like a story. It does not use the package.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import unified_diff

from sqlalchemy import Connection, Engine, text

Snapshot = tuple[str, ...]
"""Sorted lines, such as ``table public.events owner: app``."""

_ACL = """(SELECT string_agg(concat(CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee) END, '=',
    x.privilege_type, CASE WHEN x.is_grantable THEN '*' END, '/', pg_get_userbyid(x.grantor)), ' '
    ORDER BY 1) FROM (SELECT * FROM aclexplode({acl}) ORDER BY grantee, privilege_type, grantor) x)"""


def _acl(acl: str) -> str:
    return _ACL.format(acl=acl).replace("ORDER BY 1", "ORDER BY x.grantee, x.privilege_type, x.grantor")


_RELATIONS = f"""
SELECT f.line FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'table' END
    || ' ' || CAST(c.oid AS regclass) AS this) t
CROSS JOIN LATERAL (VALUES
    (this || ' kind: ' || CAST(c.relkind AS text)),
    (this || ' owner: ' || pg_get_userbyid(c.relowner)),
    (this || ' persistence: ' || CAST(c.relpersistence AS text)),
    (this || ' options: ' || CAST(c.reloptions AS text)),
    (this || ' toast options: ' || (SELECT CAST(o.reloptions AS text) FROM pg_class o WHERE o.oid = c.reltoastrelid)),
    (this || ' tablespace: ' || (SELECT s.spcname FROM pg_tablespace s WHERE s.oid = c.reltablespace)),
    (this || ' replica identity: ' || CAST(c.relreplident AS text)),
    (this || ' row security: ' || CAST(c.relrowsecurity AS text) || ' ' || CAST(c.relforcerowsecurity AS text)),
    (this || ' partition by: ' || pg_get_partkeydef(c.oid)),
    (this || ' bound: ' || pg_get_expr(c.relpartbound, c.oid)),
    (this || ' inherits: ' || (SELECT string_agg(CAST(i.inhparent AS regclass)::text, ', ') FROM pg_inherits i
        WHERE i.inhrelid = c.oid)),
    (this || ' grants: ' || {_acl("coalesce(c.relacl, acldefault('r', c.relowner))")}),
    (this || ' comment: ' || obj_description(c.oid, 'pg_class')),
    (this || ' definition: ' || CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END)
) f(line)
WHERE n.nspname = ANY(:schemas) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND f.line IS NOT NULL
"""

_COLUMNS = f"""
SELECT f.line FROM (
    SELECT a.*, c.relowner, row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum) AS place,
        CASE WHEN c.relkind = 'c' THEN 'type ' ELSE 'column ' END || CAST(c.oid AS regclass) || '.'
        || quote_ident(a.attname) AS this
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY(:schemas) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND a.attnum > 0
        AND NOT a.attisdropped
) a
CROSS JOIN LATERAL (VALUES
    (this || ' type: ' || place || ' ' || format_type(a.atttypid, a.atttypmod)),
    (this || ' not null: ' || CAST(a.attnotnull AS text)),
    (this || ' default: ' || (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d
        WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum)),
    (this || ' identity: ' || nullif(CAST(a.attidentity AS text), '')),
    (this || ' generated: ' || nullif(CAST(a.attgenerated AS text), '')),
    (this || ' collation: ' || (SELECT collname FROM pg_collation o WHERE o.oid = a.attcollation)),
    (this || ' storage: ' || CAST(a.attstorage AS text) || ' ' || CAST(a.attcompression AS text)),
    (this || ' statistics: ' || nullif(coalesce(CAST(a.attstattarget AS int), -1), -1)),
    (this || ' options: ' || (SELECT string_agg(o, ', ' ORDER BY o) FROM unnest(a.attoptions) o
        WHERE split_part(o, '=', 1) IN ('n_distinct', 'n_distinct_inherited'))),
    (this || ' inherited: ' || nullif(concat(a.attislocal, ' ', a.attinhcount), 't 0')),
    (this || ' grants: ' || {_acl("a.attacl")}),
    (this || ' comment: ' || col_description(a.attrelid, a.attnum))
) f(line) WHERE f.line IS NOT NULL
"""

_CONSTRAINTS = """
SELECT f.line FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (SELECT 'constraint ' || quote_ident(k.conname) || ' on ' || CAST(c.oid AS regclass) AS this) t
CROSS JOIN LATERAL (VALUES
    (this || ': ' || CASE WHEN k.contype = 't' THEN 'constraint trigger' ELSE pg_get_constraintdef(k.oid) END),
    (this || ' valid: ' || CAST(k.convalidated AS text)),
    (this || ' inherited: ' || nullif(concat(k.conislocal, ' ', k.coninhcount, ' ', k.conparentid <> 0), 't 0 f')),
    (this || ' no inherit: ' || CASE WHEN k.contype IN ('c', 'n') THEN nullif(k.connoinherit, false) END),
    (this || ' comment: ' || obj_description(k.oid, 'pg_constraint'))
) f(line)
WHERE n.nspname = ANY(:schemas) AND f.line IS NOT NULL
    AND NOT (k.contype = 'f' AND k.conparentid <> 0 AND EXISTS (
        SELECT FROM pg_constraint p WHERE p.oid = k.conparentid AND p.conrelid = k.conrelid))
"""

_INDEXES = """
SELECT f.line FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_namespace n ON n.oid = i.relnamespace
CROSS JOIN LATERAL (SELECT 'index ' || CAST(i.oid AS regclass) || ' of ' || CAST(x.indrelid AS regclass) AS this) t
CROSS JOIN LATERAL (VALUES
    (this || ': ' || replace(pg_get_indexdef(i.oid), ' ON ONLY ', ' ON ')),
    (this || ' valid: ' || CAST(x.indisvalid AND x.indisready AS text)),
    (this || ' primary: ' || CAST(nullif(x.indisprimary, false) AS text)),
    (this || ' clustered: ' || CAST(nullif(x.indisclustered, false) AS text)),
    (this || ' replica identity: ' || CAST(nullif(x.indisreplident, false) AS text)),
    (this || ' owner: ' || pg_get_userbyid(i.relowner)),
    (this || ' tablespace: ' || (SELECT s.spcname FROM pg_tablespace s WHERE s.oid = i.reltablespace)),
    (this || ' statistics: ' || (SELECT string_agg(attnum || '=' || attstattarget, ', ') FROM pg_attribute a
        WHERE a.attrelid = i.oid AND coalesce(CAST(a.attstattarget AS int), -1) >= 0)),
    (this || ' attached: ' || (SELECT CAST(CAST(h.inhparent AS regclass) AS text) FROM pg_inherits h
        WHERE h.inhrelid = i.oid)),
    (this || ' comment: ' || obj_description(i.oid, 'pg_class'))
) f(line)
WHERE n.nspname = ANY(:schemas) AND f.line IS NOT NULL
"""

_TRIGGERS = """
SELECT f.line FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (SELECT 'trigger ' || quote_ident(g.tgname) || ' on ' || CAST(c.oid AS regclass) AS this) t
CROSS JOIN LATERAL (VALUES
    (this || ': ' || pg_get_triggerdef(g.oid)),
    (this || ' enabled: ' || CAST(g.tgenabled AS text)),
    (this || ' inherited: ' || nullif(g.tgparentid <> 0, false)),
    (this || ' comment: ' || obj_description(g.oid, 'pg_trigger'))
) f(line)
WHERE n.nspname = ANY(:schemas) AND NOT g.tgisinternal AND f.line IS NOT NULL
"""

_POLICIES = """
SELECT f.line FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (SELECT 'policy ' || quote_ident(p.polname) || ' on ' || CAST(c.oid AS regclass) AS this) t
CROSS JOIN LATERAL (VALUES
    (concat(this, ': ', p.polcmd, ' ', p.polpermissive, ' to ',
        (SELECT string_agg(CASE WHEN r = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r) END, ', ' ORDER BY r)
         FROM unnest(p.polroles) r),
        ' using ', pg_get_expr(p.polqual, p.polrelid), ' check ', pg_get_expr(p.polwithcheck, p.polrelid))),
    (this || ' comment: ' || obj_description(p.oid, 'pg_policy'))
) f(line)
WHERE n.nspname = ANY(:schemas) AND f.line IS NOT NULL
"""

_RULES = """
SELECT concat('rule ', quote_ident(w.rulename), ' on ', CAST(c.oid AS regclass), ': ', w.ev_enabled, ' ',
    pg_get_ruledef(w.oid), ' comment: ', obj_description(w.oid, 'pg_rewrite'))
FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY(:schemas) AND w.rulename <> '_RETURN'
"""

_STATISTICS = """
SELECT f.line FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
CROSS JOIN LATERAL (SELECT format('statistics %I.%I', n.nspname, s.stxname) AS this) t
CROSS JOIN LATERAL (VALUES
    (this || ': ' || pg_get_statisticsobjdef(s.oid)),
    (this || ' target: ' || nullif(coalesce(CAST(s.stxstattarget AS int), -1), -1)),
    (this || ' owner: ' || pg_get_userbyid(s.stxowner)),
    (this || ' comment: ' || obj_description(s.oid, 'pg_statistic_ext'))
) f(line)
WHERE n.nspname = ANY(:schemas) AND f.line IS NOT NULL
"""

_SEQUENCES = f"""
SELECT f.line FROM pg_sequence q JOIN pg_class c ON c.oid = q.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_depend d ON d.objid = c.oid AND d.classid = CAST('pg_class' AS regclass) AND d.deptype IN ('a', 'i')
    AND d.refclassid = CAST('pg_class' AS regclass) AND d.refobjsubid > 0
LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
CROSS JOIN LATERAL (SELECT 'sequence ' || CAST(c.oid AS regclass) AS this) t
CROSS JOIN LATERAL (VALUES
    (concat(this, ': ', format_type(q.seqtypid, NULL), ' start ', q.seqstart, ' by ', q.seqincrement, ' from ',
        q.seqmin, ' to ', q.seqmax, ' cache ', q.seqcache, ' cycle ', q.seqcycle)),
    (this || ' owned by: ' || CAST(d.deptype AS text) || ' ' || CAST(d.refobjid AS regclass) || '.' || a.attname),
    (this || ' last value: ' || pg_sequence_last_value(c.oid)),
    (this || ' owner: ' || pg_get_userbyid(c.relowner)),
    (this || ' persistence: ' || CAST(c.relpersistence AS text)),
    (this || ' grants: ' || {_acl("coalesce(c.relacl, acldefault('s', c.relowner))")}),
    (this || ' comment: ' || obj_description(c.oid, 'pg_class'))
) f(line)
WHERE n.nspname = ANY(:schemas) AND f.line IS NOT NULL
"""

_FUNCTIONS = f"""
SELECT f.line FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
CROSS JOIN LATERAL (SELECT 'function ' || CAST(p.oid AS regprocedure) AS this) t
CROSS JOIN LATERAL (VALUES
    (this || ': ' || CASE WHEN p.prokind IN ('f', 'p') THEN pg_get_functiondef(p.oid) END),
    (this || ' owner: ' || pg_get_userbyid(p.proowner)),
    (this || ' grants: ' || {_acl("coalesce(p.proacl, acldefault('f', p.proowner))")}),
    (this || ' comment: ' || obj_description(p.oid, 'pg_proc'))
) f(line)
WHERE n.nspname = ANY(:schemas) AND f.line IS NOT NULL
"""

_TYPES = """
SELECT concat('type ', CAST(y.oid AS regtype), ': ', y.typtype, ' ', (SELECT string_agg(e.enumlabel, ', '
    ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = y.oid), ' ', format_type(y.typbasetype, y.typtypmod))
FROM pg_type y JOIN pg_namespace n ON n.oid = y.typnamespace
WHERE n.nspname = ANY(:schemas) AND y.typtype IN ('e', 'd', 'r')
"""

_PUBLICATIONS = """
SELECT concat('publication ', quote_ident(p.pubname), ': ', p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete,
    p.pubtruncate, p.pubviaroot, ' owner ', pg_get_userbyid(p.pubowner)) FROM pg_publication p
WHERE cardinality(CAST(:schemas AS text[])) > 0
"""

_PUBLISHED = """
SELECT concat('publication ', quote_ident(p.pubname), ' table ', CAST(r.prrelid AS regclass){details})
FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE cardinality(CAST(:schemas AS text[])) > 0
"""

_PUBLISHED_15 = ", ' where ', pg_get_expr(r.prqual, r.prrelid), ' columns ', CAST((SELECT array_agg(a.attname" + (
    " ORDER BY a.attname) FROM pg_attribute a WHERE a.attrelid = r.prrelid AND a.attnum = ANY(r.prattrs)) AS text)"
)

_ALL = (
    _RELATIONS,
    _COLUMNS,
    _CONSTRAINTS,
    _INDEXES,
    _TRIGGERS,
    _POLICIES,
    _RULES,
    _STATISTICS,
    _SEQUENCES,
    _FUNCTIONS,
    _TYPES,
    _PUBLICATIONS,
)


def snapshot(engine: Engine, *schemas: str) -> Snapshot:
    """
    Args:
        schemas: "public" when none is named.
    """
    with engine.begin() as connection:
        return snapshot_in(connection, *schemas)


def snapshot_in(connection: Connection, *schemas: str) -> Snapshot:
    """The same inside somebody's transaction, whose search path it leaves as it was."""
    before = connection.execute(text("SELECT current_setting('search_path')")).scalar_one()
    _search(connection, "pg_catalog")
    lines = tuple(sorted(_lines(connection, list(schemas) or ["public"])))
    _search(connection, before)
    return lines


def _search(connection: Connection, path: str) -> None:
    connection.execute(text("SELECT set_config('search_path', :path, true)"), {"path": path})


def _lines(connection: Connection, schemas: list[str]) -> Iterator[str]:
    major = int((connection.dialect.server_version_info or (0,))[0])
    published = _PUBLISHED.format(details=_PUBLISHED_15 if major >= 15 else "")
    for query in (*_ALL, published):
        for line in connection.execute(text(query), {"schemas": schemas}).scalars():
            yield " ".join(line.split())


def difference(before: Iterable[str], after: Iterable[str]) -> str:
    """What changed, as ``- line`` and ``+ line``; empty when nothing did."""
    lines = unified_diff(list(before), list(after), n=0, lineterm="")
    return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))


def lost(before: Iterable[str], after: Iterable[str]) -> list[str]:
    """The lines of *before* that *after* has not."""
    present = set(after)
    return [line for line in before if line not in present]
