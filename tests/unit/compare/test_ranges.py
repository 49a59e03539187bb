"""Which ranges are missing: from the first one wanted to the horizon, less what is there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sa_partman import PartitionByList, PartitionByRange, Retention, UUIDv7
from sa_partman.bounds.bound import MAXVALUE, MINVALUE, KeyValue, RangeBound
from sa_partman.bounds.interval import IntegerGrid, UtcGrid, WallGrid, ZonedGrid
from sa_partman.compare.window import MOST, Lacking, current_cell, cutoff_of, lacking_in, line_of, lines_of
from sa_partman.spec.declared import RangeLevel
from tests.support.builders import Catalog, bounds, context, declare, found, numbers, partition, span

MONTHLY = PartitionByRange("created_at", interval="1 month", premake=2)


def level_of(spec: PartitionByRange, **columns: str) -> RangeLevel:
    level = declare(spec, **columns).level
    assert isinstance(level, RangeLevel)
    return level


def lacking(spec: PartitionByRange, now: str, *there: RangeBound, **changes: object) -> Lacking:
    declared = declare(spec)
    level = level_of(spec)
    table = found(declared, *(partition(f"p{index}", bound) for index, bound in enumerate(there)))
    here = context(now, **changes)
    (line,) = lines_of(level, table, here)
    return lacking_in(line, level, table, here)


def missing(spec: PartitionByRange, now: str, *there: RangeBound) -> list[RangeBound]:
    found = lacking(spec, now, *there)
    return [*found.ahead, *found.past]


def test_january_february_march() -> None:
    """premake=2 in the last second of January."""
    expected = [span("2026-01-01", "2026-02-01"), span("2026-02-01", "2026-03-01"), span("2026-03-01", "2026-04-01")]

    assert expected == missing(MONTHLY, "2026-01-31 23:59:59")


def test_premake_zero() -> None:
    """The current one only."""
    assert [span("2026-01-01", "2026-02-01")] == missing(MONTHLY.with_(premake=0), "2026-01-31")


def test_three_hours() -> None:
    """Hourly at 13:37: three different ones."""
    hourly = MONTHLY.with_(interval="1 hour")

    assert [13, 14, 15] == [bound.lower[0].hour for bound in missing(hourly, "2026-01-31 13:37")]  # type: ignore[union-attr]


def test_five_missed_periods() -> None:
    """The current one first, then ahead, then the gap backwards."""
    lowers = [bound.lower[0] for bound in missing(MONTHLY, "2026-01-15", span("2025-08-01", "2025-09-01"))]

    assert ["2026-01", "2026-02", "2026-03", "2025-12", "2025-11", "2025-10", "2025-09"] == [
        f"{lower:%Y-%m}" for lower in lowers
    ]


def test_a_gap_does_not_hide_what_lies_behind_it() -> None:
    """Everything that is there counts."""
    there = (span("2025-10-01", "2025-11-01"), span("2025-12-01", "2026-01-01"), span("2026-02-01", "2026-03-01"))

    assert [span("2026-01-01", "2026-02-01"), span("2026-03-01", "2026-04-01"), span("2025-11-01", "2025-12-01")] == (
        missing(MONTHLY, "2026-01-15", *there)
    )


def test_another_width_is_bridged() -> None:
    """Up to it, and from it on."""
    pieces = missing(MONTHLY.with_(premake=1), "2026-01-15", span("2026-01-20", "2026-02-10"))

    assert [span("2026-01-01", "2026-01-20"), span("2026-02-10", "2026-03-01")] == sorted(
        pieces,
        key=lambda bound: bound.lower[0],  # type: ignore[arg-type,return-value]
    )


def test_a_partition_without_a_beginning() -> None:
    """Its end is where provisioning begins."""
    there = RangeBound((MINVALUE,), (span("2025-11-15", "2026-01-01").lower[0],))

    assert span("2025-11-15", "2025-12-01") in missing(MONTHLY, "2026-01-15", there)


def test_a_partition_without_an_end() -> None:
    """Nothing is missing ahead."""
    assert [] == missing(MONTHLY, "2026-01-15", RangeBound((MINVALUE,), (MAXVALUE,)))


def test_start() -> None:
    """When it is earlier than now; one in the future changes nothing."""
    assert 3 + 12 == len(missing(MONTHLY.with_(start="2025-01-15"), "2026-01-15"))
    assert 3 == len(missing(MONTHLY.with_(start="2027-01-01"), "2026-01-15"))


def test_retention_ends_the_past() -> None:
    """Only what would be kept is made, the cell that is half kept too."""
    kept = MONTHLY.with_(start="2020-01-01", premake=0, retention=Retention("45 days"))
    lowers = [f"{bound.lower[0]:%Y-%m}" for bound in missing(kept, "2026-01-15")]

    assert ["2026-01", "2025-12"] == lowers


def test_a_piece_that_would_be_expired_is_not_made() -> None:
    """Else it would be made and pruned in turns for ever."""
    kept = MONTHLY.with_(premake=0, retention=Retention("10 days"))

    assert [] == missing(kept, "2026-01-31", span("2026-01-20", "2026-02-01"))


def test_a_long_past_is_made_whole() -> None:
    """Nothing is left to a later run, of which nobody knows that it is needed."""
    daily = PartitionByRange("created_at", interval="1 day", premake=0, start="2010-01-01")
    pieces = missing(daily, "2026-01-15")

    assert 5_859 == len(pieces)
    assert [span("2026-01-15", "2026-01-16"), span("2026-01-14", "2026-01-15")] == pieces[:2]
    assert span("2010-01-01", "2010-01-02") == pieces[-1]


FAR = 9_000_000_000_000_000
IDS = PartitionByRange("id", interval=1_000, premake=1)


@pytest.fixture
def cells(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every position of which a cell was asked for."""
    asked: list[object] = []
    for grid in (IntegerGrid, UtcGrid, WallGrid, ZonedGrid):
        cell = grid.cell

        def counted(self: Any, position: Any, cell: Any = cell) -> Any:
            asked.append(position)
            return cell(self, position)

        monkeypatch.setattr(grid, "cell", counted)
    return asked


