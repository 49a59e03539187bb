"""
Rewrites: the log of changed keys, chunks of a copy, replays, and the comparison. DO blocks, so that a stored step is
whole; progress is a comment, because a row of a table would be published.
"""

from __future__ import annotations

from collections.abc import Iterable

from sa_partman.bounds.read import PRINTED_UNDER
from sa_partman.ddl.render import Relation, sql
from sa_partman.names import QualifiedName, do, quote, text_literal
from sa_partman.plan.rewrite.actions import (
    CaptureChanges,
    CaptureTree,
    ChangesLeft,
    CompareRows,
    CopyChunk,
    CreateLog,
    DropForeignKeys,
    DropLog,
    KeyLog,
    PagesLeft,
    ReleaseChanges,
    ReleaseLog,
    Replay,
    RequireAlike,
    RequireCaptured,
    RequirePartition,
)

TRIGGER = "sa_partman_log"
"""The name of the row trigger; the one for TRUNCATE has `EMPTIED`."""

EMPTIED = "sa_partman_log_truncate"

BEHIND = "SP001"
"""The SQLSTATE of a replay that had more to do than it was allowed."""

ALTERED = "SP004"
"""The SQLSTATE of a table whose columns are not those of the one that it was made from."""

_LOG = "sa_partman: the keys of rows that changed while their partition is rewritten"

FEW = 20_000
"""Keys that are looked up one by one; for more, all rows are read once."""

DIFFERENT = "SP002"
"""The SQLSTATE of a comparison that found a difference."""

MOVED = "SP003"
"""The SQLSTATE of a partition that is not what it was when the rewrite was planned."""


def _names(columns: Iterable[str], alias: str = "") -> str:
    return ", ".join(f"{alias}{quote(column)}" for column in columns)


def _keys(log: KeyLog) -> tuple[str, ...]:
    return tuple(f"k{place}" for place in range(1, len(log.columns) + 1))


def _same(log: KeyLog, left: str, right: str) -> str:
    """Whether the row *left* has the key of the log's row *right*."""
    pairs = zip(log.names, _keys(log), strict=True)
    return " AND ".join(f"{left}.{quote(name)} = {right}.{key}" for name, key in pairs)


@sql.register
def _(action: CreateLog, relation: Relation) -> tuple[str, ...]:
    log, name = action.log, relation(action.log.table)
    columns = ", ".join(f"{key} {type}" for key, (_, type) in zip(_keys(log), log.columns, strict=True))
    listed = ", ".join(_keys(log))
    old, new = (_names(log.names, f"{row}.") for row in ("OLD", "NEW"))
    # By their bytes, because the operators of a user's type may not be in this search path.
    moved = f"CAST(ROW({old}) AS record) OPERATOR(pg_catalog.*<>) CAST(ROW({new}) AS record)"
    body = f"""
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO {name} (source) VALUES (TG_RELID);
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO {name} (source, {listed}) VALUES (TG_RELID, {old});
        IF TG_OP = 'DELETE' OR NOT ({moved}) THEN
            RETURN NULL;
        END IF;
    END IF;
    INSERT INTO {name} (source, {listed}) VALUES (TG_RELID, {new});
    RETURN NULL;
END"""
    return (
        f"CREATE TABLE {name} (source oid NOT NULL, {columns}) WITH (vacuum_truncate = false)",
        f"CREATE UNLOGGED TABLE {relation(log.keys)} (source oid NOT NULL, {columns})",
        f"CREATE UNLOGGED TABLE {relation(log.rows)} AS SELECT {_names(action.columns)} FROM {relation(action.like)} "
        f"WITH NO DATA",
        f"COMMENT ON TABLE {name} IS {text_literal(_LOG)}",
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER "
        f"SET search_path = pg_catalog, pg_temp AS {text_literal(body)}",
        f"REVOKE ALL ON FUNCTION {name}() FROM PUBLIC",
    )


@sql.register
def _(action: DropLog, relation: Relation) -> tuple[str, ...]:
    name = relation(action.log.table)
    tables = ", ".join((name, relation(action.log.keys), relation(action.log.rows)))
    return f"DROP FUNCTION IF EXISTS {name}()", f"DROP TABLE IF EXISTS {tables}"


