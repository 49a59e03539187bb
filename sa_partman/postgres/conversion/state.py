"""The state of conversions, in the schema ``sa_partman``: written in the transaction of the step that it tells of."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import ProgrammingError

from sa_partman.catalog import UnfinishedConversion
from sa_partman.errors import MissingPrivilege
from sa_partman.names import QualifiedName
from sa_partman.plan.conversion.request import new_table
from sa_partman.plan.conversion.steps import ConversionStep
from sa_partman.postgres.sqlstate import INSUFFICIENT_PRIVILEGE, first_line, sqlstate

SCHEMA = "sa_partman"

_EXISTS = text("SELECT to_regclass('sa_partman.conversion') IS NOT NULL")

_READABLE = text(f"""
SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = '{SCHEMA}' AND c.relname = 'conversion'
        AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT'))
""")

# IF NOT EXISTS looks before it locks: two that begin at once would collide.
_ONE_AT_A_TIME = f"SELECT pg_advisory_xact_lock({int.from_bytes(b'sapcmake')})"

_CREATE = (
    _ONE_AT_A_TIME,
    "CREATE SCHEMA IF NOT EXISTS sa_partman",
    """CREATE TABLE IF NOT EXISTS sa_partman.conversion (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_schema text NOT NULL,
    table_name text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('convert', 'undo')),
    status text NOT NULL CHECK (status IN ('running', 'done', 'aborted')),
    declaration text NOT NULL,
    fingerprint text NOT NULL,
    table_oid oid NOT NULL,
    primary_key text[] NOT NULL,
    max_rows bigint,
    steps jsonb NOT NULL,
    steps_done int NOT NULL DEFAULT 0,
    error text,
    version text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp())""",
    """CREATE UNIQUE INDEX IF NOT EXISTS conversion_running
    ON sa_partman.conversion (table_schema, table_name) WHERE status = 'running'""",
)

_INSERT = text("""
INSERT INTO sa_partman.conversion (table_schema, table_name, kind, status, declaration, fingerprint,
    table_oid, primary_key, max_rows, steps, version)
VALUES (:schema, :name, :kind, 'running', :declaration, :fingerprint, :oid, :primary_key, :max_rows,
    CAST(:steps AS jsonb), :version) RETURNING id
""")

_SELECT = """
SELECT id, table_schema, table_name, kind, status, declaration, fingerprint, table_oid AS oid, primary_key, max_rows,
    steps, steps_done AS done, error, version
FROM sa_partman.conversion
"""
_GET = text(f"{_SELECT} WHERE id = :id")
_LAST = text(f"""{_SELECT}
WHERE table_schema = :schema AND table_name = :name AND status = ANY (CAST(:statuses AS text[]))
    AND (CAST(:kind AS text) IS NULL OR kind = :kind)