@pytest.mark.parametrize("far", [MAXVALUE, FAR + 1_000])
def test_what_is_covered_is_passed_over_in_one_step(far: KeyValue, cells: list[object]) -> None:
    """A row very far away, in a partition that somebody made by hand: as many looks as a plan without it has."""
    found = lacking(IDS, "2026-01-15", numbers(0, 1_000), numbers(1_000, far), highest={1: FAR})

    assert ([numbers(FAR + 1_000, FAR + 2_000)] if far is not MAXVALUE else []) == [*found.ahead, *found.past]
    assert () == found.too_wide
    assert 20 > len(cells)


def test_a_range_that_takes_too_many_partitions(cells: list[object]) -> None:
    """It is named, whole; what is around it is made all the same."""
    there = (numbers(0, 1_000), numbers(3_000, 4_000), numbers(FAR, FAR + 1_000))
    found = lacking(IDS, "2026-01-15", *there, highest={1: FAR})

    assert (numbers(FAR + 1_000, FAR + 2_000),) == found.ahead
    assert (numbers(2_000, 3_000), numbers(1_000, 2_000)) == found.past
    assert [(numbers(4_000, FAR), (FAR - 4_000) // 1_000)] == [(each.bound, each.cells) for each in found.too_wide]
    assert 20 > len(cells)


@pytest.mark.parametrize(("timezone", "number"), [("UTC", 17_751_132), ("Europe/Paris", 17_751_133)])
def test_hours_from_the_first_year_on(timezone: str, number: int, cells: list[object]) -> None:
    """Python's calendar begins there, and nobody wants seventeen million partitions."""
    hourly = PartitionByRange("created_at", interval="1 hour", premake=1, start="0001-01-01", timezone=timezone)
    found = lacking(hourly, "2026-01-15 12:30")

    assert (span("2026-01-15 12:00", "2026-01-15 13:00"), span("2026-01-15 13:00", "2026-01-15 14:00")) == found.ahead
    assert () == found.past
    assert [number] == [each.cells for each in found.too_wide]
    assert 20 > len(cells)


@pytest.mark.parametrize("interval", ["1 hour", "5 days", "1 week", "5 months", "3 years", "9000 years"])
@pytest.mark.parametrize("timezone", ["UTC", "Europe/Paris", "America/New_York"])
def test_the_first_and_the_last_year(interval: str, timezone: str) -> None:
    """Cells end where Python's calendar does; the last one is open above."""
    yearly = PartitionByRange("created_at", interval=interval, premake=2, timezone=timezone)
    first, last = lacking(yearly, "0001-01-01"), lacking(yearly, "9999-12-31 23:30")

    assert (datetime.min.replace(tzinfo=UTC),) == first.ahead[0].lower
    assert (MAXVALUE,) == last.ahead[-1].upper
    assert () == (*first.past, *last.past)


@pytest.mark.parametrize("keep", ["30000 years", "4000000 days", "99999999999 hours", 10**8])
@pytest.mark.parametrize("timezone", ["UTC", "Europe/Paris"])
def test_a_retention_of_more_years_than_there_were(keep: str | int, timezone: str) -> None:
    """Nothing is expired; and nothing is counted back an interval at a time."""
    hourly = PartitionByRange("created_at", interval="1 hour", timezone=timezone, retention=Retention(keep))
    assert isinstance(hourly.retention, Retention)

    assert datetime.min.replace(tzinfo=UTC) == cutoff_of(
        hourly.retention, level_of(hourly), found(declare(hourly)), context("2026-01-15")
    )


def test_a_range_inside_a_wide_partition() -> None:
    """A lower level by the same column fills its parent, if that can be done; else what is near."""
    below = PartitionByRange("created_at", interval="1 hour", premake=1)
    catalog = Catalog(declare(MONTHLY.with_(subpartition=below)))
    catalog.add("wide", span("2026-01-15", "9999-12-31"), "RANGE (created_at)")
    plan = catalog.plan(context("2026-01-15 12:30"))
    inside = [each.bound for each in plan.steps if "wide" in each.partition.name]

    assert [12, 13, *range(11, -1, -1)] == [
        bound.lower[0].hour
        for bound in inside
        if isinstance(bound, RangeBound) and isinstance(bound.lower[0], datetime)
    ]
    assert ["range-too-wide"] == [each.code for each in plan.findings]


def test_nearest_first_as_long_as_the_number_lasts() -> None:
    """What is wanted most is made; of what is left it is said."""
    daily = PartitionByRange("created_at", interval="1 day", premake=0, start="1995-01-01")
    found = lacking(daily, "2026-01-15", span("2000-01-01", "2000-01-02"))

    assert 9_510 == len(found.past) < MOST
    assert [span("1995-01-01", "2000-01-01")] == [each.bound for each in found.too_wide]


def test_slivers_between_two_ways_of_writing_one_instant() -> None:
    """Bounds of other tools end in zeros: the sliver becomes a part of the partition that follows."""
    spec = PartitionByRange("ref", interval="1 month", premake=1)
    catalog = Catalog(declare(spec, ref="uuid"))
    codec = UUIDv7()
    lower, upper = (codec.encode(moment) for moment in (context("2026-01-01").now, context("2026-02-01").now))
    zeros = [type(each)(int=each.int >> 80 << 80) for each in (lower, upper)]
    catalog.add("theirs", RangeBound((zeros[0],), (zeros[1],)))
    plan = catalog.converge(context("2026-01-15"))

    assert [RangeBound((zeros[1],), (codec.encode(context("2026-03-01").now),))] == bounds(plan)
    assert () == catalog.plan(context("2026-01-15")).steps


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        ("1 month", "2026-02-28 12:00"),
        ("1 day", "2026-03-30 12:00"),
        ("12 hours", "2026-03-31 00:00"),
        ("1 month 1 day 1 hour", "2026-02-27 11:00"),
        (0, "2026-03-01"),
        (1, "2026-02-01"),
        (14, "2025-01-01"),
    ],
)
def test_the_cutoff(keep: str | int, expected: str) -> None:
    """Calendar arithmetic for lengths, whole intervals for counts; monthly, at 2026-03-31 12:00."""
    spec = MONTHLY.with_(retention=Retention(keep))
    assert isinstance(spec.retention, Retention)

    assert context(expected).now == cutoff_of(
        spec.retention, level_of(spec), found(declare(spec)), context("2026-03-31 12:00")
    )