@sql.register
def _(action: CaptureChanges, relation: Relation) -> tuple[str, ...]:
    table, function = relation(action.table), relation(action.log.table)
    return (
        f"CREATE TRIGGER {TRIGGER} AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION "
        f"{function}()",
        f"CREATE TRIGGER {EMPTIED} AFTER TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {function}()",
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {TRIGGER}",
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {EMPTIED}",
    )


@sql.register
def _(action: ReleaseChanges, relation: Relation) -> tuple[str, ...]:
    return tuple(f"DROP TRIGGER IF EXISTS {each} ON {relation(action.table)}" for each in (TRIGGER, EMPTIED))


_LEAVES = """SELECT t.relid FROM pg_catalog.pg_partition_tree({tree}) t
        JOIN pg_catalog.pg_class c ON c.oid = t.relid
        WHERE t.isleaf AND t.level > 0 AND c.relkind = 'r' AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger g
            WHERE g.tgrelid = t.relid AND g.tgname = {emptied})"""


def _uncaptured(table: QualifiedName) -> str:
    """Partitions of *table* of which nobody would notice that they are emptied."""
    return _LEAVES.format(tree=_regclass(table), emptied=text_literal(EMPTIED))


@sql.register
def _(action: CaptureTree, relation: Relation) -> tuple[str, ...]:
    table, function = relation(action.table), relation(action.log.table)
    rows = (
        f"CREATE TRIGGER {TRIGGER} AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION "
        f"{function}()",
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {TRIGGER}",
    )
    create = f"CREATE TRIGGER {EMPTIED} AFTER TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION "
    # None on the table itself: whoever empties that empties the partitions, and each tells of its own rows.
    emptied = do(f"""
DECLARE
    leaf regclass;
BEGIN
    FOR leaf IN {_uncaptured(action.table)} LOOP
        EXECUTE pg_catalog.format({text_literal(f"{create}{function.replace('%', '%%')}()")}, leaf);
        EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE ALWAYS TRIGGER {EMPTIED}, ENABLE ALWAYS TRIGGER {TRIGGER}',
            leaf);
    END LOOP;
END""")
    return (*(rows if action.rows else ()), emptied)


@sql.register
def _(action: RequireCaptured, relation: Relation) -> str:
    said = text_literal(" is a partition since, and was it emptied, nobody would know")
    return do(f"""
DECLARE
    leaf regclass;
BEGIN
    FOR leaf IN {_uncaptured(action.table)} LOOP
        RAISE EXCEPTION USING ERRCODE = '{MOVED}', MESSAGE = leaf || {said};
    END LOOP;
END""")


@sql.register
def _(action: ReleaseLog, relation: Relation) -> str:
    function = text_literal(f"{relation(action.log.table)}()")
    return do(f"""
DECLARE
    given record;
BEGIN
    FOR given IN SELECT g.tgname AS name, CAST(g.tgrelid AS regclass) AS held FROM pg_catalog.pg_trigger g
        WHERE g.tgfoid = CAST(pg_catalog.to_regprocedure({function}) AS oid) AND g.tgparentid = 0
    LOOP
        EXECUTE pg_catalog.format('DROP TRIGGER %I ON %s', given.name, given.held);
    END LOOP;
END""")


@sql.register
def _(action: RequireAlike, relation: Relation) -> str:
    listed = """(SELECT pg_catalog.array_agg(
            CAST(ROW(a.attname, a.atttypid, a.atttypmod, a.attcollation) AS text) ORDER BY a.attname)
        FROM pg_catalog.pg_attribute a WHERE a.attrelid = {table} AND a.attnum > 0 AND NOT a.attisdropped)"""
    mine, theirs = (listed.format(table=_regclass(each)) for each in (action.table, action.other))
    said = text_literal(f"the columns of {action.table} are not those of {action.other} any more")
    return do(f"""
BEGIN
    IF {mine} IS DISTINCT FROM {theirs} THEN
        RAISE EXCEPTION USING ERRCODE = '{ALTERED}', MESSAGE = {said};
    END IF;
END""")


# -- copying


