"""Who may maintain, and who stands in the way: refused or deferred, clearly, and nothing half done."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from sqlalchemy import Engine, MetaData, create_engine, text
from sqlalchemy.exc import OperationalError

from sa_partman import LockPolicy, PartitionByHash, PartitionByRange, Retention
from sa_partman.engine.exclusion import only_maintainer
from sa_partman.errors import MaintainerBusy, PartmanError, ReadOnlyServer, ServerUnavailable
from sa_partman.maintenance import executing
from sa_partman.maintenance.planning import looked
from sa_partman.maintenance.results import Outcome
from sa_partman.postgres.view import View
from tests.support.database import (
    HASTY,
    another,
    as_role,
    codes,
    holding,
    made,
    new_table,
    outcomes,
    partitions,
    put,
    relations,
    role,
    scalar,
    sql,
    unreadable,
    upkeep,
)

MONTHLY = PartitionByRange("created_at", interval="1 month", premake=1)
LATER = "2031-01-15"


# -- who may


def test_a_read_only_session(engine: Engine) -> None:
    """As on a standby: looking works, changing is refused before any lock is taken."""
    table = new_table(MONTHLY)
    table.create(engine)
    sql(engine, f"ALTER DATABASE {engine.url.database} SET default_transaction_read_only = on")
    engine.dispose()
    maintainer = upkeep(engine, table, LATER)

    assert maintainer.plan()
    assert maintainer.check()
    assert maintainer.status()
    for act in (maintainer.run, maintainer.provision, maintainer.prune):
        with pytest.raises(ReadOnlyServer, match="nothing was changed"):
            act()
    with pytest.raises(ReadOnlyServer):
        maintainer.drop_branch("events", "x")


def test_a_role_that_does_not_own_the_table(engine: Engine) -> None:
    """One finding that names the owner and what helps, which is never a superuser's rights; nothing was tried."""
    table = new_table(MONTHLY)
    table.create(engine)
    owner = scalar(engine, "SELECT current_user")
    with role(engine, "GRANT CREATE ON SCHEMA public TO {role}", "GRANT SELECT ON events TO {role}") as name:
        other = as_role(engine, name)
        result = upkeep(other, table, LATER).run()
        found = upkeep(other, table, LATER).check()
        other.dispose()

    assert not result.steps
    assert not result.ok
    assert ["missing-privilege"] == codes(result.findings)
    assert f"the superuser {owner}" in result.findings[0].message
    assert "GRANT" not in result.findings[0].remedy
    assert 'ALTER TABLE "public"."events" OWNER TO' in result.findings[0].remedy
    assert "missing-privilege" in codes(found)
    assert "public.events_p20310101" not in relations(engine)


def test_a_role_without_any_privilege(engine: Engine) -> None:
    """Reading rows is forbidden too: the plan and the check still answer."""
    metadata = MetaData()
    new_table(MONTHLY.with_(default=True), metadata=metadata).create(engine)
    new_table(PartitionByRange("id", interval=10), metadata=metadata, name="numbers").create(engine)
    with role(engine) as name:
        other = as_role(engine, name)
        result = upkeep(other, metadata, LATER).run()
        found = upkeep(other, metadata, LATER).check()
        other.dispose()

    assert not result.ok
    assert {"missing-privilege"} == set(codes(result.findings))
    assert "missing-privilege" in codes(found)


def test_a_role_that_may_not_create_in_the_schema(engine: Engine) -> None:
    """It owns the table and lacks CREATE."""
    table = new_table(MONTHLY)
    table.create(engine)
    statements = ("REVOKE CREATE ON SCHEMA public FROM PUBLIC", "ALTER TABLE events OWNER TO {role}")
    with role(engine, *statements) as name:
        sql(engine, "REVOKE CREATE ON SCHEMA public FROM " + name)
        other = as_role(engine, name)
        result = upkeep(other, table, LATER).run()
        other.dispose()

        assert ["missing-privilege"] == codes(result.findings)
        assert "GRANT CREATE ON SCHEMA public" in result.findings[0].remedy


