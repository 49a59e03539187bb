"""Detaches that were cut off: ours are ended first, others' are reported, and what can't be ended is explained."""

from __future__ import annotations

import signal

import pytest
from sqlalchemy import BigInteger, Column, DateTime, Engine, Identity, Table
from sqlalchemy.exc import DBAPIError

from sa_partman import LockPolicy, PartitionByHash, PartitionByRange, Retention
from sa_partman.engine.unchanged import require_ended
from sa_partman.errors import LockNotAcquired
from sa_partman.finding import Finding, Severity
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import FinalizeDetach
from sa_partman.postgres.session import pin
from tests.support.builders import at
from tests.support.database import (
    as_role,
    codes,
    holding,
    new_table,
    outcomes,
    partitions,
    relations,
    role,
    sql,
    upkeep,
)
from tests.support.killing import process, repairing
from tests.support.residues import SNAPSHOT, detaching, is_pending, leave_pending

MONTHLY = PartitionByRange("created_at", interval="1 month", premake=1)
DROPPING = MONTHLY.with_(retention=Retention("1 month", then="drop"))
KEEPING = MONTHLY.with_(retention=Retention("1 month", then="detach"))
NOW = "2031-03-15"
PATIENCE = LockPolicy(budget=2.0)
CURRENT, DUE = "events_p20310301", "events_p20310101"


def _made(engine: Engine, spec: PartitionByRange) -> Table:
    """The table with a partition of this month, and one that is expired and holds a row."""
    table = new_table(spec)
    sql(
        engine,
        "CREATE TABLE events (id bigint NOT NULL, created_at timestamptz NOT NULL, note text) "
        "PARTITION BY RANGE (created_at)",
    )
    for name, lower, upper in ((DUE, "2031-01-01", "2031-02-01"), (CURRENT, "2031-03-01", "2031-04-01")):
        sql(engine, f"CREATE TABLE {name} PARTITION OF events FOR VALUES FROM ('{lower}Z') TO ('{upper}Z')")
    sql(engine, "INSERT INTO events VALUES (1, '2031-01-05Z'), (2, '2031-03-05Z')")
    return table


# -- ours


def test_ours_is_finalized_first(engine: Engine) -> None:
    """Before a partition is made, and its rows are in a table of its own; nothing is planned afterwards."""
    table = _made(engine, KEEPING)
    leave_pending(engine, DUE)
    result = upkeep(engine, table, NOW).run()

    assert result.ok, str(result)
    assert ["heal", "provision"] == [str(each.step.purpose) for each in result.steps][:2]
    assert is_pending(engine, DUE) is None
    assert [(1,)] == sql(engine, f"SELECT id FROM {DUE}")
    assert not upkeep(engine, table, NOW).plan()


def test_ours_that_is_due_is_dropped_at_once(engine: Engine) -> None:
    """No FINALIZE for what goes anyway."""
    table = _made(engine, DROPPING)
    leave_pending(engine, DUE)
    plan = upkeep(engine, table, NOW).plan()
    result = upkeep(engine, table, NOW).run()

    assert ["provision", "drop"] == sorted({str(each.purpose) for each in plan.steps}, reverse=True)
    assert result.ok, str(result)
    assert f"public.{DUE}" not in relations(engine)
    assert not upkeep(engine, table, NOW).plan()


def test_provisioning_alone_drops_nothing(engine: Engine) -> None:
    """What removes rows for good is pruning, also when it heals; the rest is made meanwhile."""
    table = _made(engine, DROPPING)
    leave_pending(engine, DUE)
    result = upkeep(engine, table, NOW).provision()

    assert result.ok, str(result)
    assert is_pending(engine, DUE)
    assert "events_p20310401" in partitions(engine)


def test_behind_an_idle_snapshot_what_is_due_is_dropped(engine: Engine) -> None:
    """A FINALIZE would wait for it for ever."""
    table = _made(engine, DROPPING)
    leave_pending(engine, DUE)
    with holding(engine, *SNAPSHOT):
        result = upkeep(engine, table, NOW, lock=PATIENCE).run()

    assert result.ok, str(result)
    assert f"public.{DUE}" not in relations(engine)


