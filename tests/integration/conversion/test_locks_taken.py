"""What each step of a conversion locks is what its plan and docs/locks.md say: read from ``pg_locks``."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from sa_partman.ddl.render import quoted_sql
from sa_partman.maintenance.converter import Converter
from sa_partman.plan.locks import LockMode
from tests.support.carrying import EVENTS, NOW, declared, run

PAGE = Path(__file__).parents[3] / "docs" / "locks.md"
SETUP = f"""
CREATE TABLE kinds (kind text PRIMARY KEY);
{EVENTS}
INSERT INTO kinds SELECT DISTINCT kind FROM events;
ALTER TABLE events ADD FOREIGN KEY (kind) REFERENCES kinds;
CREATE TABLE clicks (event bigint REFERENCES events, created_at timestamptz)
"""
AX, SRX, SUX = LockMode.ACCESS_EXCLUSIVE, LockMode.SHARE_ROW_EXCLUSIVE, LockMode.SHARE_UPDATE_EXCLUSIVE
TAKEN = {
    "unique_index": {},  # in transactions of its own
    "check": {"events": AX},
    "validate": {"events": SUX},
    "parent": {"kinds": SRX},
    "cutover": {"events": AX, "clicks": AX},
    "inbound": {"clicks": SUX},
    "foreign_key": {"kinds": AX, "events": SRX},
    "analyze": {"events": SUX},
}
_LOCKS = """
SELECT c.relname, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
WHERE l.pid = pg_backend_pid() AND c.relname IN ('events', 'kinds', 'clicks')
"""


@pytest.mark.everywhere
def test_the_locks_of_each_step(engine: Engine) -> None:
    """Of the table, of what it refers to, and of what refers to it."""
    run(engine, SETUP)
    taken: dict[str, dict[str, LockMode]] = {}
    for step in Converter(engine, declared(), now=NOW).plan("events", inbound="composite").steps:
        name = step.id.partition(":")[0]
        level = "READ COMMITTED" if step.in_transaction else "AUTOCOMMIT"
        with engine.connect().execution_options(isolation_level=level) as connection:
            for statement in quoted_sql(step.actions):
                connection.exec_driver_sql(statement.replace("%", "%%"))
            held = connection.exec_driver_sql(_LOCKS).all()
            connection.commit()
        taken[name] = {}
        for table, mode in sorted((table, LockMode.of_catalog(mode) or 0) for table, mode in held):
            if mode > LockMode.ROW_EXCLUSIVE:
                taken[name][table] = LockMode(mode)
        assert all(mode.sql in step.lock for mode in taken[name].values()), step

    assert TAKEN == taken


@pytest.mark.parametrize("step", TAKEN)
def test_the_page_says_the_same(step: str) -> None:
    short = {AX: "AX", SRX: "SRX", SUX: "SUX"}
    row = next(line for line in PAGE.read_text("utf-8").splitlines() if line.startswith(f"| `{step}"))

    assert all(short[mode] in row for mode in TAKEN[step].values())