def test_nobody_answers() -> None:
    """One clear error, without the password."""
    engine = create_engine("postgresql+psycopg://me:hidden@127.0.0.1:1/none?connect_timeout=1")

    with pytest.raises(ServerUnavailable, match="no connection to") as caught:
        upkeep(engine, new_table(MONTHLY)).plan()
    assert "hidden" not in str(caught.value)
    assert "nothing was changed" in str(caught.value)


def test_no_such_database(engine: Engine) -> None:
    """The same."""
    other = create_engine(engine.url.set(database="there_is_none"))

    with pytest.raises(ServerUnavailable, match="there_is_none"):
        upkeep(other, new_table(MONTHLY)).run()


def test_a_search_path_attack(engine: Engine) -> None:
    """Functions and operators that somebody put before the system's own are never called."""
    table = new_table(PartitionByRange("id", interval=10, premake=1))
    table.create(engine)
    sql(
        engine,
        f"""
        CREATE FUNCTION public.trap(text, text) RETURNS boolean LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
        CREATE OPERATOR public.= (FUNCTION = public.trap, LEFTARG = text, RIGHTARG = text);
        CREATE FUNCTION public.max(bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 1';
        ALTER DATABASE {engine.url.database} SET search_path = public, pg_catalog
        """,
    )
    engine.dispose()
    sql(engine, "INSERT INTO events (id, created_at, tenant) VALUES (15, now(), 'x')")
    result = upkeep(engine, table).run()

    assert result.ok, str(result)
    assert upkeep(engine, table).status()


# -- two at once


def test_two_maintainers_at_once(engine: Engine) -> None:
    """The second one gives up at once; looking is free."""
    table = new_table(MONTHLY)
    table.create(engine)
    with another(engine) as other, only_maintainer(other):
        for act in (upkeep(engine, table, LATER).run, upkeep(engine, table, LATER).prune):
            with pytest.raises(MaintainerBusy, match="another maintainer"):
                act()
        assert upkeep(engine, table, LATER).plan()

    assert upkeep(engine, table, LATER).run().ok


