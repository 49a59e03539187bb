"""Tables to maintain on a real server, and looks at its catalog that don't use the package."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Engine, MetaData, Table, Text, Uuid, create_engine, text

from sa_partman import LockPolicy, Maintainer
from sa_partman.maintenance.results import Outcome, RunResult
from tests.support.builders import at

HASTY = LockPolicy(lock_timeout=0.1, budget=1.5, pause=0.05, longest_pause=0.1, stall=0.3)
"""For tests in which a lock is never granted."""


def new_table(spec: Any, *columns: Column[Any], metadata: MetaData | None = None, **changes: Any) -> Table:
    """
    ``events`` with ``id``, ``created_at`` and a tenant, a region and a reference, without a primary key; *columns*
    replace those of the same name.
    """
    standard: list[Column[Any]] = [
        Column("id", BigInteger, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False),
        Column("tenant", Text, nullable=False, server_default="t1"),
        Column("region", Text, nullable=True),
        Column("ref", Uuid, nullable=False, server_default=text("gen_random_uuid()")),
    ]
    given = {column.name for column in columns}
    name = changes.pop("name", "events")
    kept = [column for column in standard if column.name not in given]
    made: Table = Table(name, metadata if metadata is not None else MetaData(), *kept, *columns, spec, **changes)
    return made


def sql(engine: Engine, statement: str, **parameters: Any) -> list[Any]:
    """Runs *statement* and commits; its rows, if it has any."""
    with engine.begin() as connection:
        result = connection.execute(text(statement), parameters)
        return list(result.all()) if result.returns_rows else []


def scalar(engine: Engine, statement: str, **parameters: Any) -> Any:
    return sql(engine, statement, **parameters)[0][0]


def put(engine: Engine, table: Table, *moments: str, **values: Any) -> None:
    """A row per moment."""
    with engine.begin() as connection:
        for index, moment in enumerate(moments):
            connection.execute(table.insert(), {"id": index, "created_at": at(moment), **values})


def partitions(engine: Engine, parent: str = "events") -> dict[str, str]:
    """The bounds of the partitions of *parent* (an SQL name), by name, in UTC."""
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'"))
        found = connection.execute(
            text(
                "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i "
                "JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = CAST(:parent AS regclass) ORDER BY c.oid"
            ),
            {"parent": parent},
        )
        return {row[0]: row[1] for row in found}


def leaves(engine: Engine, parent: str = "events") -> list[str]:
    """The names of all partitions of the lowest level below *parent*."""
    found = sql(
        engine,
        "SELECT c.relname FROM pg_partition_tree(CAST(:parent AS regclass)) t JOIN pg_class c ON c.oid = t.relid "
        "WHERE t.isleaf AND t.level > 0 ORDER BY 1",
        parent=parent,
    )
    return [row[0] for row in found]


def relations(engine: Engine) -> set[str]:
    """Every table of the user's, by name with schema."""
    found = sql(
        engine,
        "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND n.nspname NOT LIKE 'pg\\_%' "
        "AND n.nspname <> 'information_schema'",
    )
    return {row[0] for row in found}


def upkeep(engine: Engine, table: Table | MetaData, now: str | datetime | None = None, **options: Any) -> Maintainer:
    """A maintainer at *now*."""
    metadata = table if isinstance(table, MetaData) else table.metadata
    moment = at(now) if isinstance(now, str) else now
    return Maintainer(engine, metadata, now=moment, **options)


def made(result: RunResult) -> list[str]:
    """The partitions of the steps that were done, by name."""
    return [step.step.partition.name for step in result.steps if step.outcome is Outcome.DONE]


def outcomes(result: RunResult) -> list[str]:
    return [str(step.outcome) for step in result.steps]


def codes(findings: Sequence[Any]) -> list[str]:
    return [finding.code for finding in findings]


@contextmanager
def ddl_log(engine: Engine) -> Iterator[list[str]]:
    """The commands that changed the catalog while the block ran, as the server saw them."""
    sql(
        engine,
        """
        CREATE SCHEMA IF NOT EXISTS ddl_log;
        CREATE TABLE IF NOT EXISTS ddl_log.seen (tag text);
        CREATE OR REPLACE FUNCTION ddl_log.note() RETURNS event_trigger LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO ddl_log.seen VALUES (tg_tag); END $$;
        CREATE EVENT TRIGGER ddl_log ON ddl_command_end EXECUTE FUNCTION ddl_log.note()
        """,
    )
    seen: list[str] = []
    try:
        yield seen
    finally:
        sql(engine, "DROP EVENT TRIGGER ddl_log")
        seen.extend(row[0] for row in sql(engine, "SELECT tag FROM ddl_log.seen"))
        sql(engine, "DROP SCHEMA ddl_log CASCADE")


@contextmanager
def unreadable(engine: Engine, table: str) -> Iterator[None]:
    """*table*, by time, has a branch that another transaction locks, and whose partition key is an expression."""
    sql(engine, f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {table.split('.')[-1]}_pkey")
    sql(
        engine,
        f"CREATE TABLE {table}_far PARTITION OF {table} FOR VALUES FROM ('2090-01-01') TO ('2090-02-01') "
        "PARTITION BY LIST (mod(id, 2))",
    )
    with holding(engine, f"LOCK TABLE {table}_far IN ACCESS EXCLUSIVE MODE"):
        yield


@contextmanager
def holding(engine: Engine, *statements: str) -> Iterator[int]:
    """A transaction that has run *statements* and stays open during the block; its pid."""
    with engine.connect() as connection, connection.begin() as transaction:
        for statement in statements:
            connection.execute(text(statement))
        yield connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        transaction.rollback()


@contextmanager
def another(engine: Engine, **options: Any) -> Iterator[Engine]:
    """An engine of its own on the same database."""
    other = create_engine(engine.url, **options)
    try:
        yield other
    finally:
        other.dispose()


@contextmanager
def role(engine: Engine, *statements: str, name: str = "sa_partman_test_user") -> Iterator[str]:
    """A login role for the block; ``{role}`` and ``{database}`` in *statements* are filled in."""
    database = engine.url.database
    sql(engine, f"CREATE ROLE {name} LOGIN PASSWORD 'secret'")
    try:
        for statement in statements:
            sql(engine, statement.format(role=name, database=database))
        yield name
    finally:
        sql(engine, f"REASSIGN OWNED BY {name} TO CURRENT_USER; DROP OWNED BY {name}; DROP ROLE {name}")


def as_role(engine: Engine, name: str) -> Engine:
    return create_engine(engine.url.set(username=name, password="secret"))