def page_of(source: QualifiedName, target: QualifiedName) -> str:
    """
    An expression: the first page of *source* that is not copied yet, as the comment of *target* has it; 0 when it was
    said of another file, as VACUUM FULL makes one.
    """
    said = f"CAST(pg_catalog.obj_description({_regclass(target)}, 'pg_class') AS json) -> {text_literal(source.quoted)}"
    file = f"CAST(pg_catalog.pg_relation_filenode({_regclass(source)}) AS bigint)"
    return f"CASE WHEN CAST({said} ->> 'file' AS bigint) = {file} THEN CAST({said} ->> 'page' AS bigint) ELSE 0 END"


def _into(target: str, columns: tuple[str, ...]) -> str:
    """An INSERT, up to its FROM; an identity column takes what it is given."""
    names = _names(columns)
    return f"INSERT INTO {target} ({names}) OVERRIDING SYSTEM VALUE SELECT {names}"


def pages_of(source: QualifiedName) -> str:
    """An expression: how many pages *source* has."""
    size = f"pg_catalog.pg_relation_size({_regclass(source)})"
    return f"({size} / CAST(pg_catalog.current_setting('block_size') AS bigint))"


@sql.register
def _(action: PagesLeft, relation: Relation) -> str:
    pages = pages_of(action.source)
    return f"SELECT greatest({pages} - {page_of(action.source, action.target)}, 0), {pages}"


@sql.register
def _(action: ChangesLeft, relation: Relation) -> str:
    counted = f"(SELECT count(*) FROM {relation(action.log.table)})"
    return f"SELECT CASE WHEN {counted} > {action.enough} THEN {counted} ELSE 0 END, {counted}"


@sql.register
def _(action: CopyChunk, relation: Relation) -> str:
    copy = f"{_into(relation(action.target), action.columns)} FROM ONLY {relation(action.source)}"
    if action.whole:
        return copy
    piece = f"{copy} WHERE ctid >= $1 AND ctid < $2"
    # Rows that were written since are in the log. The last chunk has no end: pages may have been added.
    # The file is looked at before the source is locked: if it is another one by then, the next chunk sees it.
    return do(f"""
DECLARE
    file bigint := pg_catalog.pg_relation_filenode({_regclass(action.source)});
    first bigint := {page_of(action.source, action.target)};
    following bigint := first + CAST(pg_catalog.current_setting('sa_partman.pages') AS bigint);
    said jsonb := coalesce(CAST(pg_catalog.obj_description({_regclass(action.target)}, 'pg_class') AS jsonb), '{{}}');
    copied bigint;
BEGIN
    IF first = 0 AND said ? {text_literal(action.source.quoted)} THEN
        EXECUTE pg_catalog.format('DELETE FROM %s WHERE %s', {text_literal(action.target.quoted)},
            coalesce(pg_catalog.pg_get_partition_constraintdef({_regclass(action.source)}), 'true'));
    END IF;
    -- Apart, because a column may have the name of a variable.
    EXECUTE {text_literal(piece)}
    USING CAST('(' || first || ',0)' AS tid), CAST('(' || following || ',0)' AS tid);
    GET DIAGNOSTICS copied = ROW_COUNT;
    PERFORM pg_catalog.set_config('sa_partman.rows', CAST(copied AS text), true);
    EXECUTE pg_catalog.format('COMMENT ON TABLE %s IS %L', {text_literal(action.target.quoted)}, said ||
        jsonb_build_object({text_literal(action.source.quoted)}, jsonb_build_object('page', following, 'file', file)));
END""")


def _regclass(table: QualifiedName) -> str:
    return f"{text_literal(table.quoted)}::pg_catalog.regclass"


# -- replaying


