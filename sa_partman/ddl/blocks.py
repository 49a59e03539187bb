"""What migrations write and send besides actions: DO blocks that know, do or refuse only where they run, and labels."""

from __future__ import annotations

from collections.abc import Sequence

from sa_partman.marks import PREFIX
from sa_partman.names import QualifiedName, do, quote, text_literal


def drop_keys_to_partitioned(table: QualifiedName) -> str:
    """Drops the foreign keys of a detached *table* to partitioned tables; PostgreSQL 14 has dropped them itself."""
    return do(f"""
DECLARE
    found record;
BEGIN
    FOR found IN SELECT k.conrelid, k.conname FROM pg_catalog.pg_constraint k
        JOIN pg_catalog.pg_class r ON r.oid = k.confrelid AND r.relkind = 'p'
        WHERE k.contype = 'f' AND k.conparentid = 0 AND k.conrelid = {text_literal(table.quoted)}::pg_catalog.regclass
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', found.conrelid::pg_catalog.regclass, found.conname);
    END LOOP;
END""")


def refuse_partition(name: QualifiedName, before: str, after: str) -> str:
    """Fails where *name* is a partition; the message has its table between *before* and *after*."""
    return do(f"""
DECLARE
    parent pg_catalog.regclass;
BEGIN
    SELECT i.inhparent INTO parent FROM pg_catalog.pg_class c JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid
    WHERE c.oid = pg_catalog.to_regclass({text_literal(name.quoted)}) AND c.relispartition;
    IF FOUND THEN
        RAISE EXCEPTION USING MESSAGE = {text_literal(before)} || parent || {text_literal(after)};
    END IF;
END""")


def refuse_partitioned(name: QualifiedName, message: str) -> str:
    """Fails with *message* where *name* is partitioned, or a partition."""
    return do(f"""
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass({text_literal(name.quoted)})
               AND (relkind = 'p' OR relispartition)) THEN
        RAISE EXCEPTION USING MESSAGE = {text_literal(message)};
    END IF;
END""")


def rename_in_marks(table: QualifiedName, before: str) -> str:
    """The marks of tables that were detached from *table*, which was called *before*; nothing for a plain one."""
    old = text_literal(QualifiedName(None, before).quoted.replace("\n", " "))
    new = text_literal(QualifiedName(None, table.name).quoted.replace("\n", " "))
    return do(f"""
DECLARE
    parent pg_catalog.pg_class;
    places text[];
    detached record;
BEGIN
    SELECT * INTO parent FROM pg_catalog.pg_class
    WHERE oid = {text_literal(table.quoted)}::pg_catalog.regclass AND relkind = 'p';
    -- A mark without a schema means that of its own table.
    SELECT ARRAY['"' || replace(nspname, '"', '""') || '".', ''] INTO places FROM pg_catalog.pg_namespace
    WHERE oid = parent.relnamespace;
    FOR detached IN SELECT c.oid, c.relkind, {text_literal(PREFIX)} || place AS head, d.description AS said
        FROM pg_catalog.pg_description d
        JOIN pg_catalog.pg_class c ON c.oid = d.objoid AND c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition
        JOIN unnest(places) AS place ON place <> '' OR c.relnamespace = parent.relnamespace
        WHERE d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objsubid = 0
            AND starts_with(d.description, {text_literal(PREFIX)} || place || {old})
            AND substr(d.description || ' ', length({text_literal(PREFIX)} || place || {old}) + 1, 1) IN (' ', chr(10))
    LOOP
        EXECUTE format('COMMENT ON %s %s IS %L',
            CASE detached.relkind WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, detached.oid::pg_catalog.regclass,
            detached.head || {new} || substr(detached.said, length(detached.head || {old}) + 1));
    END LOOP;
END""")


def add_enum_labels(kind: QualifiedName, labels: Sequence[str], found: Sequence[str]) -> tuple[str, ...]:
    """
    ALTER TYPE for each of *labels* that *found* lacks, where it stands among the others. It is committed at once, and
    the revision runs again when a later step fails: so a label may be there.
    """
    schema = (kind.schema,) if kind.schema else ()
    name = ".".join(quote(part) for part in (*schema, kind.name))
    return tuple(
        f"ALTER TYPE {name} ADD VALUE IF NOT EXISTS {text_literal(label)}{_beside(place, labels, found)}"
        for place, label in enumerate(labels)
        if label not in found
    )


def _beside(place: int, labels: Sequence[str], found: Sequence[str]) -> str:
    if place:
        return f" AFTER {text_literal(labels[place - 1])}"
    return f" BEFORE {text_literal(found[0])}" if found else ""


def set_comment(table: QualifiedName, comment: str) -> str:
    return f"COMMENT ON TABLE {table.quoted} IS {text_literal(comment)}"
