"""Detaches that were cut off: ours are ended first, others' are reported, and what can't be ended is explained."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, Table

from sa_partman import LockPolicy, PartitionByRange, Retention
from tests.support.database import codes, holding, new_table, outcomes, partitions, relations, sql, upkeep
from tests.support.residues import SNAPSHOT, is_pending, leave_pending

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


def test_of_somebody_else(engine: Engine) -> None:
    """Left alone, also when it is due, and reported with the statement that ends it."""
    table = _made(engine, DROPPING)
    leave_pending(engine, DUE, ours=False)
    result = upkeep(engine, table, NOW).run()
    (found,) = (each for each in upkeep(engine, table, NOW).check() if each.code == "detach-pending")

    assert result.ok, str(result)
    assert is_pending(engine, DUE)
    assert f'ALTER TABLE "public"."events" DETACH PARTITION "public"."{DUE}" FINALIZE' == found.remedy
    assert "a dump would restore it attached" in found.message


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
