"""Exchanges: what ahead was made with another interval, and what would take its place."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from sa_partman import PartitionByRange, UUIDv7
from sa_partman.bounds.bound import Bound, RangeBound, row_order
from sa_partman.bounds.interval import Interval
from sa_partman.compare.context import Context
from sa_partman.compare.covered import uncovered
from sa_partman.compare.exchange import exchanges
from sa_partman.plan.regrid import regrid_steps
from sa_partman.plan.steps import Step
from tests.support.builders import Catalog, bounds, context, declare, named, span
from tests.support.strategies import INSTANTS, WHOLE_DAYS, ZONES

MONTHLY = PartitionByRange("created_at", interval="1 month", premake=2)
DAILY = MONTHLY.with_(interval="1 day")
NOW = "2026-01-15 12:00"


def changed(before: PartitionByRange, after: PartitionByRange, now: str | Context = NOW) -> Catalog:
    """What *before* made, declared *after*."""
    here = context(now) if isinstance(now, str) else now
    catalog = Catalog(declare(before))
    catalog.converge(here)
    catalog.declared = declare(after)
    return catalog


def shown(catalog: Catalog, now: str = NOW) -> list[tuple[list[Bound], int]]:
    found = exchanges(catalog.declared, catalog.found(), context(now))
    return [([partition.bound for partition in each.old], len(each.new)) for each in found]


def test_nothing_where_the_interval_is_the_same() -> None:
    """Also when the number of partitions kept ready has become another one."""
    assert [] == shown(changed(MONTHLY, MONTHLY))
    assert [] == shown(changed(MONTHLY.with_(premake=6), MONTHLY))
    assert [] == shown(changed(MONTHLY, MONTHLY.with_(premake=6)))


def test_months_become_days() -> None:
    """Each month by itself; the one that holds now stays."""
    assert [([span("2026-02-01", "2026-03-01")], 28), ([span("2026-03-01", "2026-04-01")], 31)] == shown(
        changed(MONTHLY, DAILY)
    )


def test_days_become_months() -> None:
    """All that overlap one month go together."""
    catalog = changed(DAILY.with_(premake=20), MONTHLY)

    assert [(16, 1), (4, 1)] == [(len(old), new) for old, new in shown(catalog)]


def test_what_a_month_leaves_of_a_week_is_a_week_of_the_new_grid() -> None:
    """Once exchanged, nothing is exchanged again."""
    catalog = changed(MONTHLY, MONTHLY.with_(interval="1 week"))
    _regrid(catalog, context(NOW))

    assert [] == shown(catalog)


def test_a_partition_of_others_ahead_is_a_bound_like_any() -> None:
    """What lies around it is ours, and as it should be."""
    catalog = Catalog(declare(MONTHLY))
    catalog.add("theirs", span("2026-02-10", "2026-02-20"))
    theirs = next(iter(name for name in catalog.relations if name.name == "theirs"))
    catalog.relations[theirs].comment = None
    catalog.converge(context(NOW))

    assert [] == shown(catalog)


def test_too_many_give_no_exchange() -> None:
    assert [0, 0] == [new for _, new in shown(changed(MONTHLY, MONTHLY.with_(interval="1 minute")))]


def test_one_instant_written_in_two_ways() -> None:
    """Handed over from another tool, whose UUIDs end in zeros."""
    spec = PartitionByRange("ref", interval="1 month", premake=0)
    catalog, codec = Catalog(declare(spec, ref="uuid")), UUIDv7()
    lower, upper = (codec.encode(context(f"2026-0{month}-01").now) for month in (2, 3))
    zeros = [type(each)(int=each.int >> 80 << 80) for each in (lower, upper)]
    catalog.add("theirs", RangeBound((zeros[0],), (zeros[1],)))

    assert [] == list(exchanges(catalog.declared, catalog.found(), context(NOW)))


def _regrid(catalog: Catalog, here: Context) -> None:
    found = catalog.found()
    wanted = tuple(exchanges(catalog.declared, found, here))
    _, steps = regrid_steps(found, wanted, frozenset(partition.name for each in wanted for partition in each.old))
    catalog.apply(step for step in steps if isinstance(step, Step))


def _ranges(catalog: Catalog) -> list[RangeBound]:
    return [each.bound for each in catalog.found().partitions if isinstance(each.bound, RangeBound)]


@settings(deadline=None)  # a busy machine may take its time
@given(before=WHOLE_DAYS, after=WHOLE_DAYS, premake=st.integers(0, 5), zone=ZONES, now=INSTANTS)
def test_every_pair_of_intervals(before: Interval, after: Interval, premake: int, zone: str, now: object) -> None:
    """
    No partition before the oldest one; what had a partition has one after each exchange; a plan goes on from there, and
    is then done, and so is the regridding, unless it takes too many tables at once.
    """
    here = Context(now)  # type: ignore[arg-type]
    one = PartitionByRange("created_at", interval=before, premake=premake, timezone=zone)
    catalog = changed(one, one.with_(interval=after), here)
    old = _ranges(catalog)
    oldest = min(row_order(each.lower) for each in old)
    _regrid(catalog, here)

    assert [] == list(uncovered(sorted(old, key=lambda each: row_order(each.lower)), _ranges(catalog)))
    assert not any(each.new for each in exchanges(catalog.declared, catalog.found(), here))
    for later in (timedelta(0), timedelta(days=40)):
        moment = Context(here.now + later)
        catalog.converge(moment)

        assert () == catalog.plan(moment).steps
        assert oldest == min(row_order(each.lower) for each in _ranges(catalog))


def test_months_and_weeks_without_a_range_in_front() -> None:
    """Neither is anything made there, nor called a gap."""
    weekly = MONTHLY.with_(interval="1 week")

    assert [] == named(changed(MONTHLY, weekly).plan(context(NOW)))
    assert [] == [bound for bound in bounds(changed(DAILY, weekly).plan(context(NOW))) if bound and _early(bound)]


def _early(bound: Bound) -> bool:
    return isinstance(bound, RangeBound) and row_order(bound.lower) < row_order(span(NOW, "2026-02-01").lower)
