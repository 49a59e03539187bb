"""Settings that an administrator gave the maintainer's role: nothing depends on them, and nothing is left half done."""

from __future__ import annotations

from contextlib import AbstractContextManager

import pytest
from sqlalchemy import Engine, create_engine

from sa_partman import LockPolicy, PartitionByRange, Retention
from sa_partman.errors import ReadOnlyServer
from tests.support.database import another, holding, new_table, scalar, sql, upkeep
from tests.support.database import partitions as partitions_of
from tests.support.faults import Estate, estate
from tests.support.invariant import fingerprint, partitions
from tests.support.keeper import keeper, require_known
from tests.support.killing import others, until

SHORT = LockPolicy(lock_timeout=0.1, budget=1.0, pause=0.05, longest_pause=0.1, stall=0.5)

TABLES = ("dropped", "slid", "spilled")

HARMLESS = (
    "statement_timeout = '100ms'",
    "lock_timeout = '1ms'",
    "transaction_timeout = '100ms'",
    "idle_in_transaction_session_timeout = '150ms'",
    "default_transaction_isolation = 'serializable'",
    "default_transaction_isolation = 'repeatable read'",
    "default_transaction_deferrable = on",
    "search_path = public, pg_catalog",
    "row_security = off",
    "default_table_access_method = 'heap'",
    "client_min_messages = 'error'",
    "check_function_bodies = off",
    "session_replication_role = 'replica'",
    "enable_partition_pruning = off",
)
STYLES = (
    ("TimeZone = 'Europe/Berlin'", "DateStyle = 'German'"),
    ("TimeZone = 'Asia/Kolkata'", "DateStyle = 'SQL, DMY'", "IntervalStyle = 'iso_8601'"),
    ("TimeZone = 'Pacific/Apia'", "DateStyle = 'Postgres, MDY'", "IntervalStyle = 'sql_standard'"),
    ("TimeZone = 'UTC'", "extra_float_digits = 0", "standard_conforming_strings = off", "bytea_output = 'escape'"),
)


def with_settings(found: Estate, *settings: str) -> AbstractContextManager[Engine]:
    """An engine of a role that owns everything and has *settings* by ALTER ROLE."""
    return keeper(found.engine, *settings)


@pytest.mark.parametrize("setting", HARMLESS)
def test_a_setting_by_alter_role_changes_nothing(database_url: str, setting: str, server_major: int) -> None:
    """A run does all that it does without."""
    require_known(setting, server_major)
    with estate(database_url, *TABLES) as found:
        found.pass_days()
        with with_settings(found, setting) as engine:
            result = found.maintainer(engine).run()

            assert result.ok, str(result)
            found.heal(setting)


@pytest.mark.parametrize("settings", STYLES, ids=lambda settings: settings[0])
def test_the_clock_of_the_server_however_it_is_shown(engine: Engine, settings: tuple[str, ...]) -> None:
    """A removal compares two clocks, and a check does."""
    table = new_table(PartitionByRange("created_at", interval="1 month", retention=Retention("1 month", then="drop")))
    table.create(engine)
    upkeep(engine, table, "2020-01-15").provision()
    for setting in settings:
        sql(engine, f"ALTER DATABASE {engine.url.database} SET {setting}")
    with another(engine) as other:
        result = upkeep(other, table).run()

        assert result.ok, str(result)
        assert [] == [name for name in partitions_of(engine) if "2020" in name]
        assert not [finding for finding in upkeep(other, table).check() if finding.is_problem]


@pytest.mark.parametrize("settings", STYLES, ids=lambda settings: settings[0])
def test_the_same_plan_however_values_are_shown(database_url: str, settings: tuple[str, ...]) -> None:
    with estate(database_url, *TABLES) as found:
        found.pass_days()
        with with_settings(found) as engine:
            wanted = found.maintainer(engine).plan()
        with with_settings(found, *settings) as engine:
            planned = found.maintainer(engine).plan()
            result = found.maintainer(engine).run()
            before = fingerprint(found.engine)
            again = found.maintainer(engine).run()

        assert wanted == planned
        assert result.ok, str(result)
        assert not again
        assert before == fingerprint(found.engine)
        found.heal(settings)


def test_statement_timeout_leaves_no_pending_detach(database_url: str) -> None:
    """It would strike between the two transactions of a concurrent detach, which waits for a reader."""
    with estate(database_url, *TABLES) as found:
        found.pass_days()
        with with_settings(found, "statement_timeout = '300ms'") as engine:
            with holding(found.engine, "SELECT count(*) FROM slid"):
                result = found.maintainer(engine, lock=LockPolicy(budget=2.0)).run()
                pending = [each.name for each in partitions(found.engine, "slid") if each.pending]
            done = [each for each in result.steps if not each.failed]

            assert done
            assert not any("statement timeout" in each.error for each in result.steps), str(result)
            assert len(pending) <= 1
            assert found.heal("statement_timeout").ok


def test_the_end_of_the_exclusion_ends_the_run(database_url: str) -> None:
    """An administrator's idle_in_transaction_session_timeout ends a connection that only waits: not ours."""
    with estate(database_url, *TABLES) as found:
        found.pass_days()
        with with_settings(found, "idle_in_transaction_session_timeout = '200ms'") as engine:
            with holding(found.engine, "LOCK TABLE dropped IN SHARE UPDATE EXCLUSIVE MODE"):
                result = found.maintainer(engine, lock=SHORT).run()
            outcomes = {str(each.outcome) for each in result.steps}

            assert {"done", "deferred"} >= outcomes, str(result)
            assert not [each for each in result.findings if each.code == "exclusion-lost"]
            found.heal("idle_in_transaction_session_timeout")


def test_read_only_by_alter_role(database_url: str) -> None:
    """Refused before any lock is taken; nothing was changed."""
    with estate(database_url, *TABLES) as found:
        found.pass_days()
        before = fingerprint(found.engine)
        with (
            with_settings(found, "default_transaction_read_only = on") as engine,
            pytest.raises(ReadOnlyServer, match="nothing was changed"),
        ):
            found.maintainer(engine).run()

        assert before == fingerprint(found.engine)
        assert until(lambda: not others(found.engine))
        found.heal("read only")


def test_nothing_is_left_in_the_pool(database_url: str) -> None:
    """After a run that was deferred, and after one that went through, a pooled connection is as it was."""
    with estate(database_url, *TABLES) as found:
        engine = create_engine(found.url, pool_size=2)
        # The isolation of a transaction is its own, and shown as if it were set for the session.
        shown = (
            "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings "
            "WHERE source = 'session' AND name <> 'transaction_isolation'"
        )
        before = scalar(engine, shown)
        found.pass_days()
        with holding(found.engine, "LOCK TABLE dropped IN SHARE UPDATE EXCLUSIVE MODE"):
            found.maintainer(engine, lock=SHORT).run()
        deferred = scalar(engine, shown)
        assert found.maintainer(engine).run().ok
        after = scalar(engine, shown)
        engine.dispose()

        assert before == deferred == after
        found.heal("the pool")
