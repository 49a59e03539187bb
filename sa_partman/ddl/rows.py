"""
Moving, copying and deleting rows: one statement for all who do it, which asks before the first row what must not
happen. It is a DO block, so that it can be printed, and reads the catalog where it runs.
"""

from __future__ import annotations

from sa_partman.bounds.bound import Bound, HashBound
from sa_partman.bounds.predicate import check_predicate
from sa_partman.ddl.render import Relation, sql
from sa_partman.key import PartitionKey
from sa_partman.names import QualifiedName, do, quote, text_literal
from sa_partman.plan.actions import CopyRows, DeleteExpired, DeleteReferring, MoveRows, RequireEmpty


def predicate(bound: Bound, key: PartitionKey, parent: QualifiedName | None = None) -> str:
    """
    What is true of the rows of *bound* and of no others.

    Args:
        parent: A table that is partitioned by *key*, for a `HashBound`, which is told by its oid.
    """
    columns = [part.sql for part in key.parts]
    if isinstance(bound, HashBound) and parent is not None:
        held = f"{_regclass(parent)}, {bound.modulus}, {bound.remainder}, {', '.join(columns)}"
        return f"pg_catalog.satisfies_hash_partition({held})"
    found = check_predicate(bound, columns, key.types)
    if found is None:
        raise AssertionError(f"no condition tells the rows of {bound!r}")
    return found


@sql.register
def _(action: MoveRows, relation: Relation) -> tuple[str, ...]:
    source = relation(action.source)
    tables = source if action.attached is None else f"ONLY {relation(action.attached)}, {source}"
    return f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE", _moving(action)


def _moving(action: MoveRows) -> str:
    """The rows of *action*, deleted and inserted in one statement; generated columns are computed anew."""
    where = predicate(action.bound, action.key, action.parent)
    source, target = action.source.quoted, action.target.quoted
    shown = action.known_as or action.source
    guards = "".join(
        (
            _limited(action, where, shown),
            _untriggered(action.source, action.target, _told(shown, action.target)),
            _unpublished(action.source, action.target, action.parent, _one_sided(shown, action.target, where)),
        )
    )
    body = (
        f"'WITH moved AS (DELETE FROM ' || {text_literal(source)} || ' WHERE ' || {text_literal(where)} "
        f"|| ' RETURNING ' || names || ') INSERT INTO ' || {text_literal(target)} || ' (' || names "
        f"|| ') OVERRIDING SYSTEM VALUE SELECT ' || names || ' FROM moved'"
    )
    return _block(f"SELECT FROM {source} WHERE {where}", action.source, f"{_alone(action)}{guards}", body)


def _alone(action: MoveRows) -> str:
    """Readers and writers wait before they look for partitions: behind that they miss rows, and are refused."""
    if action.attached is None:
        return ""
    return f"""
    LOCK TABLE ONLY {action.attached.quoted} IN ACCESS EXCLUSIVE MODE;"""


@sql.register
def _(action: CopyRows, relation: Relation) -> str:
    source, target = action.source, action.target
    guard = _unpublished(None, target, None, _copied(target))
    body = (
        f"'INSERT INTO ' || {text_literal(target.quoted)} || ' (' || names || ') OVERRIDING SYSTEM VALUE SELECT ' "
        f"|| names || ' FROM ' || {text_literal(source.quoted)}"
    )
    return _block(f"SELECT FROM {source.quoted}", source, guard, body)


def held_by(source: QualifiedName) -> str:
    """The query for what keeps rows from being moved out of a default partition: publications and triggers, or NULL."""
    return (
        f"SELECT (SELECT string_agg(quote_ident(p.pubname), ', ' ORDER BY p.pubname) FROM pg_catalog.pg_publication p "
        f"WHERE {LOGICAL} AND p.pubdelete AND EXISTS ({_listed(source)})), "
        f"(SELECT {_TRIGGERS} FROM pg_catalog.pg_trigger t WHERE {_fired(source)})"
    )


# From PostgreSQL 19 on a slot alone makes the log logical, whatever wal_level says.
LOGICAL = (
    "coalesce(pg_catalog.current_setting('effective_wal_level', true), pg_catalog.current_setting('wal_level')) "
    "= 'logical'"
)