def test_the_cutoff_by_the_clock_of_a_zone() -> None:
    """A day back over the night in which the clock is turned is 23 hours."""
    spec = MONTHLY.with_(timezone="Europe/Paris", interval="1 day", retention=Retention("1 day"))
    assert isinstance(spec.retention, Retention)
    now = context("2025-03-30 12:00+02:00")

    assert timedelta(hours=23) == now.now - cutoff_of(spec.retention, level_of(spec), found(declare(spec)), now)


def test_the_current_cell_of_integers() -> None:
    """The one of the highest value; of the start, while the table is empty."""
    spec = PartitionByRange("id", interval=100, start=250)
    table = found(declare(spec))

    assert 1200 == current_cell(level_of(spec), table, context("2026-01-15", highest={1: 1234})).lower
    assert 200 == current_cell(level_of(spec), table, context("2026-01-15")).lower


def test_the_end_of_a_type() -> None:
    """Beyond the largest smallint both ends are open, and nothing more is wanted."""
    spec = PartitionByRange("n", interval=10_000, premake=4)
    catalog = Catalog(declare(spec, n="smallint"))
    plan = catalog.converge(context("2026-01-15", highest={1: 25_000}))

    assert [numbers(20_000, 30_000), numbers(30_000, MAXVALUE)] == bounds(plan)
    assert () == catalog.plan(context("2026-01-15", highest={1: 25_000})).steps


