"""The audit tables: a row for each run and each step, written beside the steps and never inside their transactions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, TextClause, text

from sa_partman.checks.rows import LastRuns
from sa_partman.errors import ConfigurationError
from sa_partman.names import quote
from sa_partman.postgres.session import features_of

RUNS, STEPS = "sa_partman_runs", "sa_partman_steps"
TABLES = frozenset({RUNS, STEPS})
"""Hidden from autogenerate, and nobody else's names."""
CONVERSION_RUN = "convert-"
"""How the name of a conversion's run begins: it maintains nothing, however well it ends."""
KEPT_DAYS = 400
"""Rows that are older are deleted by the runs that follow."""
STEPS_AT_ONCE, RUNS_AT_ONCE = 5_000, 1_000
"""Rows that one run deletes at most, so that the delete stays short."""

_MAKE = (
    """
CREATE TABLE {runs} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run text NOT NULL,
    started timestamp with time zone NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    finished timestamp with time zone,
    ok boolean,
    planned integer NOT NULL,
    done integer,
    failed integer,
    error text,
    version text NOT NULL,
    server text NOT NULL,
    role text NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL
)
""",
    """
CREATE TABLE {steps} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id bigint NOT NULL REFERENCES {runs} (id),
    at timestamp with time zone NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    purpose text NOT NULL,
    "table" text NOT NULL,
    partition text NOT NULL,
    bound text,
    outcome text NOT NULL,
    sql text NOT NULL,
    seconds double precision NOT NULL,
    rows bigint,
    error text,
    blockers text[] NOT NULL
)
""",
    f"CREATE INDEX {RUNS}_started ON {{runs}} (started)",
    f"CREATE INDEX {STEPS}_run_id ON {{steps}} (run_id)",
    "COMMENT ON TABLE {runs} IS 'sa_partman: audit of runs; finished is NULL while one is at work, or was killed'",
    "COMMENT ON TABLE {steps} IS 'sa_partman: audit of steps'",
)
_BEGIN = """
INSERT INTO {runs} (run, planned, version, server, role, host, pid)
VALUES (CAST(:run AS text), CAST(:planned AS integer), CAST(:version AS text),
    pg_catalog.current_setting('server_version'), current_user, CAST(:host AS text), CAST(:pid AS integer))
RETURNING id
"""
_STEP = """
INSERT INTO {steps} (run_id, purpose, "table", partition, bound, outcome, sql, seconds, rows, error, blockers)
VALUES (CAST(:run_id AS bigint), CAST(:purpose AS text), CAST(:table AS text), CAST(:partition AS text),
    CAST(:bound AS text), CAST(:outcome AS text), CAST(:sql AS text), CAST(:seconds AS double precision),
    CAST(:rows AS bigint), nullif(CAST(:error AS text), ''), CAST(:blockers AS text[]))
"""
_END = """
UPDATE {runs} SET finished = pg_catalog.clock_timestamp(), ok = CAST(:ok AS boolean),
    done = CAST(:done AS integer), failed = CAST(:failed AS integer), error = nullif(CAST(:error AS text), '')
WHERE id = CAST(:run_id AS bigint)
"""
_PRUNE = (
    f"""
DELETE FROM {{steps}} WHERE id IN (
    SELECT s.id FROM {{runs}} r JOIN {{steps}} s ON s.run_id = r.id
    WHERE r.started < pg_catalog.clock_timestamp() - interval '{KEPT_DAYS} days' LIMIT {STEPS_AT_ONCE})
""",
    f"""
DELETE FROM {{runs}} WHERE id IN (
    SELECT r.id FROM {{runs}} r
    WHERE r.started < pg_catalog.clock_timestamp() - interval '{KEPT_DAYS} days'
        AND NOT EXISTS (SELECT FROM {{steps}} s WHERE s.run_id = r.id) LIMIT {RUNS_AT_ONCE})
""",
)
# Whoever checks may be another role, in another schema, than whoever runs; without the privilege nothing is known. The
# types matter because a table of that name can be anybody's, and a cast of his would be at work with our rights.
_WHERE = text(f"""
SELECT n.nspname
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = '{RUNS}' AND c.relkind = 'r'
    AND (c.relpersistence = 'p' OR NOT pg_catalog.pg_is_in_recovery())
    AND (CAST(:schema AS text) IS NULL OR n.nspname = CAST(:schema AS text))
    AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
    AND pg_catalog.obj_description(c.oid, 'pg_class') LIKE 'sa_partman: audit%'
    AND 3 = (SELECT count(*) FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND (a.attname, a.atttypid) IN (
        ('started', CAST('timestamptz' AS regtype)), ('finished', CAST('timestamptz' AS regtype)),
        ('ok', CAST('boolean' AS regtype))))
ORDER BY n.nspname = CAST(:preferred AS text) DESC, n.nspname LIMIT 1
""")
# Whoever owns a table decides what an INSERT into it sets off, with the rights of whoever inserts.
_STRANGER = text(f"""
SELECT c.relname, o.rolname
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_roles o ON o.oid = c.relowner
JOIN pg_catalog.pg_roles me ON me.rolname = current_user
JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database()
WHERE n.nspname = :schema AND c.relname IN ('{RUNS}', '{STEPS}')
    AND NOT o.rolsuper AND o.oid NOT IN (me.oid, n.nspowner, d.datdba)
    AND (me.rolsuper OR NOT pg_catalog.pg_has_role(o.oid, 'USAGE'))
LIMIT 1
""")
_COVERING = """
SELECT p.pubname FROM pg_catalog.pg_publication p WHERE p.puballtables{schemas} ORDER BY 1 LIMIT 1
"""
_OF_SCHEMA = """ OR EXISTS (
    SELECT FROM pg_catalog.pg_publication_namespace w JOIN pg_catalog.pg_namespace n ON n.oid = w.pnnspid
    WHERE w.pnpubid = p.oid AND n.nspname = :schema)"""