def test_behind_an_idle_snapshot_a_finalize_is_deferred(engine: Engine) -> None:
    """Within its budget; the other steps are done, and the next run ends it."""
    table = _made(engine, KEEPING)
    leave_pending(engine, DUE)
    with holding(engine, *SNAPSHOT):
        result = upkeep(engine, table, NOW, lock=PATIENCE).run()

        assert "deferred" == outcomes(result)[0]
        assert is_pending(engine, DUE)
        assert "events_p20310401" in partitions(engine)
    assert upkeep(engine, table, NOW).run().ok
    assert is_pending(engine, DUE) is None


def test_a_referenced_table_is_finalized(engine: Engine) -> None:
    """Its partitions can't be dropped while they are attached."""
    table = _made(engine, DROPPING)
    sql(engine, "ALTER TABLE events ADD PRIMARY KEY (id, created_at)")
    sql(engine, "CREATE TABLE notes (id bigint, at timestamptz, FOREIGN KEY (id, at) REFERENCES events)")
    leave_pending(engine, DUE)
    result = upkeep(engine, table, NOW).run()

    assert result.ok, str(result)
    assert is_pending(engine, DUE) is None


# -- others'


FINALIZE = 'ALTER TABLE "public"."events" DETACH PARTITION "public"."{}" FINALIZE'


def _wrong(engine: Engine, table: Table) -> list[Finding]:
    return [each for each in upkeep(engine, table, NOW).check() if each.code.startswith("detach-")]


@pytest.mark.parametrize("partition", [CURRENT, DUE])
def test_of_somebody_else(partition: str, engine: Engine) -> None:
    """Left alone, also when it is due, and never ok: run after run says which statement ends it, as check does."""
    table = _made(engine, DROPPING)
    leave_pending(engine, partition, ours=False)
    upkeep(engine, table, NOW).run()
    result = upkeep(engine, table, NOW).run()
    (found,) = _wrong(engine, table)

    assert not result.ok
    assert not result.steps
    assert is_pending(engine, partition)
    assert FINALIZE.format(partition) in found.remedy
    assert "a dump would restore it attached" in found.message
    assert found in result.findings
    assert found in upkeep(engine, table, NOW).plan().findings


def test_of_somebody_else_is_repaired(engine: Engine) -> None:
    """Today's rows are there again, and inserts go on."""
    table = _made(engine, DROPPING)
    leave_pending(engine, CURRENT, ours=False)
    with pytest.raises(DBAPIError, match="no partition of relation"):
        sql(engine, "INSERT INTO events VALUES (3, '2031-03-06Z')")
    result = upkeep(engine, table, NOW).run(repair=True)
    sql(engine, "INSERT INTO events VALUES (3, '2031-03-06Z')")

    assert result.ok, str(result)
    assert is_pending(engine, CURRENT) is False
    assert [(2,), (3,)] == sql(engine, "SELECT id FROM events WHERE created_at >= '2031-03-01Z' ORDER BY 1")
    assert [] == _wrong(engine, table)
    assert not upkeep(engine, table, NOW).run()


def test_of_somebody_else_that_is_due_is_only_ended(engine: Engine) -> None:
    """It is his table now, with its rows, and no run touches it again."""
    table = _made(engine, DROPPING)
    leave_pending(engine, DUE, ours=False)
    result = upkeep(engine, table, NOW).run(repair=True)
    again = upkeep(engine, table, NOW).run()

    assert result.ok, str(result)
    assert again.ok, str(again)
    assert is_pending(engine, DUE) is None
    assert [(1,)] == sql(engine, f"SELECT id FROM {DUE}")


def test_of_somebody_else_with_a_default_of_later(engine: Engine) -> None:
    """It takes no rows of the range meanwhile, so none have to be moved."""
    table = _made(engine, MONTHLY.with_(default=True))
    leave_pending(engine, CURRENT, ours=False)
    sql(engine, "CREATE TABLE events_default PARTITION OF events DEFAULT")
    with pytest.raises(DBAPIError, match='"events_default" violates partition constraint'):
        sql(engine, "INSERT INTO events VALUES (3, '2031-03-06Z')")
    result = upkeep(engine, table, NOW).run(repair=True)

    assert result.ok, str(result)
    assert is_pending(engine, CURRENT) is False