def test_a_line_per_tenant() -> None:
    """Each has the same grid; a partition that spans two belongs to none."""
    spec = PartitionByRange("tenant", "created_at", interval="1 month", premake=0, tenants=["t1", "t1_2"])
    catalog = Catalog(declare(spec, tenant="text"))
    plan = catalog.converge(context("2026-01-15"))

    assert [span("2026-01-01", "2026-02-01", "t1"), span("2026-01-01", "2026-02-01", "t1_2")] == bounds(plan)
    assert line_of(level_of(spec, tenant="text"), RangeBound(("a", MINVALUE), ("b", MINVALUE))) is None


def test_a_partition_over_all_tenants_is_respected() -> None:
    """Somebody's catch-all for old rows of every tenant."""
    spec = PartitionByRange("tenant", "created_at", interval="1 month", premake=0, tenants=["t1", "u"])
    catalog = Catalog(declare(spec, tenant="text"))
    catalog.add("all_t", RangeBound(("t", MINVALUE), ("u", MINVALUE)))

    assert [span("2026-01-01", "2026-02-01", "u")] == bounds(catalog.converge(context("2026-01-15")))


def test_days_inside_a_month() -> None:
    """A lower level by the same column fills its parent, from end to end and no further."""
    below = PartitionByRange("created_at", interval="1 week", premake=9)
    catalog = Catalog(declare(MONTHLY.with_(premake=0, subpartition=below)))
    catalog.converge(context("2026-01-15"))
    inside = [each.bound for each in catalog.found().partitions[0].partitions]

    assert span("2026-01-01", "2026-01-05") in inside
    assert span("2026-01-26", "2026-02-01") in inside
    assert 5 == len(inside)


def test_weeks_below_a_list() -> None:
    """A lower level by another column has the window that it declares."""
    spec = PartitionByList("region", values=["de"], subpartition=MONTHLY.with_(premake=1))
    catalog = Catalog(declare(spec, region="text"))
    catalog.converge(context("2026-01-15"))
    later = catalog.converge(context("2026-02-15"))

    assert ["events_de_p20260301"] == [step.partition.name for step in later.steps]