_COVERING_14, _COVERING_15 = text(_COVERING.format(schemas="")), text(_COVERING.format(schemas=_OF_SCHEMA))
# In a publication by their own names they are because somebody wants it.
_LOGGED = text(f"""
SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = :schema AND c.relname IN ('{RUNS}', '{STEPS}') AND c.relpersistence = 'p'
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_publication_rel r WHERE r.prrelid = c.oid))
""")
_LAST = (
    """
SELECT CAST(extract(epoch FROM t.now - max(r.finished) FILTER (WHERE r.ok)) AS double precision),
    CAST(extract(epoch FROM t.now - min(r.started)) AS double precision),
    CAST(extract(epoch FROM max(r.started)) AS double precision),
    CAST(extract(epoch FROM max(r.finished) FILTER (WHERE r.ok)) AS double precision),
    CAST(extract(epoch FROM (array_agg(r.finished - r.started ORDER BY r.started DESC)
        FILTER (WHERE r.finished IS NOT NULL))[1]) AS double precision)
FROM {runs} r CROSS JOIN (SELECT pg_catalog.clock_timestamp() AS now) t
WHERE NOT pg_catalog.starts_with(r.run, '"""
    + CONVERSION_RUN
    + """') GROUP BY t.now
"""
)


@dataclass(frozen=True, slots=True)
class StepRow:
    """
    One step, as it is written.

    Args:
        error: Empty: none.
        blockers: Who held the locks that were not granted.
    """

    purpose: str
    table: str
    partition: str
    bound: str | None
    outcome: str
    sql: str
    seconds: float
    rows: int | None
    error: str
    blockers: Sequence[str]