def test_of_somebody_else_with_partitions_of_its_own(engine: Engine) -> None:
    """With identity columns, a foreign key and one that refers to it: whole again, and it can be detached later."""
    spec = MONTHLY.with_(subpartition=PartitionByHash("id", modulus=2))
    keys = (
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("created_at", DateTime(timezone=True), primary_key=True),
    )
    table = new_table(spec, *keys)
    sql(engine, "CREATE TABLE people (id bigint PRIMARY KEY)")
    sql(
        engine,
        "CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY, created_at timestamptz NOT NULL, "
        "person bigint REFERENCES people, PRIMARY KEY (id, created_at)) PARTITION BY RANGE (created_at)",
    )
    upkeep(engine, table, NOW).run()
    sql(engine, "INSERT INTO people VALUES (1)")
    sql(engine, "INSERT INTO events (created_at, person) VALUES ('2031-03-05Z', 1)")
    sql(engine, "CREATE TABLE notes (id bigint, at timestamptz, FOREIGN KEY (id, at) REFERENCES events)")
    leave_pending(engine, CURRENT, ours=False)
    result = upkeep(engine, table, NOW).run(repair=True)

    assert result.ok, str(result)
    sql(engine, "INSERT INTO events (created_at, person) VALUES ('2031-03-05Z', 1)")
    assert [(2,)] == sql(engine, "SELECT count(*) FROM events")
    sql(engine, f"ALTER TABLE events DETACH PARTITION {CURRENT}")


@pytest.mark.parametrize("statement", ["FINALIZE", "ATTACH PARTITION", "COMMIT"])
def test_killed_while_it_repairs(statement: str, engine: Engine) -> None:
    """One transaction ends the detach and attaches the partition, so there is nothing in between."""
    table = _made(engine, DROPPING)
    upkeep(engine, table, NOW).run()
    leave_pending(engine, CURRENT, ours=False)
    url = engine.url.render_as_string(hide_password=False)
    child = process(url, at(NOW), statement, target=repairing)
    child.join(60)
    left = is_pending(engine, CURRENT)
    result = upkeep(engine, table, NOW).run(repair=True)

    assert -signal.SIGKILL == child.exitcode
    assert left is True
    assert result.ok, str(result)
    assert is_pending(engine, CURRENT) is False


@pytest.mark.parametrize("hidden", [False, True])
def test_one_that_still_runs_is_left_alone(hidden: bool, engine: Engine) -> None:
    """It holds no lock on the table and waits for an old transaction; also where the text of others is hidden."""
    table = _made(engine, MONTHLY)
    upkeep(engine, table, NOW).run()
    with role(engine) as name:
        for each in ("events", *partitions(engine)):
            sql(engine, f"ALTER TABLE {each} OWNER TO {name}")
        with detaching(engine, CURRENT) as pid:
            looking = as_role(engine, name) if hidden else engine
            result = upkeep(looking, table, NOW, lock=PATIENCE).run(repair=True)
            (found,) = _wrong(looking, table)
            if hidden:
                looking.dispose()

            assert not result.ok
            assert not result.steps
            assert ("detach-running", Severity.ERROR) == (found.code, found.severity)
            assert f"pid {pid} " in found.message
            assert is_pending(engine, CURRENT)
        assert is_pending(engine, CURRENT) is None


def test_one_that_runs_since_the_plan_is_left_alone(engine: Engine) -> None:
    """What the plan saw cut off is looked at again under the locks."""
    table = _made(engine, MONTHLY)
    with detaching(engine, CURRENT) as pid, engine.begin() as connection:
        pin(connection, 1.0)
        name = QualifiedName("public", CURRENT)
        finalize = FinalizeDetach(QualifiedName("public", str(table.name)), name)

        with pytest.raises(LockNotAcquired, match=f"{CURRENT} still runs; nothing was changed. Held by: pid {pid}"):
            require_ended(connection, (finalize,))


