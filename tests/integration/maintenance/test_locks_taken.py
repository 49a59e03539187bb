"""What the planner says of locks is what the server does: compared with ``pg_locks``, action by action."""

from __future__ import annotations

from itertools import product

import pytest
from sqlalchemy import Connection, Engine, text

from sa_partman import LockPolicy, PartitionByRange
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import (
    Action,
    AttachPartition,
    CreateTable,
    DetachPartition,
    DropPartition,
    DropTable,
    MarkDetached,
    MoveRows,
)
from sa_partman.plan.lock_modes import LockMode
from sa_partman.plan.locks import locks_of, subjects_of
from sa_partman.postgres.locks.step_locks import look_around
from sa_partman.postgres.session import pin
from sa_partman.postgres.steps.execute import apply_actions
from tests.support.builders import declare, span
from tests.support.database import holding, sql

NAME = QualifiedName("public", "events")
KEY = declare(PartitionByRange("created_at", interval="1 month")).level.key
OLD, NEW, REST, APART = (NAME.sibling(f"events_{name}") for name in ("old", "new", "default", "apart"))
OF_OLD, OF_NEW = span("2030-01-01", "2030-02-01"), span("2030-02-01", "2030-03-01")

SCHEMA = """
CREATE TABLE orgs (id bigint PRIMARY KEY);
CREATE TABLE events (id bigint, org bigint REFERENCES orgs, created_at timestamptz, PRIMARY KEY (id, created_at))
    PARTITION BY RANGE (created_at);
CREATE TABLE events_old PARTITION OF events FOR VALUES FROM ('2030-01-01+00') TO ('2030-02-01+00');
CREATE TABLE clicks (event bigint, at timestamptz, FOREIGN KEY (event, at) REFERENCES events);
CREATE TABLE apart (LIKE events INCLUDING ALL);
CREATE TABLE events_apart (LIKE events INCLUDING ALL, FOREIGN KEY (org) REFERENCES orgs)
"""
WITH_DEFAULT = "CREATE TABLE events_default PARTITION OF events DEFAULT"

STEPS: dict[str, tuple[Action, ...]] = {
    "create": (CreateTable(NEW, NAME), AttachPartition(NAME, NEW, OF_NEW, KEY)),
    "move": (CreateTable(NEW, NAME), MoveRows(REST, NEW, OF_NEW, KEY), AttachPartition(NAME, NEW, OF_NEW, KEY)),
    "attach": (AttachPartition(NAME, APART, OF_NEW, KEY),),
    "detach": (DetachPartition(NAME, OLD, OF_OLD, KEY), MarkDetached(OLD, NAME)),
    "detach and drop": (DetachPartition(NAME, OLD, OF_OLD, KEY), DropTable(OLD, NAME)),
    "drop detached": (DropTable(APART, NAME),),
    "drop": (DropPartition(NAME, OLD, OF_OLD, KEY),),
}

_TAKEN = text("""
SELECT n.nspname, c.relname, l.mode FROM pg_catalog.pg_locks l
JOIN pg_catalog.pg_class c ON c.oid = l.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE l.pid = pg_catalog.pg_backend_pid() AND l.granted AND n.nspname = 'public' AND c.relkind IN ('r', 'p')
""")


@pytest.mark.parametrize(
    ("what", "default"),
    # Rows are moved out of a default partition, so without one there is nothing to move.
    [pair for pair in product(STEPS, (False, True)) if pair != ("move", False)],
)
def test_locks_as_the_server_takes_them(what: str, default: bool, engine: Engine) -> None:
    """Nothing that a step locks strongly is missing from what is locked before it begins."""
    sql(engine, SCHEMA + (f";{WITH_DEFAULT}" if default else ""))
    if what == "drop":
        sql(engine, "DROP TABLE clicks")
    actions = STEPS[what]
    with engine.connect() as connection, connection.begin() as transaction:
        pin(connection, 1)
        around = look_around(connection, subjects_of(actions)).relatives
        wanted = {lock.table: lock.mode for lock in locks_of(actions, around)}
        known = _names(connection)
        apply_actions(connection, actions)
        taken = _taken(connection)
        transaction.rollback()
    strong = {name: mode for name, mode in taken.items() if name in known and mode > LockMode.ROW_EXCLUSIVE}

    assert {} == {name: mode for name, mode in strong.items() if wanted.get(name, 0) < mode}
    assert wanted.keys() <= known


def _names(connection: Connection) -> set[QualifiedName]:
    found = connection.execute(
        text("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')")
    )
    return {NAME.sibling(row[0]) for row in found}


def _taken(connection: Connection) -> dict[QualifiedName, LockMode]:
    found: dict[QualifiedName, LockMode] = {}
    for schema, name, mode in connection.execute(_TAKEN):
        known = LockMode.of_catalog(mode)
        if known is not None:
            found[QualifiedName(schema, name)] = max(known, found.get(QualifiedName(schema, name), known))
    return found


def test_one_look_shows_relatives_and_holders(engine: Engine) -> None:
    """Nobody is waited for, not even who holds ACCESS EXCLUSIVE."""
    sql(engine, f"{SCHEMA};{WITH_DEFAULT}")
    with (
        holding(engine, "LOCK TABLE ONLY events IN ACCESS EXCLUSIVE MODE") as pid,
        engine.connect() as connection,
        connection.begin(),
    ):
        pin(connection, LockPolicy().lock_timeout)
        seen = look_around(connection, {NAME: False, OLD: True}, "1 = 1")

    assert (REST, (NAME.sibling("orgs"),), (NAME.sibling("clicks"),)) == (
        seen.relatives[NAME].default,
        seen.relatives[NAME].referenced,
        seen.relatives[NAME].referencing,
    )
    assert NAME == seen.relatives[OLD].parent
    assert [(NAME, pid)] == [(held.table, held.key[0]) for held in seen.held]
    assert seen.holds


def test_a_condition_that_does_not_hold(engine: Engine) -> None:
    with engine.connect() as connection, connection.begin():
        pin(connection, 1)

        assert not look_around(connection, {NAME: False}, "1 = 1").holds