@sql.register
def _(action: Replay, relation: Relation) -> str:
    source, target, log = relation(action.source), relation(action.target), relation(action.log.table)
    listed, columns = ", ".join(_keys(action.log)), _names(action.columns)
    keys, rows, copy = relation(action.log.keys), relation(action.log.rows), _into(target, action.columns)
    # Where everybody waits, nothing is built anew.
    emptied = f"TRUNCATE {keys}, {rows};" if action.limit is None else f"DELETE FROM {keys}; DELETE FROM {rows};"
    found = _names(action.columns, "s.")
    limited = ""
    if action.limit is not None:
        limited = f"""
    IF (SELECT count(*) FROM (SELECT FROM {log} LIMIT {action.limit + 1}) AS few) > {action.limit} THEN
        RAISE EXCEPTION USING ERRCODE = '{BEHIND}', MESSAGE = 'more than {action.limit} changes are left';
    END IF;"""
    # What was read once, key and row, is one snapshot: a unique value that moved from row to row is never met twice.
    return do(f"""
#variable_conflict use_column
DECLARE
    emptied oid;
    changed bigint;
    written bigint;
BEGIN{limited}
    {emptied}
    -- A row at a time, from the index of the row identity: the log tells of few partitions, and the table has many.
    PERFORM pg_catalog.set_config('enable_hashjoin', 'off', true),
        pg_catalog.set_config('enable_mergejoin', 'off', true), pg_catalog.set_config('enable_nestloop', 'on', true);
    WITH gone AS (DELETE FROM {log} RETURNING source, {listed}),
        keys AS (SELECT DISTINCT source, {listed} FROM gone),
        noted AS (INSERT INTO {keys} SELECT source, {listed} FROM keys)
    INSERT INTO {rows} ({columns})
    SELECT {found} FROM (SELECT DISTINCT {listed} FROM keys WHERE k1 IS NOT NULL) k
    JOIN {source} s ON {_same(action.log, "s", "k")};
    GET DIAGNOSTICS changed = ROW_COUNT;
    FOR emptied IN SELECT DISTINCT source FROM {keys} WHERE k1 IS NULL LOOP
        EXECUTE format('DELETE FROM %s WHERE %s', {text_literal(action.target.quoted)},
            coalesce(pg_catalog.pg_get_partition_constraintdef(emptied), 'true'));
        EXECUTE format({text_literal(f"{copy.replace('%', '%%')} FROM ONLY %s")},
            emptied::pg_catalog.regclass);
    END LOOP;
    IF NOT EXISTS (SELECT FROM {keys} WHERE k1 IS NOT NULL) THEN
        RETURN;
    END IF;
    ANALYZE {keys};
    ANALYZE {rows};
    {_joining(keys, indexed=action.indexed)}
    DELETE FROM {target} t USING (SELECT DISTINCT {listed} FROM {keys} WHERE k1 IS NOT NULL) k
    WHERE {_same(action.log, "t", "k")};
    {copy} FROM {rows};
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written <> changed THEN
        RAISE EXCEPTION USING ERRCODE = '{DIFFERENT}', MESSAGE = changed || ' rows changed, and ' || written ||
            {text_literal(f" were written to {action.target}")};
    END IF;
END""")


def _joining(keys: str, *, indexed: bool) -> str:
    """Without indexes, a row at a time would read all for each; with them, all would be read for a few."""
    few = "false" if not indexed else f"(SELECT count(*) FROM {keys}) < {FEW}"
    return f"""PERFORM pg_catalog.set_config('enable_hashjoin', CASE WHEN {few} THEN 'off' ELSE 'on' END, true),
        pg_catalog.set_config('enable_nestloop', CASE WHEN {few} THEN 'on' ELSE 'off' END, true);"""


# -- comparing


