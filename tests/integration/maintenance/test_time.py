"""Maintaining tables by time: provisioning ahead, catching up, bridging, pruning."""

from __future__ import annotations

import pytest
from sqlalchemy import BigInteger, Column, Engine, Identity, MetaData, Text

from sa_partman import KeyExpression, PartitionByHash, PartitionByRange, Retention
from sa_partman.errors import DeclarationError
from sa_partman.maintenance.results import Outcome
from sa_partman.marks import is_marked
from tests.support.builders import at
from tests.support.database import (
    codes,
    ddl_log,
    holding,
    leaves,
    made,
    new_table,
    outcomes,
    partitions,
    put,
    relations,
    scalar,
    sql,
    upkeep,
)

MONTHLY = PartitionByRange("created_at", interval="1 month", premake=2)
NOW = "2026-01-31 23:59:59"
PLAIN = "CREATE TABLE events (id bigint NOT NULL, created_at timestamptz NOT NULL, tenant text NOT NULL DEFAULT 't1', "
PLAIN += "region text, ref uuid NOT NULL DEFAULT gen_random_uuid()) PARTITION BY "


def empty(engine: Engine, by: str = "RANGE (created_at)") -> None:
    """The table without partitions, as another tool would have made it."""
    sql(engine, PLAIN + by)


def test_january_february_march(engine: Engine) -> None:
    """premake=2 in the last second of January."""
    empty(engine)
    result = upkeep(engine, new_table(MONTHLY), NOW).run()

    assert ["events_p20260101", "events_p20260201", "events_p20260301"] == made(result)
    assert result.ok


def test_a_second_run_does_nothing(engine: Engine) -> None:
    """The server saw no DDL, and every lock that a writer can hold was no obstacle."""
    spec = PartitionByRange(
        "created_at", interval="1 month", retention=Retention("2 months"), subpartition=PartitionByHash("id", modulus=2)
    )
    table = new_table(spec)
    empty(engine)
    upkeep(engine, table, NOW).run()
    every = ", ".join(["events", *partitions(engine), *leaves(engine)])
    with holding(engine, f"LOCK TABLE {every} IN EXCLUSIVE MODE"), ddl_log(engine) as seen:
        result = upkeep(engine, table, NOW).run()

    assert not result
    assert result.ok
    assert [] == seen


def test_the_ddl_log_sees_a_first_run(engine: Engine) -> None:
    """Otherwise the test above would prove nothing."""
    empty(engine)
    with ddl_log(engine) as seen:
        upkeep(engine, new_table(MONTHLY), NOW).run()

    assert 3 == seen.count("CREATE TABLE")


def test_nothing_is_left_behind_in_the_catalog(engine: Engine) -> None:
    """No helper table, no constraint of ours."""
    empty(engine)
    upkeep(engine, new_table(MONTHLY), NOW).run()

    assert {"public.events", *(f"public.events_p2026{month}01" for month in ("01", "02", "03"))} == relations(engine)
    assert 0 == scalar(engine, "SELECT count(*) FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0")


def test_catching_up_after_five_missed_periods(engine: Engine) -> None:
    """Every month in between is made, the current one first; rows of any of them can be written."""
    empty(engine)
    table = new_table(MONTHLY)
    upkeep(engine, table, "2025-06-15").run()
    result = upkeep(engine, table, "2026-01-15").run()

    assert ["events_p20260101", "events_p20260201", "events_p20260301"] == made(result)[:3]
    assert {"events_p20250901", "events_p20251001", "events_p20251101", "events_p20251201"} == set(made(result)[3:])
    put(engine, table, *(f"2025-{month:02}-28" for month in range(6, 13)))


def test_only_what_retention_keeps_is_caught_up(engine: Engine) -> None:
    """What would be expired at once is not made."""
    empty(engine)
    spec = MONTHLY.with_(retention=Retention("2 months", then="drop"))
    upkeep(engine, new_table(spec), "2025-01-15").run()
    upkeep(engine, new_table(spec), "2026-01-15").run()

    assert "events_p20251101" == min(partitions(engine))


