"""
The state of conversions, in the schema ``sa_partman``: written in the transaction of the step that it tells of.

It is a comment, for what is in the catalog is never published. A row of a table would be sent to every subscriber
of a ``FOR ALL TABLES`` publication; none of them has that table, and each would stop at it. The table that bears the
comment is empty, and UNLOGGED: so it is no part of such a publication either.

What a conversion left that has no record is recognised by its names and by what it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import ProgrammingError

from sa_partman.catalog import LostConversion, UnfinishedConversion, verb_of
from sa_partman.ddl.render import from_stored, to_stored
from sa_partman.errors import MissingPrivilege
from sa_partman.finding import Finding
from sa_partman.names import QualifiedName, quote, text_literal
from sa_partman.plan.conversion.request import key_index, new_table, proof
from sa_partman.plan.rewrite.actions import back_log, log_table
from sa_partman.plan.rewrite.request import staging_table
from sa_partman.plan.steps import Purpose, Step
from sa_partman.postgres.session import connected, execute_sql, pin
from sa_partman.postgres.sqlstate import INSUFFICIENT_PRIVILEGE, first_line, sqlstate

SCHEMA = "sa_partman"

_Row = dict[str, Any]

# Version 0.1.0 wrote rows: what has changed since is in the comment, under the same id.
_STORED = text(f"""
SELECT pg_catalog.col_description(c.oid, a.attnum),
    c.relpersistence = 'p' AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
        AND pg_catalog.has_table_privilege(c.oid, 'SELECT') AS written
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = 'steps'
WHERE n.nspname = '{SCHEMA}' AND c.relname = 'conversion' AND c.relkind = 'r'
""")
_WRITTEN = text("SELECT pg_catalog.to_jsonb(c) FROM sa_partman.conversion c")

# As version 0.1.0 made it. What it has is in the comment then.
_PUBLISHED = text("""
SELECT EXISTS (SELECT FROM pg_catalog.pg_class c
    WHERE c.oid = pg_catalog.to_regclass('sa_partman.conversion') AND c.relpersistence = 'p'
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_publication_rel r WHERE r.prrelid = c.oid))
""")

# IF NOT EXISTS looks before it locks: two that begin at once would collide.
_ONE_AT_A_TIME = f"SELECT pg_catalog.pg_advisory_xact_lock({int.from_bytes(b'sapcmake')})"

MAKE_SCHEMA = "CREATE SCHEMA IF NOT EXISTS sa_partman"
_HAS_SCHEMA = text(f"SELECT pg_catalog.to_regnamespace('{SCHEMA}') IS NOT NULL")
_CREATE = (
    _ONE_AT_A_TIME,
    MAKE_SCHEMA,
    "CREATE UNLOGGED TABLE IF NOT EXISTS sa_partman.conversion (steps jsonb)",
    "COMMENT ON TABLE sa_partman.conversion IS "
    "'sa_partman: conversions. The comment of its column tells of them, because rows would be published'",
)

_LOCK = "LOCK TABLE sa_partman.conversion IN SHARE UPDATE EXCLUSIVE MODE"
_CLAIM = text(f"SELECT pg_catalog.pg_advisory_xact_lock({int.from_bytes(b'sapd')}, CAST(:id AS int))")


@dataclass(frozen=True, slots=True)
class NewConversion:
    """
    What is stored of a conversion when it begins.

    Args:
        kind: "convert", or "undo" of one; or what a rewrite does, such as "split" or "copy", or "undo split".
        declaration: As Python.
        fingerprint: Of the table: see `full_mark`.
        oid: The table's when the conversion began: later that of the history partition.
        primary_key: Column names of the table's primary key when the conversion began.
        max_rows: An undo moves at most so many rows inside its swap.
        version: Ours.
        back: The steps of the way back from its end, where they are known beforehand.
        beside: Of a rewrite: the old partitions and the new ones, by all names that they have meanwhile.
    """

    table: QualifiedName
    kind: str
    declaration: str
    fingerprint: str
    oid: int
    primary_key: tuple[str, ...]
    steps: tuple[Step, ...]
    max_rows: int | None
    version: str
    back: tuple[Step, ...] = field(default=(), kw_only=True)
    beside: tuple[QualifiedName, ...] = field(default=(), kw_only=True)


@dataclass(frozen=True, slots=True)
class Conversion(NewConversion):
    """
    One conversion as it is stored.

    Args:
        status: "running" (also while nobody works on it), "done" or "aborted".
        done: How many of *steps* are done.
        error: Why the last attempt stopped, or None.
        paused: Whoever works on it is to stop.
        logged: Bytes of the log for the way back of a rewrite, where it was asked for; not stored.
        findings: What else is worth knowing of the attempt that gave this; not stored.
        notes: Why there was nothing to do; not stored.
    """

    id: int
    status: str = "running"
    done: int = 0
    error: str | None = None
    paused: bool = False
    logged: int = 0
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def cut_over(self) -> bool:
        """Whether the table is swapped already, so that only another conversion leads back."""
        ids = [step.id for step in self.steps]
        return self.status == "done" or ("cutover" in ids and self.done > ids.index("cutover"))

    @property
    def next_step(self) -> Step | None:
        """The step before which it stands; None at its end."""
        return self.steps[self.done] if self.done < len(self.steps) else None

    @property
    def unfinished(self) -> UnfinishedConversion:
        """What others must know of it while it is not over."""
        step = self.next_step
        return UnfinishedConversion(
            self.table,
            self.oid,
            self.kind == "undo",
            "" if step is None else step.title,
            self.cut_over,
            self.helper,
            kind=self.kind,
            kept=step is not None and step.id == "finalize",
            beside=self.beside,
            logged=self.logged,
        )

    @property
    def rewrites(self) -> bool:
        """Whether rows move into other partitions, and the table stays what it is."""
        return self.kind not in ("convert", "undo")

    @property
    def verb(self) -> str:
        """The command that goes on with it."""
        return verb_of(self.kind)

    @property
    def divided(self) -> bool:
        """Whether the table is a partitioned one, as far as it is done."""
        if self.kind in ("convert", "copy", "undo unpartition"):
            return self.cut_over
        return not self.cut_over if self.kind in ("undo", "undo copy", "unpartition") else True

    @property
    def helper(self) -> QualifiedName:
        """The table that is built beside the other one."""
        return staging_table(self.table) if self.rewrites else new_table(self.table)


def begin(connection: Connection, new: NewConversion) -> Conversion:
    """
    Stores a new conversion in the caller's transaction; the schema is made when it is not there.

    Raises:
        MissingPrivilege: The role may not make it, or not write there.
    """
    try:
        if connection.execute(_STORED).first() is None:
            for statement in _CREATE:
                # PostgreSQL asks for CREATE on the database first, and looks then whether the schema is there.
                if statement != MAKE_SCHEMA or not connection.execute(_HAS_SCHEMA).scalar():
                    connection.exec_driver_sql(statement)
        rows = _locked(connection)
        given = {each.name: getattr(new, each.name) for each in fields(NewConversion)}
        begun = _read(_to_row(Conversion(**given, id=max(rows, default=0) + 1)))
        # An undo or a conversion that was taken back is told of until the next one begins.
        kept = {key: row for key, row in rows.items() if row["status"] != "aborted" or _table(row) != new.table}
        _write(connection, {**kept, begun.id: _to_row(begun)})
        if connection.execute(_PUBLISHED).scalar():
            connection.exec_driver_sql(f"ALTER TABLE {SCHEMA}.conversion SET UNLOGGED")
    except ProgrammingError as error:
        if sqlstate(error) != INSUFFICIENT_PRIVILEGE:
            raise
        raise MissingPrivilege(
            f"the state of a conversion is kept in the schema {SCHEMA!r}: {first_line(error)}; nothing was changed. "
            f"Let a superuser run: CREATE SCHEMA {SCHEMA} AUTHORIZATION <the role that converts>; where it exists: "
            f"ALTER SCHEMA {SCHEMA} OWNER TO <that role>; ALTER TABLE {SCHEMA}.conversion OWNER TO <that role>"
        ) from error
    return begun


def get(connection: Connection, key: int) -> Conversion:
    """The stored conversion of this id."""
    return _read(_rows(connection)[key])


def last(
    connection: Connection,
    table: QualifiedName,
    *,
    statuses: tuple[str, ...] = ("running", "done", "aborted"),
    kind: str | None = None,
) -> Conversion | None:
    """
    The youngest conversion of *table*; None when there never was one.

    Args:
        statuses: Only among these.
        kind: Only of this kind.
    """
    found = [
        row
        for row in _rows(connection).values()
        if _table(row) == table and row["status"] in statuses and kind in (None, row["kind"])
    ]
    return _read(found[-1]) if found else None


_SIZE = text(f"""
SELECT coalesce(sum(pg_catalog.pg_total_relation_size(c.oid)), 0)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = '{SCHEMA}' AND c.relname = ANY (CAST(:names AS text[]))
""")


def measured(connection: Connection, conversion: Conversion) -> Conversion:
    """*conversion* with the size of its log, if it is a rewrite that is kept."""
    if not conversion.unfinished.kept:
        return conversion
    log = log_table(conversion.table)
    names = [each.name for each in (log, back_log(log))]
    return replace(conversion, logged=int(connection.execute(_SIZE, {"names": names}).scalar_one()))


def running(connection: Connection) -> tuple[Conversion, ...]:
    """Every conversion and undo that has begun and not ended."""
    return all_of(connection, None, "running")


def all_of(connection: Connection, kind: str | None, status: str) -> tuple[Conversion, ...]:
    """Every conversion of that kind (None: and every undo) and status, the oldest first."""
    rows = _rows(connection).values()
    return tuple(_read(row) for row in rows if row["status"] == status and kind in (None, row["kind"]))


def is_at(connection: Connection, conversion: Conversion, done: int) -> bool:
    """Whether it is under way with just *done* steps done; nobody else moves it until the transaction ends."""
    connection.execute(_CLAIM, {"id": conversion.id})
    row = _rows(connection).get(conversion.id)
    return row is not None and (row["steps_done"], row["status"]) == (done, "running")


def move(connection: Connection, conversion: Conversion, before: int, done: int) -> bool:
    """
    Notes that *done* steps are done now, and *before* were.

    Returns:
        False when somebody else has moved the conversion meanwhile: the caller must roll back.
    """
    status = "done" if done == len(conversion.steps) else "running"
    return _change(connection, conversion, before, steps_done=done, status=status, error=None)


def abort(connection: Connection, conversion: Conversion, before: int = 0) -> bool:
    """Notes that no step is left, but for *before* whose table is gone; see `move`."""
    return _change(connection, conversion, before, steps_done=0, status="aborted", error=None)


def pause(connection: Connection, conversion: Conversion, *, on: bool) -> None:
    """Asks whoever works on it to stop; *on* False: not any more."""
    rows = _locked(connection)
    if rows.get(conversion.id, {}).get("status") == "running":
        _write(connection, {**rows, conversion.id: {**rows[conversion.id], "paused": on}})


def is_paused(engine: Engine, conversion: Conversion) -> bool:
    """Whether somebody asked to stop it."""
    with connected(engine) as connection:
        pin(connection, 1.0)
        return bool(_rows(connection).get(conversion.id, {}).get("paused"))


def end(connection: Connection, conversion: Conversion) -> bool:
    """Notes that another one takes its place; see `move`."""
    return _change(connection, conversion, conversion.done, status="aborted", error=None)


def fail(connection: Connection, conversion: Conversion, error: str) -> None:
    """Notes why it stopped."""
    rows = _locked(connection)
    if rows.get(conversion.id, {}).get("status") == "running":
        _write(connection, {**rows, conversion.id: {**rows[conversion.id], "error": error}})


def _change(connection: Connection, conversion: Conversion, before: int, **changes: Any) -> bool:
    connection.execute(_CLAIM, {"id": conversion.id})
    rows = _locked(connection)
    row = rows.get(conversion.id)
    if row is None or (row["steps_done"], row["status"]) != (before, "running"):
        return False
    changed = {**row, **changes}
    if changed["status"] == "done":  # only how to take it back is asked for from now on, and each look reads it all
        changed["steps"] = [{**step, "statements": ()} for step in changed["steps"]]
        changed.pop("back", None)
        changed.pop("beside", None)
    _write(connection, {**rows, conversion.id: changed})
    return True


def _locked(connection: Connection) -> dict[int, _Row]:
    """As `_rows`; nobody else writes until the transaction ends."""
    connection.exec_driver_sql(_LOCK)
    return _rows(connection)


def _rows(connection: Connection) -> dict[int, _Row]:
    """All that is stored, by id, in its order."""
    found = connection.execute(_STORED).first()
    if found is None:
        return {}
    stored, readable = found
    written = connection.execute(_WRITTEN).scalars().all() if readable else ()
    by_id = {row["id"]: row for row in (*written, *(json.loads(stored) if stored else ()))}
    return {key: by_id[key] for key in sorted(by_id)}


def _write(connection: Connection, rows: dict[int, _Row]) -> None:
    said = text_literal(json.dumps(list(rows.values())))
    execute_sql(connection, f"COMMENT ON COLUMN {SCHEMA}.conversion.steps IS {said}")


def _table(row: _Row) -> QualifiedName:
    return QualifiedName(row["table_schema"], row["table_name"])


_SAME = ("kind", "declaration", "fingerprint", "max_rows", "version", "id", "status", "error")


def _to_row(conversion: Conversion) -> _Row:
    return {
        **{name: getattr(conversion, name) for name in _SAME},
        "table_schema": conversion.table.schema,
        "table_name": conversion.table.name,
        "table_oid": conversion.oid,
        "primary_key": list(conversion.primary_key),
        "steps": [to_stored(step) for step in conversion.steps],
        "steps_done": conversion.done,
        **({"back": [to_stored(step) for step in conversion.back]} if conversion.back else {}),
        **({"beside": [[each.schema, each.name] for each in conversion.beside]} if conversion.beside else {}),
    }


def _read(row: _Row) -> Conversion:
    purpose = {"undo": Purpose.UNDO, "convert": Purpose.CONVERT}.get(row["kind"], Purpose.REWRITE)
    return Conversion(
        **{name: row[name] for name in _SAME},
        table=_table(row),
        oid=int(row["table_oid"]),
        primary_key=tuple(row["primary_key"]),
        steps=tuple(from_stored(each, purpose, _table(row)) for each in row["steps"]),
        done=row["steps_done"],
        paused=bool(row.get("paused")),
        back=tuple(from_stored(each, purpose, _table(row)) for each in row.get("back", ())),
        beside=tuple(QualifiedName(*each) for each in row.get("beside", ())),
    )


_ENOUGH = 2

_LEFT = text("""
SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = :schema AND c.relname = :new AND c.relkind = 'p' AND NOT c.relispartition),
    EXISTS (SELECT FROM pg_catalog.pg_constraint k
        WHERE k.conrelid = t.oid AND k.conname = :proof AND k.contype = 'c'),
    EXISTS (SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
        WHERE i.indrelid = t.oid AND c.relname = :key_index AND i.indisunique)