@sql.register
def _(action: CompareRows, relation: Relation) -> str:
    hashed = ", ".join(
        f"r.{quote(name)}" if hashable else f"CAST(r.{quote(name)} AS text)" for name, hashable in action.columns
    )
    names = _names(name for name, _ in action.columns)
    known = f"(SELECT DISTINCT {', '.join(_keys(action.log))} FROM {relation(action.log.table)}) k"

    def summed(rows: str) -> str:
        """How many *rows* the log does not know, and two sums over them that do not depend on their order."""
        hashes = f"SELECT pg_catalog.hash_record_extended(ROW({hashed}), 0) AS h FROM ({rows}) r"
        sums = "count(*) AS rows, coalesce(bit_xor(h), 0) AS mixed, coalesce(sum(CAST(h >> 32 AS int)), 0) AS total"
        # All of them, less the few that it knows: the planner has statistics neither of the log nor of a new table,
        # and joined the other way round it hashed the table.
        every = f"SELECT {sums} FROM ({hashes}) AS every"
        less = f"SELECT {sums} FROM ({hashes} JOIN {known} ON {_same(action.log, 'r', 'k')}) AS known"
        return (
            "SELECT e.rows - l.rows AS rows, e.mixed # l.mixed AS mixed, e.total - l.total AS total "
            f"FROM ({every}) e, ({less}) l"
        )

    sources = " UNION ALL ".join(
        f"SELECT {names} FROM {'' if action.whole else 'ONLY '}{relation(each)}" for each in action.sources
    )
    target = f"SELECT {names} FROM {relation(action.target)}"
    shown = ", ".join(map(str, action.sources))
    same = "(a.rows, a.mixed, a.total) = (b.rows, b.mixed, b.total)"
    query = f"SELECT a.rows AS there, b.rows AS here, {same} AS same FROM ({summed(sources)}) a, ({summed(target)}) b"
    # EXECUTE, because what PL/pgSQL reads a row at a time is not read in parallel. The log is asked again afterwards:
    # what is emptied meanwhile reads as empty, in whatever snapshot.
    emptied = f"EXISTS (SELECT FROM {relation(action.log.table)} WHERE k1 IS NULL)"
    return do(f"""
DECLARE
    found record;
BEGIN
    IF {emptied} THEN
        RETURN;
    END IF;
    EXECUTE {text_literal(query)} INTO found;
    IF NOT found.same AND NOT {emptied} THEN
        RAISE EXCEPTION USING ERRCODE = '{DIFFERENT}', MESSAGE = {text_literal(f"the copy differs from {shown}: ")}
            || found.there || ' rows there, ' || found.here || ' in the copy';
    END IF;
END""")


@sql.register
def _(action: DropForeignKeys, relation: Relation) -> str:
    table = relation(action.table)
    return do(f"""
DECLARE
    name text;
BEGIN
    FOR name IN SELECT k.conname FROM pg_catalog.pg_constraint k
        WHERE k.contype = 'f' AND k.conparentid = 0 AND k.conrelid = {_regclass(action.table)}
    LOOP
        EXECUTE pg_catalog.format({text_literal(f"ALTER TABLE {table.replace('%', '%%')} DROP CONSTRAINT %I")}, name);
    END LOOP;
END""")


@sql.register
def _(action: RequirePartition, relation: Relation) -> str:
    name, parent = relation(action.table), relation(action.parent)
    said = f"{action.table} is not a partition of {action.parent} any more"
    bound = ""
    if action.bound is not None:
        said = f"{action.table} is not the partition {action.bound} of {action.parent} any more"
        bound = f"""
            AND (SELECT pg_catalog.pg_get_expr(c.relpartbound, c.oid) FROM pg_catalog.pg_class c
                WHERE c.oid = i.inhrelid) = {text_literal(action.bound)}"""
    names = ", ".join(map(text_literal, PRINTED_UNDER))
    values = ", ".join(map(text_literal, PRINTED_UNDER.values()))
    # The same bound is printed otherwise in a session with another TimeZone, which a pasted script may have.
    return do(f"""
DECLARE
    names text[] := ARRAY[{names}];
    before text[] := ARRAY(SELECT pg_catalog.current_setting(name) FROM pg_catalog.unnest(names) AS name);
    there boolean;
BEGIN
    PERFORM pg_catalog.set_config(name, value, true)
        FROM ROWS FROM (pg_catalog.unnest(names), pg_catalog.unnest(ARRAY[{values}])) AS printed(name, value);
    there := EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE NOT i.inhdetachpending
            AND i.inhrelid = pg_catalog.to_regclass({text_literal(name)})
            AND i.inhparent = pg_catalog.to_regclass({text_literal(parent)}){bound});
    PERFORM pg_catalog.set_config(name, value, true)
        FROM ROWS FROM (pg_catalog.unnest(names), pg_catalog.unnest(before)) AS printed(name, value);
    IF NOT there THEN
        RAISE EXCEPTION USING ERRCODE = '{MOVED}', MESSAGE = {text_literal(said)};
    END IF;
END""")