def _block(rows: str, source: QualifiedName, guards: str, statement: str) -> str:
    # A generated column can't be inserted into, so the list of columns is made where the table is known.
    body = f"""
#variable_conflict use_column
DECLARE
    waiting bigint;
    standing text;
    names text;
BEGIN
    IF NOT EXISTS ({rows}) THEN
        RETURN;
    END IF;
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO names FROM pg_catalog.pg_attribute
    WHERE attrelid = {_regclass(source)} AND attnum > 0 AND NOT attisdropped AND attgenerated = '';{guards}
    EXECUTE {statement};
END"""
    return do(body)


def _limited(action: MoveRows, where: str, shown: QualifiedName) -> str:
    source = action.source.quoted
    said = (
        f" rows of {shown} belong into the new partition {action.target.name}, and at most {action.limit} are "
        f"moved in one transaction, because nobody can read or write them meanwhile; nothing was changed. Move "
        f"them while the application goes on, with sa-partman drain; or raise the limit in a maintenance window, with "
        f"limit= of an operation, or: sa-partman run --max-rows "
    )
    return f"""
    SELECT count(*) INTO waiting FROM (SELECT FROM {source} WHERE {where} LIMIT {action.limit + 1}) AS few;
    IF waiting > {action.limit} THEN
        SELECT count(*) INTO waiting FROM {source} WHERE {where};
        RAISE EXCEPTION USING ERRCODE = 'program_limit_exceeded', MESSAGE = waiting || {text_literal(said)} || waiting;
    END IF;"""


def _untriggered(source: QualifiedName, target: QualifiedName, said: tuple[str, str]) -> str:
    """Row triggers of users, whose clones PostgreSQL 14 calls internal, and foreign keys that act when a row goes."""
    before, after = said
    return f"""
    SELECT {_TRIGGERS}
    INTO standing FROM pg_catalog.pg_trigger t WHERE {_fired(source, target)};
    IF standing IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
            MESSAGE = {text_literal(before)} || standing || {text_literal(after)};
    END IF;"""


_TRIGGERS = "string_agg(quote_ident(t.tgname) || ' on ' || t.tgrelid::regclass, ', ' ORDER BY t.tgrelid, t.tgname)"


def _fired(source: QualifiedName, target: QualifiedName | None = None) -> str:
    """Whether the trigger t acts on a row that is deleted from *source*, or inserted into *target*."""
    theirs = "(NOT t.tgisinternal OR (t.tgparentid <> 0 AND t.tgconstraint = 0)"
    inserted = "" if target is None else f" OR t.tgtype & 4 = 4 AND t.tgrelid IN ({_tree(target)}) AND {theirs})"
    return f"""t.tgenabled <> 'D' AND t.tgtype & 1 = 1 AND (
        t.tgtype & 8 = 8 AND t.tgrelid IN ({_tree(source)}) AND {theirs} OR t.tgconstraint IN (
            SELECT f.oid FROM pg_catalog.pg_constraint f
            WHERE f.contype = 'f' AND f.confdeltype <> 'a' AND f.confrelid = t.tgrelid)){inserted})"""


def _unpublished(
    source: QualifiedName | None, target: QualifiedName, parent: QualifiedName | None, said: tuple[str, str]
) -> str:
    """
    A subscriber is sent what happens to tables of its publication: both sides of a move, or none.

    Args:
        parent: Where both are partitions and taken out of it, so that nothing is sent of them: a publication of its
            partitions as such would be sent later changes of the rows for a table that does not have them there.
        said: Before and behind the names of the publications, as expressions of SQL.
    """
    ways = [f"p.pubinsert AND EXISTS ({_listed(target)})"]
    if source is not None:
        ways.append(f"p.pubdelete AND EXISTS ({_listed(source)})")
    if parent is not None:
        ways.append(
            f"NOT p.pubviaroot AND NOT p.puballtables AND EXISTS (SELECT FROM pg_catalog.pg_publication_rel r "
            f"WHERE r.prpubid = p.oid AND r.prrelid IN ({_above(parent)}))"
        )
    before, after = said
    return f"""
    IF {LOGICAL} THEN
        SELECT string_agg(quote_ident(p.pubname), ', ' ORDER BY p.pubname) INTO standing
        FROM pg_catalog.pg_publication p WHERE {" OR ".join(ways)};
        IF standing IS NOT NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
                MESSAGE = {before} || standing || {after};
        END IF;
    END IF;"""