def test_a_partition_made_by_hand(engine: Engine) -> None:
    """Another width, another name, in the middle: respected, and bridged on both sides."""
    empty(engine)
    sql(
        engine,
        "CREATE TABLE by_hand PARTITION OF events FOR VALUES FROM ('2026-02-10 00:00+00') TO ('2026-03-05 00:00+00')",
    )
    table = new_table(MONTHLY)
    upkeep(engine, table, NOW).run()
    found = partitions(engine)

    assert {
        "by_hand": "FOR VALUES FROM ('2026-02-10 00:00:00+00') TO ('2026-03-05 00:00:00+00')",
        "events_p20260101": "FOR VALUES FROM ('2026-01-01 00:00:00+00') TO ('2026-02-01 00:00:00+00')",
        "events_p20260201": "FOR VALUES FROM ('2026-02-01 00:00:00+00') TO ('2026-02-10 00:00:00+00')",
        "events_p20260305_000000": "FOR VALUES FROM ('2026-03-05 00:00:00+00') TO ('2026-04-01 00:00:00+00')",
    } == found
    assert not upkeep(engine, table, NOW).plan()
    put(engine, table, "2026-02-09 23:59:59.999999", "2026-02-10", "2026-03-04", "2026-03-05")


@pytest.mark.parametrize(
    "bound",
    [
        "FROM (MINVALUE) TO ('2026-01-10')",
        "FROM ('2026-02-10') TO (MAXVALUE)",
        "FROM ('-infinity') TO ('2026-01-10')",
        "FROM ('2026-02-10') TO ('infinity')",
        "FROM ('0044-03-15 BC') TO ('1999-01-01')",
        "FROM ('10000-01-01') TO ('20000-01-01')",
    ],
)
def test_partitions_with_odd_ends(engine: Engine, bound: str) -> None:
    """Open, infinite, before Christ: understood, respected, never pruned away, and nothing overlaps."""
    empty(engine)
    sql(engine, f"SET TimeZone = 'UTC'; CREATE TABLE odd PARTITION OF events FOR VALUES {bound}")
    table = new_table(MONTHLY.with_(retention=Retention("1 month", then="drop", foreign=True)))
    result = upkeep(engine, table, NOW).run()

    assert result.ok, str(result)
    assert ("1999" in bound) == ("odd" not in partitions(engine))
    assert not upkeep(engine, table, NOW).plan()
    assert upkeep(engine, table, NOW).status()[0].horizon is not None
    put(engine, table, NOW, "2026-02-15", "2026-03-15")


def test_bounds_are_not_read_off_names(engine: Engine) -> None:
    """A partition whose name lies about its age is judged by its bound."""
    empty(engine)
    sql(
        engine,
        "CREATE TABLE events_p19990101 PARTITION OF events FOR VALUES FROM ('2026-01-01+00') TO ('2026-02-01+00')",
    )
    sql(
        engine,
        "CREATE TABLE events_p20990101 PARTITION OF events FOR VALUES FROM ('1999-01-01+00') TO ('1999-02-01+00')",
    )
    table = new_table(MONTHLY.with_(retention=Retention("1 month", then="drop", foreign=True)))
    upkeep(engine, table, NOW).run()

    assert "events_p19990101" in partitions(engine)
    assert "events_p20990101" not in partitions(engine)


def test_retention_to_the_microsecond(engine: Engine) -> None:
    """keep 30 days: the day of 2026-05-15 goes at 2026-06-15 00:00, and not one microsecond earlier."""
    empty(engine)
    table = new_table(PartitionByRange("created_at", interval="1 day", retention=Retention("30 days", then="drop")))
    upkeep(engine, table, "2026-05-15 12:00").provision()
    upkeep(engine, table, "2026-06-14 23:59:59.999999").prune()
    before = "events_p20260515" in partitions(engine)
    upkeep(engine, table, "2026-06-15 00:00:00").prune()

    assert before
    assert "events_p20260515" not in partitions(engine)


def test_detached_tables_keep_their_rows_and_bear_our_mark(engine: Engine) -> None:
    """The user's own comment stays behind it; the table is never seen again, and its name not reused."""
    empty(engine)
    table = new_table(MONTHLY.with_(retention=Retention("1 month", then="detach")))
    upkeep(engine, table, "2025-10-15").run()
    put(engine, table, "2025-10-20")
    sql(engine, "COMMENT ON TABLE events_p20251001 IS E'sa_partman\\: created\\nit''s mine'")
    result = upkeep(engine, table, NOW).run()
    comment = scalar(engine, "SELECT obj_description('events_p20251001'::regclass)")

    assert "events_p20251001" in made(result)
    assert "events_p20251001" not in partitions(engine)
    assert 1 == scalar(engine, "SELECT count(*) FROM events_p20251001")
    assert is_marked(comment)
    assert comment.endswith("\nit's mine")
    assert not upkeep(engine, table, NOW).plan()
    assert ["detached"] == codes(upkeep(engine, table, NOW).check())
    assert ["detached"] == [str(each.state) for each in upkeep(engine, table, NOW).status()[0].partitions][-1:]