def test_eight_maintainers_at_once(engine: Engine) -> None:
    """Every partition is made exactly once, and nobody sees an error but the busy one."""
    table = new_table(MONTHLY)
    table.create(engine)
    done: list[str] = []
    errors: list[BaseException] = []

    def maintain() -> None:
        with another(engine) as own:
            for _ in range(40):
                try:
                    result = upkeep(own, table, LATER).run()
                    done.extend(made(result))
                    if not result.ok:
                        errors.append(AssertionError(str(result)))
                    return
                except MaintainerBusy:
                    time.sleep(0.05)
                except BaseException as error:
                    errors.append(error)
                    return

    threads = [threading.Thread(target=maintain) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == errors
    assert len(done) == len(set(done))
    assert "events_p20310201" in done
    assert not upkeep(engine, table, LATER).plan()


def test_somebody_made_it_meanwhile(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between plan and step: superseded, and no error."""
    table = new_table(MONTHLY)
    sql(engine, "CREATE TABLE events (id bigint, created_at timestamptz) PARTITION BY RANGE (created_at)")

    def meanwhile(*arguments: Any) -> View:
        view = looked(*arguments)
        sql(
            engine,
            "CREATE TABLE IF NOT EXISTS theirs PARTITION OF events "
            "FOR VALUES FROM ('2031-01-01+00') TO ('2031-02-01+00')",
        )
        return view

    monkeypatch.setattr(executing, "looked", meanwhile)

    result = upkeep(engine, table, LATER).run()

    assert ["superseded", "done"] == outcomes(result)
    assert result.ok
    assert ["theirs", "events_p20310201"] == list(partitions(engine))


def test_a_pool_of_one(engine: Engine) -> None:
    """The maintainer needs no second connection of the pool while it works."""
    table = new_table(MONTHLY.with_(retention=Retention("1 month", then="detach", concurrently=True), default=False))
    table.create(engine)
    with another(engine, pool_size=1, max_overflow=0, pool_timeout=2) as small:
        assert upkeep(small, table, "2029-01-15").run().ok
        assert upkeep(small, table, LATER).run().ok
        assert upkeep(small, table, LATER).check() is not None


def test_no_settings_are_left_in_the_pool(engine: Engine) -> None:
    """A connection that a maintainer used is as it was."""
    table = new_table(MONTHLY.with_(retention=Retention("1 month")))
    table.create(engine)
    names = ("TimeZone", "search_path", "lock_timeout", "row_security", "DateStyle")
    with another(engine, pool_size=1, max_overflow=0) as small:
        before = [scalar(small, f"SHOW {name}") for name in names]
        upkeep(small, table, LATER).run()

        assert before == [scalar(small, f"SHOW {name}") for name in names]


# -- locks


def test_a_blocker_holds_the_table(engine: Engine) -> None:
    """Deferred within the budget, naming the process; the next run does it."""
    table = new_table(MONTHLY)
    sql(engine, "CREATE TABLE events (id bigint, created_at timestamptz) PARTITION BY RANGE (created_at)")
    with holding(engine, "LOCK TABLE events IN SHARE MODE") as pid:
        began = time.monotonic()
        result = upkeep(engine, table, LATER, lock=HASTY).run()
        took = time.monotonic() - began

    assert {"deferred"} == set(outcomes(result))
    assert not result.ok
    assert f"pid {pid}" in result.steps[0].error
    assert "nothing was changed" in result.steps[0].error
    assert took < 2 * HASTY.budget + 2
    assert upkeep(engine, table, LATER, lock=HASTY).run().ok
    assert ["events_p20310101", "events_p20310201"] == list(partitions(engine))


def test_readers_and_writers_are_no_blockers(engine: Engine) -> None:
    """Provisioning goes on beside them."""
    table = new_table(MONTHLY)
    table.create(engine)
    held = ("SELECT * FROM events", "INSERT INTO events (id, created_at) VALUES (1, now())")
    with holding(engine, *held):
        assert upkeep(engine, table, LATER, lock=HASTY).run().ok


def test_a_reader_defers_a_drop_and_nothing_else(engine: Engine) -> None:
    """The creations are there, the drop waits for the next run, nobody waits behind us for long."""
    table = new_table(MONTHLY.with_(retention=Retention("1 month", then="drop")))
    table.create(engine)
    old = next(iter(partitions(engine)))
    with holding(engine, f"SELECT * FROM {old}"):
        result = upkeep(engine, table, LATER, lock=HASTY).run()

    assert "events_p20310201" in made(result)
    assert old in partitions(engine)
    assert old in [step.step.partition.name for step in result.steps if step.outcome is Outcome.DEFERRED]
    assert upkeep(engine, table, LATER, lock=HASTY).run().ok
    assert old not in partitions(engine)


def test_a_locked_table_does_not_stop_the_others(engine: Engine) -> None:
    """ACCESS EXCLUSIVE on a branch of one: it is reported, the other is maintained."""
    metadata = MetaData()
    new_table(MONTHLY, metadata=metadata, name="a_locked").create(engine)
    new_table(MONTHLY, metadata=metadata).create(engine)
    with unreadable(engine, "a_locked"):
        result = upkeep(engine, metadata, LATER, lock=HASTY).run()

    assert ["locked"] == codes(result.findings)
    assert "events_p20310201" in made(result)


def test_a_locked_partition_does_not_stop_its_table(engine: Engine) -> None:
    table = new_table(MONTHLY)
    table.create(engine)
    held = f"LOCK TABLE {next(iter(partitions(engine)))} IN ACCESS EXCLUSIVE MODE"
    with holding(engine, held), another(engine) as fresh:
        result = upkeep(fresh, table, LATER, lock=HASTY).run()

    assert result.ok
    assert "events_p20310201" in made(result)


def test_waiting_is_bounded_for_the_application(engine: Engine) -> None:
    """While we try and a transaction holds the table, an insert never waits longer than one attempt."""
    table = new_table(MONTHLY)
    table.create(engine)
    put(engine, table, "2026-12-15") if "events_p20261201" in partitions(engine) else None
    waits: list[float] = []
    stop = threading.Event()

    def read() -> None:
        with another(engine) as own:
            while not stop.is_set():
                began = time.monotonic()
                sql(own, "SELECT count(*) FROM events")
                waits.append(time.monotonic() - began)

    thread = threading.Thread(target=read)
    with holding(engine, "SELECT * FROM events"):
        thread.start()
        policy = LockPolicy(lock_timeout=0.1, budget=2, stall=0.4, pause=0.05, longest_pause=0.1)
        table = new_table(MONTHLY.with_(retention=Retention("1 month", then="drop")))
        upkeep(engine, table, LATER, lock=policy).run()
        stop.set()
        thread.join()

    assert max(waits) < 1.0


# -- healing


def test_a_detach_of_ours_that_was_cut_off(engine: Engine) -> None:
    """Pending and marked: the next run ends it, and nothing is planned after that."""
    table = new_table(MONTHLY.with_(retention=Retention("1 month", then="detach", concurrently=True)))
    table.create(engine)
    old = next(iter(partitions(engine)))
    _leave_pending(engine, old, mark=True)
    result = upkeep(engine, table, LATER, lock=HASTY).run()

    assert result.ok, str(result)
    assert old not in partitions(engine)
    assert f"public.{old}" in relations(engine)
    assert not upkeep(engine, table, LATER).plan()


def test_a_detach_of_somebody_elses_that_was_cut_off(engine: Engine) -> None:
    """Reported with the statement that ends it, and left alone."""
    table = new_table(MONTHLY)
    table.create(engine)
    old = next(iter(partitions(engine)))
    _leave_pending(engine, old, mark=False)
    upkeep(engine, table).run()
    findings = [each for each in upkeep(engine, table).check() if each.code == "detach-pending"]

    assert 1 == len(findings)
    assert "FINALIZE" in findings[0].remedy
    assert old in partitions(engine)


def _leave_pending(engine: Engine, partition: str, *, mark: bool) -> None:
    """A concurrent detach that waits for a reader and is cancelled."""
    if mark:
        sql(engine, f'COMMENT ON TABLE {partition} IS \'sa_partman\\: detached from "public"."events"\'')
    with (
        holding(engine, "SELECT * FROM events"),
        another(engine, isolation_level="AUTOCOMMIT") as other,
        other.connect() as connection,
    ):
        connection.execute(text("SET statement_timeout = '500ms'"))
        with pytest.raises(OperationalError, match="timeout"):
            connection.execute(text(f"ALTER TABLE events DETACH PARTITION {partition} CONCURRENTLY"))
    assert scalar(engine, f"SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = '{partition}'::regclass")


def test_every_error_is_ours() -> None:
    """One tree, so that one ``except`` is enough."""
    assert issubclass(MaintainerBusy, PartmanError)
    assert issubclass(ReadOnlyServer, PartmanError)


def test_hash_below_a_range_under_a_blocker(engine: Engine) -> None:
    """A step is all or nothing: no half-made branch stays behind."""
    table = new_table(MONTHLY.with_(subpartition=PartitionByHash("id", modulus=4)))
    sql(engine, "CREATE TABLE events (id bigint, created_at timestamptz) PARTITION BY RANGE (created_at)")
    with holding(engine, "LOCK TABLE events IN SHARE MODE"):
        upkeep(engine, table, LATER, lock=HASTY).run()

    assert {"public.events"} == relations(engine)
