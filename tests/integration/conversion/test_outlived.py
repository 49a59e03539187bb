"""Rows that are older than the retention when their table is converted: they stay, and the user is told until when."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, Date, DateTime, Engine, Text, Uuid, event

from sa_partman import Converter, Epoch, Maintainer, PartitionByList, PartitionByRange, Retention
from sa_partman.finding import Severity
from sa_partman.observe.text import plain
from tests.support.builders import at
from tests.support.carrying import declared, run
from tests.support.database import sql

NOW = at("2030-06-15")
RETENTION = Retention("720 days", then="drop")
MONTHLY = PartitionByRange("created_at", interval="1 month", retention=RETENTION)
ROWS = "timestamptz '2030-06-15 00:00+00' - i * interval '20 hours'"
"""1,500 of them, in 1,250 days: 636 are older than 720 days."""
SETUP = """
CREATE TABLE events (id bigint, created_at {type} NOT NULL, region text NOT NULL DEFAULT 'de');
INSERT INTO events SELECT i, {value} FROM generate_series(1, 1500) AS i;
ANALYZE events;
"""
STAY = "rows older than 720 days stay in public.events_history until 2032-06-20, when all of it expires at once"


def setup(type: str = "timestamptz", value: str = ROWS) -> str:
    return SETUP.format(type=type, value=value)


class Converted:
    """``events`` with its rows, planned and converted."""

    def __init__(self, engine: Engine, spec: Any, kind: Any = None, made: str = "") -> None:
        columns = (
            Column("id", BigInteger, nullable=False),
            Column("created_at", kind or DateTime(timezone=True), nullable=False),
            Column("region", Text, nullable=False),
        )
        metadata = declared(*columns, spec=spec)
        run(engine, made or setup())
        converter = Converter(engine, metadata, now=NOW)
        plan = converter.plan("events")
        self.notes = [each for each in plan.notes if each.startswith("rows older than")]
        converter.convert("events")
        self.maintainer = Maintainer(engine, metadata, now=NOW)

    @property
    def found(self) -> list[str]:
        """What a check says of such rows; it is no problem."""
        found = [each for each in self.maintainer.check() if each.code == "outlived"]
        assert all(each.severity is Severity.INFO for each in found)
        return [each.message for each in found]


def told(line: str) -> int:
    """How many rows the planner estimates."""
    return int(line.rpartition("the planner estimates ")[2].partition(" ")[0].replace(",", ""))


def test_plan_status_and_check_say_how_many_stay_and_until_when(engine: Engine) -> None:
    converted = Converted(engine, MONTHLY)

    (note,) = converted.notes
    (status,) = converted.maintainer.status()
    history, *ahead = (each.to_dict()["outlived"] for each in status.partitions)

    assert note.startswith(f"{STAY}; the planner estimates ")
    assert 600 < told(note) < 680
    assert [note] == converted.found
    assert note in plain([status])
    assert {"older_than": "720 days", "until": "2032-06-20T00:00:00+00:00", "rows": told(note)} == history
    assert {None} == set(ahead)


MILLIS = "extract(epoch FROM timestamptz '2030-06-15 00:00+00' - i * interval '20 hours') * 1000"
HEX = f"lpad(to_hex(CAST({MILLIS} AS bigint)), 12, '0')"
UUIDS = f"CAST({HEX} || '7000' || '8000' || lpad(to_hex(i), 12, '0') AS uuid)"


@pytest.mark.parametrize(
    ("spec", "kind", "made"),
    [
        (MONTHLY, Date, setup("date", f"CAST({ROWS} AS date)")),
        (MONTHLY, DateTime, setup("timestamp", f"({ROWS}) AT TIME ZONE 'UTC'")),
        (MONTHLY, Uuid, setup("uuid", UUIDS)),
        (MONTHLY.with_(codec=Epoch("ms")), BigInteger, setup("bigint", f"CAST({MILLIS} AS bigint)")),
    ],
    ids=["date", "timestamp", "uuid", "epoch"],
)
def test_whatever_the_key_is(engine: Engine, spec: Any, kind: Any, made: str) -> None:
    (note,) = Converted(engine, spec, kind, made).notes

    assert note.startswith(STAY)
    assert 600 < told(note) < 680


def test_numbers_have_to_grow(engine: Engine) -> None:
    """By twelve intervals, from the end of the history on."""
    converted = Converted(
        engine,
        PartitionByRange("id", interval=100, retention=Retention(12)),
        made=setup() + "ALTER TABLE events ALTER id SET NOT NULL",
    )

    (note,) = converted.notes
    assert note.startswith("rows older than 12 intervals stay in public.events_history until keys reach 2,800,")
    assert 290 < told(note) < 310
    assert [note] == converted.found


def test_a_history_below_a_list_never_expires(engine: Engine) -> None:
    """It is not divided by time as the label's next partitions would be."""
    spec = PartitionByList("region", values={"eu": ["de", "fr"]}, subpartition=MONTHLY)
    converted = Converted(engine, spec)

    (note,) = converted.notes
    assert "stay in public.events_history for good: it is not PARTITION BY RANGE (created_at); " in note
    assert 600 < told(note) < 680
    assert [note] == converted.found


def test_nothing_is_said_without_a_retention(engine: Engine) -> None:
    converted = Converted(engine, MONTHLY.with_(retention=None))

    assert ([], []) == (converted.notes, converted.found)


def test_a_young_history_is_worth_a_word_before_the_conversion_only(engine: Engine) -> None:
    """Whoever decides should know; later there is nothing to see yet."""
    converted = Converted(engine, MONTHLY.with_(retention=Retention("10 years")))
    (status,) = converted.maintainer.status()

    assert converted.notes == [
        "rows older than 10 years stay in public.events_history until 2040-07-01, when all of it expires at once; "
        "the planner estimates hardly any of them now"
    ]
    assert [] == converted.found
    assert "rows older" not in plain([status])


@contextmanager
def explained(engine: Engine) -> Iterator[list[str]]:
    """What the planner is asked."""
    seen: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("EXPLAIN"):
            seen.append(statement)

    event.listen(engine, "after_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "after_cursor_execute", note)


def test_a_table_in_intervals_asks_the_planner_nothing(engine: Engine) -> None:
    """So a status of many partitions costs what it did."""
    metadata = declared(spec=MONTHLY)
    metadata.create_all(engine)
    maintainer = Maintainer(engine, metadata, now=NOW)
    maintainer.run()

    with explained(engine) as seen:
        maintainer.status()
        maintainer.check()
    assert [] == seen


def test_a_locked_history_is_not_waited_for(engine: Engine) -> None:
    """How many rows is unknown then; until when they stay is not."""
    converted = Converted(engine, MONTHLY)
    converted.maintainer.status()  # its bounds are known from now on
    with engine.begin() as other:
        other.exec_driver_sql("LOCK TABLE ONLY events_history IN ACCESS EXCLUSIVE MODE")
        (status,) = converted.maintainer.status()

    assert STAY == status.lingering


def test_what_was_told_holds(engine: Engine) -> None:
    """Until that day a run leaves the history alone, and then it goes."""
    converted = Converted(engine, MONTHLY)
    metadata = converted.maintainer.metadata
    histories = []
    for now in (at("2032-06-19 23:59"), at("2032-06-20")):
        Maintainer(engine, metadata, now=now).run()
        histories.append(sql(engine, "SELECT to_regclass('events_history') IS NOT NULL")[0][0])

    assert [True, False] == histories
