"""The runway: how far the partitions go, in intervals, in time and in keys, and whether that is enough."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sa_partman import PartitionByHash, PartitionByList, PartitionByRange, Retention, UUIDv7
from sa_partman.bounds.bound import DEFAULT, INFINITY, MAXVALUE, RangeBound
from sa_partman.bounds.interval import Duration
from sa_partman.checks.coverage import Asked, Runway, runways_of, shortest
from sa_partman.finding import Finding, Severity
from sa_partman.key import Family
from tests.support.builders import Catalog, at, context, declare, numbers, span
from tests.unit.checks.test_checks import check

NOW = context("2026-01-15")
MONTHLY = PartitionByRange("created_at", interval="1 month", premake=1)


def converged(spec: PartitionByRange | PartitionByList = MONTHLY, **columns: str) -> Catalog:
    catalog = Catalog(declare(spec, **columns))
    catalog.converge(NOW)
    return catalog


def runway(catalog: Catalog, here: object = NOW) -> Runway:
    found = shortest(runways_of(catalog.declared, catalog.found(), here))  # type: ignore[arg-type]
    assert found is not None
    return found


def short(catalog: Catalog, wanted: str) -> list[Finding]:
    findings = check(catalog.declared, catalog.found(), NOW, asked=Asked.of(wanted))
    return [each for each in findings if each.code == "short-runway"]


def test_in_intervals_and_days() -> None:
    """From now to the end of February: 45 days, of which one whole interval is behind the current one."""
    found = runway(converged())

    assert (1, timedelta(days=45), 45 * 86_400.0) == (found.ahead, found.left, found.seconds)
    assert "1 whole interval and 45.0 days from now, up to 2026-03-01" == str(found)


def test_it_ends_at_a_gap() -> None:
    """Whatever order they were made in, and however many come behind it."""
    catalog = Catalog(declare(MONTHLY))
    catalog.add("april", span("2026-04-01", "2026-05-01"))
    catalog.add("february", span("2026-02-01", "2026-03-01"))
    catalog.add("january", span("2026-01-01", "2026-02-01"))

    assert "2026-03-01T00:00:00+00:00" == runway(catalog).horizon


def test_nothing_for_now() -> None:
    """Partitions of the past and of the future do not help."""
    catalog = Catalog(declare(MONTHLY))
    catalog.add("december", span("2025-12-01", "2026-01-01"))
    catalog.add("february", span("2026-02-01", "2026-03-01"))
    found = runway(catalog)

    assert (None, -1, timedelta(0)) == (found.horizon, found.ahead, found.left)
    assert "0 intervals: there is no partition for now" == str(found)


@pytest.mark.parametrize("end", [MAXVALUE, INFINITY])
def test_no_end_is_no_runway(end: object) -> None:
    catalog = Catalog(declare(MONTHLY))
    catalog.add("all", RangeBound((at("2026-01-01"),), (end,)))  # type: ignore[arg-type]

    assert [] == list(runways_of(catalog.declared, catalog.found(), NOW))


def test_a_detach_that_is_pending_ends_it() -> None:
    """Its rows are refused already."""
    catalog = converged()
    catalog.relations[catalog.declared.name.sibling("events_p20260201")].pending = True

    assert "2026-02-01T00:00:00+00:00" == runway(catalog).horizon


def test_numbers_in_keys() -> None:
    """Nobody knows how fast they grow, so nothing is said of time."""
    spec = PartitionByRange("id", interval=100, premake=2)
    catalog = Catalog(declare(spec))
    here = context("2026-01-15", highest={1: 250})
    catalog.converge(here)
    found = runway(catalog, here)

    assert (2, 300, None) == (found.ahead, found.left, found.seconds)
    assert "2 whole intervals, 300 keys from the current interval's beginning, up to 500" == str(found)
    assert [] == [each.code for each in check(catalog.declared, catalog.found(), here, asked=Asked.of("99 years"))]


@pytest.mark.parametrize(
    ("interval", "timezone", "ahead"),
    [
        ("1 day", "UTC", 59),
        ("1 day", "Europe/Berlin", 59),
        ("1 week", "UTC", 8),
        ("6 hours", "UTC", 237),
        ("1 month", "UTC", 2),
        ("1 year", "UTC", 1),
    ],
)
def test_intervals_of_every_width(interval: str, timezone: str, ahead: int) -> None:
    """From noon of 15 January to the midnight that begins 16 March; one that is cut there counts."""
    declared = declare(PartitionByRange("created_at", interval=interval, timezone=timezone))
    catalog, here = Catalog(declared), context("2026-01-15 12:30")
    end = "2026-03-16" if timezone == "UTC" else "2026-03-15 23:00"
    catalog.add("all", span("2025-01-01", end if interval != "1 year" else "2027-03-16"))

    assert ahead == runway(catalog, here).ahead


@pytest.mark.parametrize(("upper", "ahead"), [(201, 0), (300, 0), (301, 1), (400, 1), (10**9, 10_000)])
def test_intervals_of_numbers(upper: int, ahead: int) -> None:
    """Beyond the current one, [200, 300); there is an end to the counting."""
    catalog = Catalog(declare(PartitionByRange("id", interval=100)))
    catalog.add("all", numbers(0, upper))

    assert ahead == runway(catalog, context("2026-01-15", highest={1: 250})).ahead


def test_each_tenant_has_its_own() -> None:
    """What counts is the one that ends first."""
    spec = PartitionByRange("tenant", "created_at", interval="1 month", premake=1, tenants=["a", "b"])
    catalog = converged(spec, tenant="text")
    catalog.add("more", span("2026-03-01", "2026-09-01", "a"))
    found = {each.tenant: each.horizon for each in runways_of(catalog.declared, catalog.found(), NOW)}

    assert {"a": "2026-09-01T00:00:00+00:00", "b": "2026-03-01T00:00:00+00:00"} == found
    assert "b" == runway(catalog).tenant


def test_below_a_list() -> None:
    """Each branch has its own."""
    spec = PartitionByList("region", values=["de", "fr"], subpartition=MONTHLY)
    catalog = converged(spec, region="text")

    assert ["public.events_de", "public.events_fr"] == sorted(
        str(each.parent) for each in runways_of(catalog.declared, catalog.found(), NOW)
    )


def test_weeks_inside_of_months_are_bounded_by_them() -> None:
    """They end where their month does, and that is no short runway."""
    spec = MONTHLY.with_(subpartition=PartitionByRange("created_at", interval="1 week"))
    catalog = converged(spec)

    assert ["public.events"] == [str(each.parent) for each in runways_of(catalog.declared, catalog.found(), NOW)]


def test_hashes_have_none() -> None:
    spec = PartitionByHash("id", modulus=4)
    catalog = Catalog(declare(spec))
    catalog.converge(NOW)

    assert [] == list(runways_of(catalog.declared, catalog.found(), NOW))


def test_bounds_that_others_wrote_of_one_instant_follow_each_other() -> None:
    """The last bits of a UUID say nothing of time."""
    catalog = Catalog(declare(PartitionByRange("ref", interval="1 month", premake=1), ref="uuid"))
    january, february, march = (UUIDv7().encode(at(f"2026-0{month}-01"), Family.UUID) for month in (1, 2, 3))
    plain = february.__class__(int=february.int & ~((1 << 80) - 1))
    catalog.add("january", RangeBound((january,), (plain,)))
    catalog.add("february", RangeBound((february,), (march,)))

    assert "2026-03-01" == runway(catalog).reached.date().isoformat()


@pytest.mark.parametrize(
    ("wanted", "is_short"), [("45 days", False), ("46 days", True), ("7d", False), ("2 months", True)]
)
def test_a_runway_that_is_asked_for(wanted: str, is_short: bool) -> None:
    """To the day, by the calendar."""
    assert is_short is bool(short(converged(), wanted))


def test_a_short_runway_is_an_error_with_the_very_premake() -> None:
    """Two intervals are 59 days on the last of January, so it takes three."""
    catalog = converged()
    (finding,) = short(catalog, "60 days")

    assert Severity.ERROR is finding.severity
    assert (
        "public.events is ready for 1 whole interval and 45.0 days from now, up to 2026-03-01; "
        "at least 60 days were asked for" == finding.message
    )
    assert "set premake=3 in the declaration, then run: sa-partman run" == finding.remedy
    generous = converged(MONTHLY.with_(premake=3))
    assert [] == short(generous, "60 days")


def test_a_short_runway_that_a_run_would_mend() -> None:
    """Where premake= is enough, and nobody ran."""
    catalog = Catalog(declare(MONTHLY.with_(premake=6)))
    catalog.add("january", span("2026-01-01", "2026-02-01"))
    (finding,) = short(catalog, "60 days")

    assert "run: sa-partman run" == finding.remedy


def test_premake_is_enough_on_every_day_of_the_interval() -> None:
    """What the remedy asks for is never short, whichever day it is checked on."""
    needed = runway(converged()).premake_for(Duration.parse("60 days"))
    declared = declare(MONTHLY.with_(premake=needed))
    for day in range(1, 29):
        catalog, here = Catalog(declared), context(f"2026-01-{day:02}")
        catalog.converge(here)
        assert not runway(catalog, here).shorter_than(Duration.parse("60 days")), day


def test_a_horizon_below_premake_says_how_far_it_is() -> None:
    """In intervals and in days."""
    catalog = Catalog(declare(MONTHLY.with_(premake=3)))
    catalog.add("january", span("2026-01-01", "2026-02-01"))
    (finding,) = check(catalog.declared, catalog.found())

    assert ("horizon", Severity.WARNING) == (finding.code, finding.severity)
    assert "(ready: 0 whole intervals and 17.0 days from now, up to 2026-02-01)" in finding.message


def test_a_branch_that_is_not_ready_far_ahead_does_not_fail_yet() -> None:
    """Below a list, too, a partition of the future is a warning and one of now an error."""
    spec = PartitionByList("region", values=["de"], subpartition=MONTHLY)
    catalog = converged(spec, region="text")
    later = context("2026-02-10")
    findings = check(catalog.declared, catalog.found(), later)
    much_later = check(catalog.declared, catalog.found(), context("2026-03-10"))

    assert [("horizon", Severity.WARNING)] == [(each.code, each.severity) for each in findings]
    assert {"no-current", "horizon"} == {each.code for each in much_later}


def test_a_default_partition_ends_nothing() -> None:
    """Rows that fall into it are not where they belong."""
    catalog = converged(MONTHLY.with_(default=True))

    assert DEFAULT in [each.bound for each in catalog.found().partitions]
    assert 1 == runway(catalog).ahead


def test_retention_has_no_say() -> None:
    assert 1 == runway(converged(MONTHLY.with_(retention=Retention("1 month")))).ahead


def test_numbers_without_a_partition() -> None:
    catalog = Catalog(declare(PartitionByRange("id", interval=100, premake=0)))
    catalog.add("later", numbers(500, 600))

    assert -1 == runway(catalog).ahead