ORDER BY id DESC LIMIT 1
""")

_RUNNING = text(f"{_SELECT} WHERE status = 'running' ORDER BY id")

_LOCK = text("SELECT steps_done, status FROM sa_partman.conversion WHERE id = :id FOR UPDATE")

_MOVE = text("""
UPDATE sa_partman.conversion SET steps_done = :done, status = :status, error = NULL, updated_at = clock_timestamp()
WHERE id = :id AND status = 'running' AND steps_done = :before
""")

_FAIL = text("UPDATE sa_partman.conversion SET error = :error, updated_at = clock_timestamp() WHERE id = :id")


@dataclass(frozen=True, slots=True)
class NewConversion:
    """
    What is stored of a conversion when it begins.

    Args:
        kind: "convert", or "undo" of one.
        declaration: As Python.
        fingerprint: Of the table: see `full_mark`.
        oid: The table's when the conversion began: later that of the history partition.
        primary_key: Column names of the table's primary key when the conversion began.
        max_rows: An undo moves at most so many rows inside its swap.
        version: Ours.
    """

    table: QualifiedName
    kind: str
    declaration: str
    fingerprint: str
    oid: int
    primary_key: tuple[str, ...]
    steps: tuple[ConversionStep, ...]
    max_rows: int | None
    version: str


@dataclass(frozen=True, slots=True)
class Conversion(NewConversion):
    """
    One conversion as it is stored.

    Args:
        status: "running" (also while nobody works on it), "done" or "aborted".
        done: How many of *steps* are done.
        error: Why the last attempt stopped, or None.
    """

    id: int
    status: str = "running"
    done: int = 0
    error: str | None = None

    @property
    def cut_over(self) -> bool:
        """Whether the table is swapped already, so that only another conversion leads back."""
        ids = [step.id for step in self.steps]
        return self.status == "done" or ("cutover" in ids and self.done > ids.index("cutover"))

    @property
    def next_step(self) -> ConversionStep | None:
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
            new_table(self.table),
        )


def begin(connection: Connection, new: NewConversion) -> Conversion:
    """
    Stores a new conversion in the caller's transaction; the schema is made when it is not there.

    Raises:
        MissingPrivilege: The role may not make it, or not write there.
    """
    try:
        if not connection.execute(_EXISTS).scalar():
            for statement in _CREATE:
                connection.exec_driver_sql(statement)
        given = {field.name: getattr(new, field.name) for field in fields(NewConversion)}
        stored = {
            **given,
            "schema": new.table.schema,
            "name": new.table.name,
            "primary_key": list(new.primary_key),
            "steps": json.dumps([step.to_dict() for step in new.steps]),
        }
        del stored["table"]
        key = connection.execute(_INSERT, stored).scalar_one()
    except ProgrammingError as error:
        if sqlstate(error) != INSUFFICIENT_PRIVILEGE:
            raise
        raise MissingPrivilege(
            f"the state of a conversion is kept in the schema {SCHEMA!r}: {first_line(error)}; nothing was changed. "
            f"Let a superuser run: CREATE SCHEMA {SCHEMA} AUTHORIZATION <the role that converts>"
        ) from error
    return Conversion(**given, id=key)


def get(connection: Connection, key: int) -> Conversion:
    """The stored conversion of this id."""
    return _read(connection.execute(_GET, {"id": key}).one())


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
    if not connection.execute(_EXISTS).scalar():
        return None
    wanted = {"schema": table.schema, "name": table.name, "statuses": list(statuses), "kind": kind}
    row = connection.execute(_LAST, wanted).one_or_none()
    return None if row is None else _read(row)


def running(connection: Connection) -> tuple[Conversion, ...]:
    """Every conversion and undo that has begun and not ended; none for a role that may not read the state."""
    if not connection.execute(_READABLE).scalar():
        return ()
    return tuple(map(_read, connection.execute(_RUNNING)))


def _read(row: Row[Any]) -> Conversion:
    stored = dict(row._mapping)
    table = QualifiedName(stored.pop("table_schema"), stored.pop("table_name"))
    steps = stored["steps"] if isinstance(stored["steps"], list) else json.loads(stored["steps"])
    stored["steps"] = tuple(ConversionStep.from_dict(each) for each in steps)
    stored["primary_key"] = tuple(stored["primary_key"])
    return Conversion(table=table, **stored)


def stands_at(connection: Connection, conversion: Conversion, done: int) -> bool:
    """Whether it is under way with just *done* steps done; nobody else moves it until the transaction ends."""
    row = connection.execute(_LOCK, {"id": conversion.id}).one_or_none()
    return row is not None and tuple(row) == (done, "running")


def move(connection: Connection, conversion: Conversion, before: int, done: int) -> bool:
    """
    Notes that *done* steps are done now, and *before* were.

    Returns:
        False when somebody else has moved the conversion meanwhile: the caller must roll back.
    """
    status = "done" if done == len(conversion.steps) else "running"
    changed = {"id": conversion.id, "before": before, "done": done, "status": status}
    return bool(connection.execute(_MOVE, changed).rowcount == 1)


def abort(connection: Connection, conversion: Conversion) -> bool:
    """Notes that no step is left; see `move`."""
    changed = {"id": conversion.id, "before": 0, "done": 0, "status": "aborted"}
    return bool(connection.execute(_MOVE, changed).rowcount == 1)


def fail(connection: Connection, conversion: Conversion, error: str) -> None:
    """Notes why it stopped."""
    connection.execute(_FAIL, {"id": conversion.id, "error": error})