def test_a_detached_table_is_attached_again_when_its_range_is_wanted(engine: Engine) -> None:
    """Retention is raised: the rows come back, and the user's comment with them."""
    empty(engine)
    short = new_table(MONTHLY.with_(retention=Retention("1 month")))
    upkeep(engine, short, "2025-11-15").run()
    put(engine, short, "2025-12-20")
    sql(engine, "COMMENT ON TABLE events_p20251201 IS E'sa_partman\\: created\\nmine'")
    upkeep(engine, short, "2026-02-15").run()
    assert "events_p20251201" not in partitions(engine)
    longer = new_table(MONTHLY.with_(retention=Retention("1 year"), start="2025-12-01"))
    result = upkeep(engine, longer, "2026-02-15").run()

    assert result.ok, str(result)
    assert "events_p20251201" in partitions(engine)
    assert "sa_partman: created\nmine" == scalar(engine, "SELECT obj_description('events_p20251201'::regclass)")
    assert 1 == scalar(engine, "SELECT count(*) FROM events")
    assert not upkeep(engine, longer, "2026-02-15").plan()


def test_dropping_with_a_foreign_key_that_comes_in(engine: Engine) -> None:
    """The partition is detached first, because PostgreSQL would refuse; the foreign key survives."""
    sql(
        engine,
        """
        CREATE TABLE events (id bigint, created_at timestamptz, tenant text, region text, ref uuid,
            PRIMARY KEY (id, created_at)) PARTITION BY RANGE (created_at);
        CREATE TABLE visits (event bigint, at timestamptz, FOREIGN KEY (event, at) REFERENCES events)
        """,
    )
    table = new_table(MONTHLY.with_(retention=Retention("1 month", then="drop")))
    upkeep(engine, table, "2025-10-15").run()
    result = upkeep(engine, table, NOW).run()

    assert result.ok, str(result)
    assert "public.events_p20251001" not in relations(engine)
    assert 1 == scalar(
        engine, "SELECT count(*) FROM pg_constraint WHERE conrelid = 'visits'::regclass AND conparentid = 0"
    )


def test_a_drop_that_foreign_keys_forbid_costs_no_creation(engine: Engine) -> None:
    """A row refers to the expired partition: it stays, the new months are there, and the result says so."""
    test_dropping_with_a_foreign_key_that_comes_in(engine)
    table = new_table(MONTHLY.with_(retention=Retention("1 month", then="drop")))
    sql(engine, "INSERT INTO events VALUES (1, '2025-12-15'); INSERT INTO visits VALUES (1, '2025-12-15')")
    result = upkeep(engine, table, "2026-04-15").run()

    assert not result.ok
    failed = [step for step in result.steps if step.outcome is Outcome.FAILED]
    assert ["events_p20251201"] == [step.step.partition.name for step in failed]
    assert "rolled back" in failed[0].error
    assert {"events_p20260401", "events_p20260501", "events_p20260601"} <= set(partitions(engine))
    assert "events_p20251201" in partitions(engine)


def test_a_failing_table_does_not_stop_another(engine: Engine) -> None:
    """An event trigger that refuses one table's partitions: the other gets its own."""
    metadata = MetaData()
    new_table(MONTHLY, metadata=metadata, name="a_bad")
    new_table(MONTHLY, metadata=metadata, name="good")
    sql(engine, (PLAIN + "RANGE (created_at)").replace("events", "a_bad"))
    sql(engine, (PLAIN + "RANGE (created_at)").replace("events", "good"))
    sql(
        engine,
        """
        CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
            IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity LIKE 'public.a_bad\\_p%')
            THEN RAISE EXCEPTION 'not here'; END IF; END $$;
        CREATE EVENT TRIGGER refuse ON ddl_command_end EXECUTE FUNCTION refuse()
        """,
    )
    result = upkeep(engine, metadata, NOW).run()

    assert ["good_p20260101", "good_p20260201", "good_p20260301"] == made(result)
    assert {"failed", "done"} == set(outcomes(result))
    assert "a_bad_p20260101" in str(result)
    assert "not here" in str(result)
    assert not result.ok
    assert {} == partitions(engine, "a_bad")


