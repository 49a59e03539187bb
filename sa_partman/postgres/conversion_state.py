"""The state of conversions, in the schema ``sa_partman``: written in the transaction of the step that it tells of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, text

from sa_partman.names import QualifiedName
from sa_partman.plan.conversion.steps import ConversionStep

SCHEMA = "sa_partman"

_EXISTS = text("SELECT to_regclass('sa_partman.conversion') IS NOT NULL")

_CREATE = (
    "CREATE SCHEMA IF NOT EXISTS sa_partman",
    """CREATE TABLE IF NOT EXISTS sa_partman.conversion (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_schema text NOT NULL,
    table_name text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('convert', 'undo')),
    status text NOT NULL CHECK (status IN ('running', 'done', 'aborted', 'undone')),
    declaration text NOT NULL,
    fingerprint text NOT NULL,
    table_oid oid NOT NULL,
    primary_key text[] NOT NULL,
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
    table_oid, primary_key, steps, version)
VALUES (:schema, :name, :kind, 'running', :declaration, :fingerprint, :oid, :primary_key,
    CAST(:steps AS jsonb), :version) RETURNING id
""")

_LAST = text("""
SELECT id, kind, status, declaration, fingerprint, table_oid, primary_key, steps, steps_done, error
FROM sa_partman.conversion WHERE table_schema = :schema AND table_name = :name ORDER BY id DESC LIMIT 1
""")

_ADVANCE = text("""
UPDATE sa_partman.conversion SET steps_done = :done, status = :status, error = NULL, updated_at = clock_timestamp()
WHERE id = :id AND status = 'running' AND steps_done = :done - 1
""")

_FINISH = text("""
UPDATE sa_partman.conversion SET status = :status, updated_at = clock_timestamp() WHERE id = :id
""")

_FAIL = text("""
UPDATE sa_partman.conversion SET error = :error, updated_at = clock_timestamp() WHERE id = :id
""")


@dataclass(frozen=True, slots=True)
class Conversion:
    """
    One conversion as it is stored.

    Args:
        kind: "convert", or "undo" of one.
        oid: The table's when the conversion began: later that of the history partition.
        primary_key: Column names of the table's primary key when the conversion began.
        status: "running" (also while nobody works on it), "done", "aborted" or "undone".
        done: How many of *steps* are done.
        error: Why the last attempt stopped, or None.
    """

    id: int
    table: QualifiedName
    kind: str
    status: str
    declaration: str
    fingerprint: str
    oid: int
    primary_key: tuple[str, ...]
    steps: tuple[ConversionStep, ...]
    done: int
    error: str | None

    @property
    def cut_over(self) -> bool:
        """Whether the table is swapped already, so that only an undo leads back."""
        ids = [step.id for step in self.steps]
        return self.status == "done" or ("cutover" in ids and self.done > ids.index("cutover"))


def begin(
    connection: Connection,
    table: QualifiedName,
    kind: str,
    declaration: str,
    fingerprint: str,
    oid: int,
    primary_key: tuple[str, ...],
    version: str,
    steps: tuple[ConversionStep, ...],
) -> Conversion:
    """Stores a new conversion in the caller's transaction; the schema is made when it is not there."""
    if not connection.execute(_EXISTS).scalar():
        for statement in _CREATE:
            connection.exec_driver_sql(statement)
    stored = json.dumps([step.to_dict() for step in steps])
    parameters = {
        "schema": table.schema,
        "name": table.name,
        "kind": kind,
        "declaration": declaration,
        "fingerprint": fingerprint,
        "oid": oid,
        "primary_key": list(primary_key),
        "steps": stored,
        "version": version,
    }
    key = connection.execute(_INSERT, parameters).scalar_one()
    return Conversion(key, table, kind, "running", declaration, fingerprint, oid, primary_key, steps, 0, None)


def last(connection: Connection, table: QualifiedName) -> Conversion | None:
    """The youngest conversion of *table*; None when there never was one."""
    if not connection.execute(_EXISTS).scalar():
        return None
    row = connection.execute(_LAST, {"schema": table.schema, "name": table.name}).one_or_none()
    return None if row is None else _read(row, table)


def _read(row: Row[Any], table: QualifiedName) -> Conversion:
    stored = row.steps if isinstance(row.steps, list) else json.loads(row.steps)
    steps = tuple(ConversionStep.from_dict(each) for each in stored)
    return Conversion(
        row.id,
        table,
        row.kind,
        row.status,
        row.declaration,
        row.fingerprint,
        row.table_oid,
        tuple(row.primary_key),
        steps,
        row.steps_done,
        row.error,
    )


def advance(connection: Connection, conversion: Conversion, done: int) -> bool:
    """
    Notes that *done* steps are done now.

    Returns:
        False when somebody else has moved the conversion meanwhile: the caller must roll back.
    """
    status = "done" if done == len(conversion.steps) else "running"
    result = connection.execute(_ADVANCE, {"id": conversion.id, "done": done, "status": status})
    return bool(result.rowcount == 1)


def finish(connection: Connection, conversion: Conversion, status: str) -> None:
    connection.execute(_FINISH, {"id": conversion.id, "status": status})


def fail(connection: Connection, conversion: Conversion, error: str) -> None:
    connection.execute(_FAIL, {"id": conversion.id, "error": error})
