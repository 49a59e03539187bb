"""Rows leave a default partition in a migration or a pasted plan: no reader misses one, no writer is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy import Engine

from sa_partman import Maintainer, PartitionByRange
from tests.migrations.project import COUNTRIES, Project
from tests.support.builders import at
from tests.support.converting import until
from tests.support.database import new_table, scalar, sql

GATE = 4711
"""An advisory lock that the work waits for, when it is done and not committed."""
WAITS = "EXISTS (SELECT FROM pg_locks WHERE locktype = '{}' AND NOT granted)"


@pytest.mark.parametrize("statement", ["SELECT count(*) FROM orders", "INSERT INTO orders (country) VALUES ('jp')"])
def test_an_operation(project: Project, engine: Engine, statement: str) -> None:
    project.migrate(COUNTRIES.replace("]})", "]}, default=True)"))
    sql(engine, "INSERT INTO orders (country) SELECT 'jp' FROM generate_series(1, 100)")
    project.written(
        f"op.create_partition('orders_jp', 'orders', values=['jp'])\nop.execute('SELECT pg_advisory_lock({GATE})')"
    )

    assert [] == _meanwhile(engine, project.upgrade, statement, 100, "orders")


@pytest.mark.parametrize("statement", ["SELECT count(*) FROM events", "INSERT INTO events (id) VALUES (101)"])
def test_a_pasted_plan(engine: Engine, statement: str) -> None:
    sql(
        engine,
        "CREATE TABLE events (id bigint NOT NULL, created_at timestamptz NOT NULL DEFAULT '2030-06-15Z') "
        "PARTITION BY RANGE (created_at); CREATE TABLE events_default PARTITION OF events DEFAULT; "
        "INSERT INTO events SELECT generate_series(1, 100)",
    )
    table = new_table(PartitionByRange("created_at", interval="1 month", premake=0, default=True))
    script = Maintainer(engine, table.metadata, now=at("2030-06-15")).plan().sql()
    gate = f"SELECT pg_advisory_lock({GATE});\nCOMMIT;"
    first, _, rest = script.partition("COMMIT;")

    assert [] == _meanwhile(engine, lambda: _paste(engine, f"{first}{gate}{rest}"), statement, 100, "events")


def _paste(engine: Engine, script: str) -> None:
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(script.encode())


def _meanwhile(engine: Engine, work: Callable[[], object], statement: str, rows: int, table: str) -> list[str]:
    """What goes wrong with *statement*, which begins when *work* is done and not yet committed."""
    wrong: list[str] = []

    def guarded(what: Callable[[], object]) -> None:
        try:
            found = what()
        except Exception as error:
            wrong.append(str(error))
        else:
            if isinstance(found, int) and found != rows:
                wrong.append(f"{found} of {rows} rows")

    def asks() -> int | None:
        if statement.startswith("SELECT"):
            return int(scalar(engine, statement))
        sql(engine, statement)
        return None

    with engine.connect() as keeper:
        keeper.exec_driver_sql(f"SELECT pg_advisory_lock({GATE})")
        worker = threading.Thread(target=guarded, args=(work,))
        worker.start()
        until(engine, WAITS.format("advisory"))
        other = threading.Thread(target=guarded, args=(asks,))
        other.start()
        until(engine, WAITS.format("relation"))
        keeper.exec_driver_sql(f"SELECT pg_advisory_unlock({GATE})")
        worker.join()
        other.join()
    expected = rows + (not statement.startswith("SELECT"))
    if (there := scalar(engine, f"SELECT count(*) FROM {table}")) != expected:
        wrong.append(f"{there} rows at the end")
    return wrong