def _listed(table: QualifiedName) -> str:
    """Whether the publication p has *table*, under its own name or its root's, or partitions of it."""
    return (
        f"SELECT FROM pg_catalog.pg_publication_tables l JOIN pg_catalog.pg_namespace n ON n.nspname = l.schemaname "
        f"JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = l.tablename "
        f"WHERE l.pubname = p.pubname AND c.oid IN ({_above(table)} UNION ALL {_tree(table)})"
    )


def _tree(table: QualifiedName) -> str:
    """The oids of *table* and of its partitions; the function says nothing of a table that has none."""
    name = _regclass(table)
    return f"SELECT {name}::oid UNION ALL SELECT relid FROM pg_catalog.pg_partition_tree({name})"


def _above(table: QualifiedName) -> str:
    name = _regclass(table)
    return f"SELECT {name}::oid UNION ALL SELECT relid FROM pg_catalog.pg_partition_ancestors({name})"


def _regclass(name: QualifiedName) -> str:
    return f"{text_literal(name.quoted)}::pg_catalog.regclass"


def _told(source: QualifiedName, target: QualifiedName) -> tuple[str, str]:
    return (
        f"{source} holds rows that belong into {target.name}, and moving them would fire the row triggers ",
        "; nothing was changed. Disable them meanwhile (ALTER TABLE ... DISABLE TRIGGER ...), or move the rows by "
        "hand; foreign keys with an action can't be disabled so: drop them, and create them again afterwards.",
    )


def _one_sided(source: QualifiedName, target: QualifiedName, where: str) -> tuple[str, str]:
    """
    The rows are taken out by one statement, so that none is lost that comes meanwhile, into a table that outlives the
    session and is in no publication.
    """
    after = (
        f"): subscribers would get only one half of the move, or later changes of these rows for a partition in which "
        f"they don't have them; nothing was changed. Take the rows out, and put them back through the partitioned "
        f"table, so that subscribers get both: CREATE UNLOGGED TABLE aside AS SELECT * FROM {source.quoted} WITH NO "
        f"DATA; WITH taken AS (DELETE FROM {source.quoted} WHERE {where} RETURNING *) INSERT INTO aside SELECT * FROM "
        f"taken; then this again; then INSERT INTO the partitioned table (",
        ") OVERRIDING SYSTEM VALUE SELECT ",
        " FROM aside; DROP TABLE aside",
    )
    return (
        text_literal(f"{source} holds rows that belong into {target.name}, and is published ("),
        " || names || ".join(map(text_literal, after)),
    )


def _copied(target: QualifiedName) -> tuple[str, str]:
    return (
        text_literal(f"the rows are copied into {target}, which is published ("),
        text_literal(
            "): subscribers would get each row again, for a table that they don't have; nothing was changed. Publish "
            "the tables by their names (CREATE PUBLICATION ... FOR TABLE ...) instead of all of them, or drop the "
            "publication and create it again afterwards"
        ),
    )


@sql.register
def _(action: RequireEmpty, relation: Relation) -> str:
    table = relation(action.table)
    said = text_literal(
        f"{action.table} holds rows by now, so it stays until it is over; nothing was changed, and nothing has to be "
        f"done: the next run --regrid leaves it out"
    )
    # Row security must not hide a row from the question: the server refuses it then.
    return do(f"""
BEGIN
    PERFORM pg_catalog.set_config('row_security', 'off', true);
    LOCK TABLE ONLY {relation(action.parent)} IN ACCESS EXCLUSIVE MODE;
    LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM {table}) THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = {said};
    END IF;
END""")