@dataclass(frozen=True, slots=True)
class AuditTables:
    """The two tables of one schema; every method belongs into a pinned transaction of the caller's."""

    schema: str

    def make(self, connection: Connection) -> None:
        """
        Creates them, unless they are there; UNLOGGED where a publication of all tables, or of all in the schema, would
        send them to its subscribers.

        Raises:
            ConfigurationError: Somebody whom we have no reason to trust has made one of that name, or it is published.
        """
        stranger = connection.execute(_STRANGER, {"schema": self.schema}).first()
        if stranger is not None:
            raise ConfigurationError(
                f"{self.schema}.{stranger[0]} belongs to {stranger[1]}, whose triggers would run with the rights of "
                f"the connected role; nothing was written into it. Drop both tables ({RUNS}, {STEPS}), or move them to "
                f"another schema (ALTER TABLE ... SET SCHEMA ...); the next run creates its own."
            )
        there = connection.execute(
            text("SELECT pg_catalog.to_regclass(CAST(:name AS text)) IS NOT NULL"), {"name": self._name(STEPS)}
        ).scalar_one()
        covering = connection.execute(_covering(connection), {"schema": self.schema}).scalar()
        if not there:
            for statement in _MAKE:
                made = statement.replace("CREATE TABLE", "CREATE UNLOGGED TABLE") if covering else statement
                connection.execute(self._sql(made))
        elif covering and connection.execute(_LOGGED, {"schema": self.schema}).scalar():
            alter = [f"ALTER TABLE {self._name(table)} SET UNLOGGED" for table in (STEPS, RUNS)]
            raise ConfigurationError(
                f"the publication {covering} would send the audit tables of schema {self.schema} to subscribers, which "
                f"have no such tables and would stop; nothing was written into them. Run: {'; '.join(alter)}"
            )

    def begin(self, connection: Connection, run: str, planned: int, version: str, host: str, pid: int) -> int:
        """A run begins; its id."""
        values = {"run": run, "planned": planned, "version": version, "host": host, "pid": pid}
        found: int = connection.execute(self._sql(_BEGIN), values).scalar_one()
        return found

    def step(self, connection: Connection, run_id: int, row: StepRow) -> None:
        """A step was tried."""
        values = {name: getattr(row, name) for name in StepRow.__slots__}
        connection.execute(self._sql(_STEP), {**values, "run_id": run_id, "blockers": list(row.blockers)})

    def end(self, connection: Connection, run_id: int, *, ok: bool, done: int, failed: int, error: str) -> None:
        """The run has ended; what is too old goes."""
        values = {"run_id": run_id, "ok": ok, "done": done, "failed": failed, "error": error}
        connection.execute(self._sql(_END), values)

    def prune(self, connection: Connection) -> None:
        """Some of the rows that are too old go; the next run takes the next ones."""
        for statement in _PRUNE:
            connection.execute(self._sql(statement))

    def last(self, connection: Connection) -> LastRuns | None:
        """What the rows say; None when there are none."""
        row = connection.execute(self._sql(_LAST)).first()
        return None if row is None else LastRuns(*row)

    def _sql(self, statement: str) -> TextClause:
        """``text()`` takes ``:name`` for a parameter, which a schema's name may hold."""
        runs, steps = (self._name(table).replace(":", r"\:") for table in (RUNS, STEPS))
        return text(statement.format(runs=runs, steps=steps))

    def _name(self, table: str) -> str:
        return f"{quote(self.schema)}.{quote(table)}"


def _covering(connection: Connection) -> TextClause:
    """Which publication has every table of the schema; its parameter is unknown to PostgreSQL 14."""
    return _COVERING_15 if features_of(connection).has_publication_details else _COVERING_14


def last_runs(connection: Connection, schema: str | None, preferred: str | None) -> LastRuns | None:
    """
    What is known of the runs; None when none was audited, or the connected role may not know.

    Args:
        schema: Where the tables are; None: anywhere.
        preferred: Where they are when there are several.
    """
    found = connection.execute(_WHERE, {"schema": schema, "preferred": preferred}).scalar()
    return None if found is None else AuditTables(found).last(connection)