def test_a_missing_table_does_not_stop_another(engine: Engine) -> None:
    """It is a finding; the run is not ok."""
    metadata = MetaData()
    new_table(MONTHLY, metadata=metadata, name="absent")
    new_table(MONTHLY, metadata=metadata)
    empty(engine)
    result = upkeep(engine, metadata, NOW).run()

    assert 3 == len(made(result))
    assert ["missing-table"] == codes(result.findings)
    assert not result.ok


def test_a_plain_table(engine: Engine) -> None:
    """It can't be maintained; the finding names the way."""
    sql(engine, "CREATE TABLE events (id bigint, created_at timestamptz)")
    result = upkeep(engine, new_table(MONTHLY), NOW).run()

    assert not result
    assert "not-partitioned" == result.findings[0].code
    assert "alembic revision --autogenerate" in result.findings[0].remedy


def test_a_table_partitioned_otherwise(engine: Engine) -> None:
    """Both keys are named, nothing is done."""
    empty(engine, "RANGE (id)")
    finding = upkeep(engine, new_table(MONTHLY), NOW).run().findings[0]

    assert "other-key" == finding.code
    assert "RANGE (id)" in finding.message
    assert "RANGE (created_at)" in finding.message


def test_rows_in_a_default_partition(engine: Engine) -> None:
    """They are counted, with what becomes of them; the next run moves each into its own partition, and loses none."""
    empty(engine)
    table = new_table(MONTHLY.with_(default=True))
    sql(engine, "CREATE TABLE events_default PARTITION OF events DEFAULT")
    put(engine, table, "2026-01-10", "2026-01-20", "2026-02-10", "1999-06-15")
    findings = [each for each in upkeep(engine, table, NOW).check() if each.code == "default-rows"]
    result = upkeep(engine, table, NOW).run()

    assert "4 rows" in findings[0].message
    assert "no run makes a partition for [1999-06-01, 1999-07-01) (1 rows)" in findings[1].message
    assert "the next run moves [2026-01-01, 2026-02-01) (2 rows)" in findings[0].message
    assert result.ok, str(result)
    assert [2, 1, 1] == [
        scalar(engine, f"SELECT count(*) FROM {name}")
        for name in ("events_p20260101", "events_p20260201", "events_default")
    ]


def test_a_default_partition_is_never_pruned(engine: Engine) -> None:
    """Whatever the age of its rows; nor is it made when nobody asked."""
    empty(engine)
    table = new_table(MONTHLY.with_(default=True, retention=Retention("1 month", then="drop")))
    upkeep(engine, table, NOW).run()
    put(engine, table, "1999-06-15")
    upkeep(engine, table, "2036-01-01").run()

    assert "DEFAULT" == partitions(engine)["events_default"]


def test_concurrent_detach(engine: Engine) -> None:
    """Outside of a transaction, with the mark set beforehand; nothing of it stays in the session."""
    empty(engine)
    table = new_table(MONTHLY.with_(retention=Retention("1 month", then="detach", concurrently=True)))
    upkeep(engine, table, "2025-10-15").run()
    before = scalar(engine, "SHOW lock_timeout")
    result = upkeep(engine, table, NOW).run()

    assert result.ok, str(result)
    assert "events_p20251001" not in partitions(engine)
    assert is_marked(scalar(engine, "SELECT obj_description('events_p20251001'::regclass)"))
    assert before == scalar(engine, "SHOW lock_timeout")
    assert not upkeep(engine, table, NOW).plan()


def test_retention_of_an_expression(engine: Engine) -> None:
    """The key is ``date_trunc``: provisioned and pruned as a column is."""
    spec = PartitionByRange(
        KeyExpression("date_trunc('day', created_at AT TIME ZONE 'UTC')", "timestamp"),
        interval="1 month",
        premake=1,
        retention=Retention("1 month", then="drop"),
    )
    table = new_table(spec)
    empty(engine, "RANGE (date_trunc('day', created_at AT TIME ZONE 'UTC'))")
    upkeep(engine, table, "2025-10-15").run()
    result = upkeep(engine, table, NOW).run()

    assert result.ok, str(result)
    assert ["events_p20251201", "events_p20260101", "events_p20260201"] == sorted(partitions(engine))
    put(engine, table, "2026-01-15")
    assert not upkeep(engine, table, NOW).plan()


def test_sub_partitions_of_each_month(engine: Engine) -> None:
    """Each new partition comes with all below it, in one step."""
    spec = MONTHLY.with_(subpartition=PartitionByHash("id", modulus=3))
    table = new_table(spec)
    empty(engine)
    result = upkeep(engine, table, NOW).run()

    assert 3 == len(result.steps)
    assert 9 == len(leaves(engine))
    assert not upkeep(engine, table, NOW).plan()