@sql.register
def _(action: DeleteReferring, relation: Relation) -> str:
    table, partition = relation(action.table), relation(action.partition)
    pairs = zip(action.columns, action.referred, strict=True)
    same = " AND ".join(f"p.{quote(theirs)} = s.{quote(ours)}" for ours, theirs in pairs)
    only = f" AND ({action.where})" if action.where else ""
    refers = f"EXISTS (SELECT FROM {partition} p WHERE {same}{only})"
    rows = f"SELECT s.ctid FROM {table} s WHERE {refers} LIMIT {action.batch}"
    # Asked twice: of a row that somebody changes meanwhile, older minor releases do not ask again whether it has that
    # ctid still, and would delete one that refers to another partition now.
    return f"DELETE FROM {table} s WHERE s.ctid = ANY (ARRAY({rows})) AND {refers}"


DELETED = "sa_partman.deleted"
"""The setting in which one batch says how many rows it deleted."""


def deleting(action: DeleteExpired) -> str:
    """
    One batch, for a transaction of its own. How many rows it deleted is in `DELETED` then.

    Rows that somebody changes meanwhile are looked at again when their locks are granted, and by the DELETE.
    """
    return do(f"""{_DECLARE}
BEGIN{_batch(action, "        ")}
    PERFORM pg_catalog.set_config('{DELETED}', coalesce(gone, 0)::text, true);
END""")


@sql.register
def _(action: DeleteExpired, relation: Relation) -> str:
    """Batch after batch, each committed, until the last one; for a session that is in no transaction."""
    return do(f"""{_DECLARE}
BEGIN
    LOOP{_batch(action, "            ")}
        COMMIT;
        EXIT WHEN coalesce(cardinality(sa_partman_rows), 0) < {action.batch};
    END LOOP;
END""")


# Beside the columns of the table a variable has a name that none of them has.
_DECLARE = """
#variable_conflict use_column
DECLARE
    sa_partman_rows tid[];
    gone bigint;
    referred boolean;
    key record;"""


def _batch(action: DeleteExpired, indent: str) -> str:
    table, where = action.table.quoted, f"({action.where})"
    name = text_literal(table)
    shown = text_literal(str(action.table))
    # A referring row that comes later has to wait for our lock, and then finds none to refer to. What refers without an
    # action is refused by the DELETE itself.
    lines = f"""
PERFORM pg_catalog.set_config('row_security', 'off', true);
SELECT array_agg(batch.ctid) INTO sa_partman_rows
FROM (SELECT ctid FROM ONLY {table} WHERE {where} LIMIT {action.batch} FOR UPDATE) AS batch;
FOR key IN
    SELECT f.conname, f.conrelid::pg_catalog.regclass AS referring, string_agg(
        format('d.%I OPERATOR(%I.%s) r.%I', a.attname, n.nspname, o.oprname, b.attname), ' AND ') AS same
    FROM pg_catalog.pg_constraint f
    CROSS JOIN unnest(f.confkey, f.conkey, f.conpfeqop) AS u(ours, theirs, equals)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = u.ours
    JOIN pg_catalog.pg_attribute b ON b.attrelid = f.conrelid AND b.attnum = u.theirs
    JOIN pg_catalog.pg_operator o ON o.oid = u.equals JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
    WHERE f.contype = 'f' AND f.conparentid = 0 AND f.confdeltype NOT IN ('a', 'r') AND sa_partman_rows IS NOT NULL
        AND f.confrelid IN (SELECT relid FROM pg_catalog.pg_partition_ancestors({name}::pg_catalog.regclass))
    GROUP BY f.oid, f.conname, f.conrelid
LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %s d JOIN %s r ON %s WHERE d.ctid = ANY ($1) AND NOT '
        '(r.tableoid = $2 AND r.ctid = ANY ($1)))', {name}, key.referring, key.same)
        INTO referred USING sa_partman_rows, {name}::pg_catalog.regclass::oid;
    IF referred THEN
        RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation',
            MESSAGE = 'rows of ' || key.referring || ' refer to them (foreign key ' || key.conname || ')';
    END IF;
END LOOP;
DELETE FROM ONLY {table} WHERE ctid = ANY (sa_partman_rows) AND {where};
GET DIAGNOSTICS gone = ROW_COUNT;
IF gone = 0 AND sa_partman_rows IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'triggered_action_exception',
        MESSAGE = 'a trigger or rule of ' || {shown} || ' keeps its rows; disable or drop it';
END IF;"""
    return lines.replace("\n", "\n" + indent[4:])
