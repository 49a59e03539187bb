"""
Deleting the expired rows of a default partition: a DO block, so that it can be printed. It locks a batch of rows, asks
what must not happen, and deletes them.
"""

from __future__ import annotations

from sa_partman.names import do, text_literal
from sa_partman.plan.actions import DeleteExpired

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


def deleting_all(action: DeleteExpired) -> str:
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