def test_a_branch_of_a_table_with_identity(engine: Engine) -> None:
    """It can be detached and attached again, and its leaves generate numbers."""
    spec = MONTHLY.with_(premake=0, retention=Retention("1 month"), subpartition=PartitionByHash("id", modulus=2))
    table = new_table(spec, Column("id", BigInteger, Identity(), nullable=False))
    table.metadata.create_all(engine)
    upkeep(engine, table, "2031-01-15").run()
    sql(engine, "INSERT INTO events (created_at) VALUES ('2031-01-15'), ('2031-01-16')")
    result = upkeep(engine, table, "2031-04-15").run()

    assert result.ok, str(result)
    assert "events_p20310101" not in partitions(engine)
    assert [1, 2] == [row[0] for row in sql(engine, "SELECT id FROM events_p20310101 ORDER BY id")]


def test_retention_at_a_lower_level(engine: Engine) -> None:
    """Days are dropped inside a month that stays."""
    spec = PartitionByRange(
        "created_at",
        interval="1 month",
        premake=0,
        subpartition=PartitionByRange("created_at", interval="1 day", retention=Retention("5 days", then="drop")),
    )
    table = new_table(spec)
    empty(engine)
    upkeep(engine, table, "2026-01-01").run()
    first = len(leaves(engine))
    upkeep(engine, table, "2026-01-20").run()

    assert 31 == first
    assert "events_p20260101_p20260115" == min(leaves(engine))
    assert not upkeep(engine, table, "2026-01-20").plan()


def test_a_column_of_another_name_and_an_odd_order(engine: Engine) -> None:
    """The partition's columns follow the database, not the model."""
    sql(
        engine,
        'CREATE TABLE events (region text, gone int, ref uuid, "created_at" timestamptz NOT NULL, id bigint, '
        "tenant text, full_text text GENERATED ALWAYS AS (region || tenant) STORED) PARTITION BY RANGE (created_at)",
    )
    sql(engine, "ALTER TABLE events DROP COLUMN gone")
    sql(engine, "CREATE TABLE events_default PARTITION OF events DEFAULT")
    table = new_table(MONTHLY.with_(default=True), Column("full_text", Text))
    sql(engine, "INSERT INTO events (id, created_at, region, tenant) VALUES (1, '2026-01-15', 'a', 'b')")
    result = upkeep(engine, table, NOW).run()

    assert result.ok, str(result)
    assert [("ab",)] == [tuple(row) for row in sql(engine, "SELECT full_text FROM events_p20260101")]


def test_unknown_tables(engine: Engine) -> None:
    """The message lists the declared ones."""
    with pytest.raises(DeclarationError, match="visits: not declared as partitioned; declared are: events"):
        upkeep(engine, new_table(MONTHLY)).plan(tables=["visits"])


def test_narrowing_to_a_table(engine: Engine) -> None:
    """Only it is looked at."""
    metadata = MetaData()
    new_table(MONTHLY, metadata=metadata, name="absent")
    new_table(MONTHLY, metadata=metadata)
    empty(engine)

    assert upkeep(engine, metadata, NOW).run(tables=["events"]).ok


def test_a_naive_clock(engine: Engine) -> None:
    """Which instant it means, nobody knows."""
    from datetime import datetime

    with pytest.raises(ValueError, match="no time zone"):
        upkeep(engine, new_table(MONTHLY), datetime(2026, 1, 1))


def test_the_clock_is_the_servers(engine: Engine) -> None:
    """Unless somebody says otherwise."""
    empty(engine)
    before = scalar(engine, "SELECT clock_timestamp()")
    plan = upkeep(engine, new_table(MONTHLY)).plan()

    assert before <= plan.now <= scalar(engine, "SELECT clock_timestamp()")
    assert at(NOW) == upkeep(engine, new_table(MONTHLY), NOW).plan().now


def test_the_plans_sql_is_what_runs(engine: Engine) -> None:
    """Its script, run by hand, leaves nothing to do."""
    spec = MONTHLY.with_(retention=Retention("1 month"), subpartition=PartitionByHash("id", modulus=2))
    table = new_table(spec)
    empty(engine)
    upkeep(engine, table, "2025-10-15").run()
    script = upkeep(engine, table, NOW).plan().sql()
    with engine.connect() as connection:
        connection.connection.dbapi_connection.autocommit = True  # type: ignore[union-attr]
        connection.connection.cursor().execute(script)

    assert not upkeep(engine, table, NOW).plan()
