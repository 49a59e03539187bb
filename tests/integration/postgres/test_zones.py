"""Bounds are PostgreSQL's own: ``AT TIME ZONE`` says the same as the grid, day by day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine

from sa_partman import PartitionByRange
from sa_partman.bounds.interval import Interval, ZonedGrid, cells_from, to_instant
from tests.support.builders import at
from tests.support.database import new_table, partitions, sql, upkeep
from tests.support.strategies import ODD_ZONES

TABLE = """
CREATE TABLE public.events (
    id bigint NOT NULL, created_at timestamptz NOT NULL, tenant text NOT NULL DEFAULT 't1', region text,
    ref uuid NOT NULL DEFAULT gen_random_uuid()
) PARTITION BY RANGE ({key})
"""
FIRST, LAST = datetime(2010, 1, 1), datetime(2030, 1, 1)


@pytest.mark.parametrize("zone", [*ODD_ZONES, "Europe/Paris"])
def test_daily_bounds_from_2010_to_2030(engine: Engine, zone: str) -> None:
    """Each local midnight, those that come twice or never too."""
    found = sql(
        engine,
        "SELECT day, day AT TIME ZONE :zone FROM generate_series(CAST(:first AS timestamp), :last, '1 day') AS day",
        zone=zone,
        first=FIRST,
        last=LAST,
    )
    midnights = {row[0]: row[1].astimezone(UTC) for row in found}
    start = to_instant(FIRST, ZoneInfo(zone))
    cells = cells_from(ZonedGrid(Interval.parse("1 day"), ZoneInfo(zone)), start)
    lowers = [cell.lower for cell in takewhile(lambda cell: cell.lower <= to_instant(LAST, ZoneInfo(zone)), cells)]

    assert midnights == {day: to_instant(day, ZoneInfo(zone)) for day in midnights}
    assert sorted(set(midnights.values())) == lowers


@pytest.mark.parametrize(
    ("zone", "now"),
    [
        ("America/Havana", "2024-11-02 12:00"),
        ("Atlantic/Azores", "2024-10-26 12:00"),
        ("America/Sao_Paulo", "2018-11-03 12:00"),
        ("Asia/Beirut", "2024-03-30 12:00"),
        ("Africa/Cairo", "2024-04-25 12:00"),
        ("Pacific/Apia", "2011-12-29 12:00"),
        ("Australia/Lord_Howe", "2024-10-05 12:00"),
    ],
)
def test_partitions_around_a_turned_clock(engine: Engine, zone: str, now: str) -> None:
    """The server takes them all, they meet, and rows of every half hour find their place."""
    spec = PartitionByRange("created_at", interval="1 day", premake=3, timezone=zone)
    table = new_table(spec)
    sql(engine, TABLE.format(key="created_at"))
    result = upkeep(engine, table, now).run()
    with engine.begin() as connection:
        moments = [at(now) + step * timedelta(minutes=30) for step in range(48 * 3 - 24)]
        connection.execute(table.insert(), [{"id": 1, "created_at": moment} for moment in moments])

    assert result.ok, str(result)
    assert 4 == len(partitions(engine))
    assert not upkeep(engine, table, now).plan()


@pytest.mark.parametrize(
    "setting",
    [
        "TimeZone = 'Asia/Kolkata'",
        "TimeZone = 'Pacific/Apia'",
        "TimeZone = 'Europe/Berlin'",
        "DateStyle = 'SQL, DMY'",
        "DateStyle = 'German'",
        "DateStyle = 'Postgres, MDY'",
        "IntervalStyle = 'iso_8601'",
        "IntervalStyle = 'sql_standard'",
        "extra_float_digits = 0",
        "bytea_output = 'escape'",
        "standard_conforming_strings = off",
        "search_path = ''",
        "row_security = on",
        "quote_all_identifiers = on",
    ],
)
def test_the_plan_does_not_depend_on_the_session(engine: Engine, setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ALTER DATABASE and the container's TZ say: the same plan, the same bounds, nothing left to do."""
    spec = PartitionByRange(
        "created_at", interval="1 day", premake=2, timezone="Europe/Paris", start="2025-03-28", default=True
    )
    table = new_table(spec, schema="public")
    sql(engine, TABLE.format(key="created_at"))
    now = "2025-03-30 12:00"
    wanted = upkeep(engine, table, now).plan()
    sql(engine, f"ALTER DATABASE {engine.url.database} SET {setting}")
    engine.dispose()
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("PGTZ", "Asia/Tokyo")

    assert wanted == upkeep(engine, table, now).plan()
    result = upkeep(engine, table, now).run()
    assert result.ok, str(result)
    assert (
        "FOR VALUES FROM ('2025-03-29 23:00:00+00') TO ('2025-03-30 22:00:00+00')"
        == partitions(engine, "public.events")["events_p20250330"]
    )
    assert not upkeep(engine, table, now).plan()