FROM pg_catalog.pg_class t JOIN pg_catalog.pg_namespace s ON s.oid = t.relnamespace
WHERE s.nspname = :schema AND t.relname = :name AND t.relkind = 'r'
""")


def lost(connection: Connection, table: QualifiedName) -> LostConversion | None:
    """
    What a conversion before its swap left; None when *table* is not plain, or there is only one such thing: its name
    may be anybody's.

    Args:
        table: With its schema, and without a conversion in progress.
    """
    names = {"new": new_table(table).name, "proof": proof(table), "key_index": key_index(table)}
    row = connection.execute(_LEFT, {"schema": table.schema, "name": table.name, **names}).one_or_none()
    if row is None or sum(row) < _ENOUGH:
        return None
    left = tuple(each for each, there in zip(_left(table), row, strict=True) if there)
    return LostConversion(table, tuple(words for words, _ in left), tuple(statement for _, statement in left))


def _left(table: QualifiedName) -> Iterator[tuple[str, str]]:
    new, check, index = new_table(table), proof(table), table.sibling(key_index(table))
    yield f"the table {new}", f"DROP TABLE {new.quoted}"
    yield f"the constraint {check}", f"ALTER TABLE {table.quoted} DROP CONSTRAINT {quote(check)}"
    yield f"the index {index}", f"DROP INDEX CONCURRENTLY {index.quoted}"