@pytest.mark.parametrize("change", ["ADD COLUMN DEFAULT", "ADD CHECK"])
def test_of_somebody_else_and_the_parent_was_changed(change: str, engine: Engine, server_major: int) -> None:
    """It can't be attached as it is: the message has the statements; before 18 they make it a partition again."""
    table = _made(engine, MONTHLY)
    leave_pending(engine, CURRENT, ours=False)
    sql(engine, CHANGES[change])
    result = upkeep(engine, table, NOW).run(repair=True)
    (failed,) = (each for each in result.steps if each.failed)

    assert is_pending(engine, CURRENT)
    for statement in _statements(failed.error):
        sql(engine, statement.replace(":", r"\:"))
    assert (None if server_major >= 18 else False) is is_pending(engine, CURRENT)


def test_check_names_the_command_for_ours(engine: Engine) -> None:
    """The next run ends it."""
    table = _made(engine, KEEPING)
    leave_pending(engine, DUE)
    (found,) = (each for each in upkeep(engine, table, NOW).check() if each.code == "detach-pending")

    assert "sa-partman run" in found.remedy


# -- PostgreSQL 18: the parent was changed meanwhile

CHANGES = {
    "ADD COLUMN": "ALTER TABLE events ADD COLUMN extra integer",
    "ADD COLUMN DEFAULT": "ALTER TABLE events ADD COLUMN extra integer NOT NULL DEFAULT 5",
    "ADD STORED": "ALTER TABLE events ADD COLUMN extra bigint GENERATED ALWAYS AS (id + 1) STORED",
    "ALTER TYPE": "ALTER TABLE events ALTER COLUMN id TYPE numeric",
    "RENAME": "ALTER TABLE events RENAME COLUMN note TO remark",
    "ADD CHECK": "ALTER TABLE events ADD CONSTRAINT positive CHECK (id > 0)",
    "SET NOT NULL": "ALTER TABLE events ALTER COLUMN note SET NOT NULL",
    "TWO": "ALTER TABLE events ADD COLUMN extra integer, ADD CONSTRAINT extra_positive CHECK (extra > 0)",
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_parent_was_changed_meanwhile(change: str, engine: Engine, server_major: int) -> None:
    """From 18 on FINALIZE fails then: check and the failed step give the statements, and these heal it."""
    table = _made(engine, KEEPING)
    sql(engine, "UPDATE events SET note = 'x'")
    leave_pending(engine, DUE)
    sql(engine, CHANGES[change])
    if server_major < 18:
        assert upkeep(engine, table, NOW).run().ok
        assert "detach-blocked" not in codes(upkeep(engine, table, NOW).check())
        return
    (found,) = (each for each in upkeep(engine, table, NOW).check() if each.code == "detach-blocked")
    result = upkeep(engine, table, NOW).run()
    (failed,) = (each for each in result.steps if each.failed)

    assert is_pending(engine, DUE)
    assert found.message in failed.error
    for statement in _statements(found.message):
        sql(engine, statement.replace(":", r"\:"))
    assert is_pending(engine, DUE) is None
    assert "detach-blocked" not in codes(upkeep(engine, table, NOW).check())
    assert upkeep(engine, table, NOW).run().ok


def test_what_does_not_matter(engine: Engine, server_major: int) -> None:
    """An index, a default, a dropped column: FINALIZE goes on, and nothing is said."""
    table = _made(engine, KEEPING)
    leave_pending(engine, DUE)
    sql(engine, "ALTER TABLE events DROP COLUMN note, ALTER COLUMN id SET DEFAULT 5")
    sql(engine, "CREATE INDEX ON events (id)")

    assert "detach-blocked" not in codes(upkeep(engine, table, NOW).check())
    assert upkeep(engine, table, NOW).run().ok
    assert is_pending(engine, DUE) is None


def _statements(message: str) -> list[str]:
    """Those of the message, in order, without the way out at its end."""
    listed = message[message.index("ALTER TABLE") :].partition(". Or, when")[0]
    return listed.split("; ")


# -- tables that were detached


def test_a_detached_table_of_ours_is_kept(engine: Engine) -> None:
    """With its rows, run after run, where nothing says what is to become of it; and check counts it."""
    table = _made(engine, KEEPING)
    upkeep(engine, table, NOW).run()
    result = upkeep(engine, table, "2040-01-01").run()

    assert result.ok, str(result)
    assert [(1,)] == sql(engine, f"SELECT id FROM {DUE}")
    assert "detached" in codes(upkeep(engine, table, "2040-01-01").check())
