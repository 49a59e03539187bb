"""Plans converge: what a plan made is never planned again, whatever stood there before."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import assume, example, given
from hypothesis import strategies as st

from sa_partman import PartitionByHash, PartitionByList, PartitionByRange, Retention
from sa_partman.bounds.bound import MAXVALUE, MINVALUE, HashBound, KeyValue, RangeBound
from sa_partman.bounds.interval import Interval, to_instant
from sa_partman.compare.context import Context
from sa_partman.compare.covered import uncovered
from sa_partman.compare.expiry import expiry_of
from sa_partman.compare.window import current_cell, cutoff_of
from sa_partman.plan.conversion.request import outlived_history, range_history
from sa_partman.plan.steps import Purpose
from sa_partman.spec.base import PartitionSpec
from sa_partman.spec.declared import DeclaredTable, RangeLevel, TimeAxis
from tests.support.builders import EVENTS, Catalog, at, context, declare, found, numbers, partition
from tests.support.strategies import INSTANTS, RETENTIONS, WHOLE_DAYS, ZONES

BELOW = st.sampled_from(
    [
        None,
        PartitionByHash("id", modulus=3),
        PartitionByList("region", values={"eu": ["de", "fr"], "none": [None]}, default=True),
        PartitionByRange("created_at", interval="5 days", premake=1),
        PartitionByRange("created_at", interval="1 week", retention=Retention("10 days", then="drop")),
        PartitionByList("region", values=["de"], subpartition=PartitionByHash("id", modulus=2)),
    ]
)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Catalog, Context]:
    """A table by time with partitions that somebody made by hand, and a clock."""
    now = draw(INSTANTS)
    interval = draw(WHOLE_DAYS)
    start = draw(st.none() | st.integers(0, 12).map(lambda back: now - back * interval.shortest))
    spec = PartitionByRange(
        "created_at",
        interval=interval,
        premake=draw(st.integers(0, 4)),
        start=start,
        retention=draw(st.none() | RETENTIONS),
        default=draw(st.booleans()),
        timezone=draw(ZONES),
        subpartition=draw(BELOW if interval.shortest < timedelta(days=40) else st.none()),
    )
    catalog = Catalog(declare(spec, region="text"))
    third = interval.shortest / 3
    cuts = sorted(draw(st.sets(st.integers(-20, 12), max_size=6)))
    for index, (low, high) in enumerate(list(pairwise(cuts))[:: draw(st.sampled_from([1, 2]))]):
        catalog.add(f"by_hand_{index}", RangeBound((now + low * third,), (now + high * third,)))
    if draw(st.booleans()) and cuts:
        first: tuple[KeyValue, KeyValue] = (MINVALUE, now + cuts[0] * third)
        last: tuple[KeyValue, KeyValue] = (now + cuts[-1] * third, MAXVALUE)
        ends = draw(st.sampled_from([first, last]))
        catalog.add("open", RangeBound((ends[0],), (ends[1],)))
    return catalog, Context(now)


@given(world=worlds(), later=st.integers(0, 200))
def test_a_plan_after_its_own_execution_is_empty(world: tuple[Catalog, Context], later: int) -> None:
    """Now, and again at any later time; and the server would have taken each step."""
    catalog, here = world
    for moment in (here, Context(here.now + timedelta(days=later))):
        catalog.converge(moment)

        assert () == catalog.plan(moment).steps


@given(world=worlds())
def test_afterwards_every_insert_up_to_the_horizon_works(world: tuple[Catalog, Context]) -> None:
    """From now to the end of the last cell that premake asks for, nothing is uncovered."""
    catalog, here = world
    catalog.converge(here)
    level = catalog.declared.level
    assert isinstance(level, RangeLevel)
    cell, wanted = current_cell(level, catalog.found(), here), []
    for _ in range(level.spec.premake + 1):
        wanted.append(RangeBound((level.axis.encode(max(cell.lower, here.now)),), (level.axis.encode(cell.upper),)))
        cell = level.axis.grid.cell(cell.upper)
    there = [each.bound for each in catalog.found().partitions if isinstance(each.bound, RangeBound)]

    assert [] == list(uncovered(wanted, there))


@given(world=worlds())
def test_nothing_inside_the_kept_range_is_left_out(world: tuple[Catalog, Context]) -> None:
    """From the oldest partition that is kept on, there is no gap."""
    catalog, here = world
    catalog.converge(here)
    there = sorted(
        (each.bound for each in catalog.found().partitions if isinstance(each.bound, RangeBound)),
        key=lambda bound: (bound.lower[0] is not MINVALUE, str(bound.lower[0])),
    )
    now = here.now
    past = [
        one for one in there if (isinstance(one.lower[0], datetime) and one.lower[0] <= now) or one.lower[0] is MINVALUE
    ]

    assert all(one.upper == other.lower for one, other in pairwise(past))


@given(world=worlds())
def test_the_plan_does_not_depend_on_the_order_of_the_catalog(world: tuple[Catalog, Context]) -> None:
    """A restored dump lists partitions in another order."""
    catalog, here = world
    catalog.converge(Context(here.now - timedelta(days=100)))

    one, other = catalog.plan(here), catalog.plan(here, backwards=True)

    assert [step for step in one.steps if step.purpose.removes] == [
        step for step in other.steps if step.purpose.removes
    ]
    assert {*one.steps} == {*other.steps}
    assert {*one.findings} == {*other.findings}


@given(world=worlds())
def test_only_the_expired_are_removed(world: tuple[Catalog, Context]) -> None:
    """And never a default partition, nor one whose end is open or after the cutoff; without retention nothing."""
    catalog, here = world
    level = catalog.declared.level
    assert isinstance(level, RangeLevel)
    removed = [step for step in catalog.plan(here).steps if step.purpose.removes and len(step.partition.name)]
    top = {each.name for each in catalog.found().partitions}
    for step in removed:
        if step.partition in top:
            assert isinstance(level.spec.retention, Retention)
            assert isinstance(step.bound, RangeBound)
            assert isinstance(step.bound.upper[0], datetime)
            assert step.bound.upper[0] <= cutoff_of(level.spec.retention, level, catalog.found(), here)


@given(world=worlds())
def test_creations_come_before_removals(world: tuple[Catalog, Context]) -> None:
    """A failing prune never costs a creation."""
    purposes = [step.purpose.removes for step in world[0].plan(world[1]).steps]

    assert sorted(purposes) == purposes


@given(
    cuts=st.lists(st.integers(-100, 100), min_size=2, max_size=20, unique=True).map(sorted),
    others=st.sets(st.integers(-100, 100), max_size=20).map(sorted),
    gap=st.sampled_from([1, 2]),
    below=st.booleans(),
)
def test_uncovered(cuts: list[int], others: list[int], gap: int, below: bool) -> None:
    """It never overlaps what is there, stays inside what is wanted, and covers the rest exactly."""
    wanted = [numbers(low, high) for low, high in list(pairwise(cuts))[::gap]]
    there = [numbers(low, high) for low, high in pairwise(others)][::2]
    if below and there:
        there.append(numbers(MINVALUE, others[0]))
    pieces = list(uncovered(wanted, reversed(there)))

    def points(bounds: list[RangeBound]) -> set[int]:
        return {point for point in range(-100, 100) for each in bounds if each.overlaps(numbers(point, point + 1))}

    assert points(wanted) - points(there) == points(pieces)
    assert not any(piece.overlaps(each) for piece in pieces for each in there)
    assert not any(one.overlaps(other) for one, other in pairwise(pieces))


@given(
    interval=WHOLE_DAYS,
    retention=RETENTIONS,
    zone=ZONES,
    lower=INSTANTS,
    tick=st.timedeltas(timedelta(microseconds=1), timedelta(days=30)),
)
@example(Interval.parse("1 day"), Retention("30 days"), "UTC", at("2026-05-15"), timedelta(microseconds=1))
def test_expired_to_the_microsecond(
    interval: Interval, retention: Retention, zone: str, lower: datetime, tick: timedelta
) -> None:
    """Expired from the instant on at which upper <= now - keep holds, kept before, and never alive again."""
    spec = PartitionByRange("created_at", interval=interval, retention=retention, timezone=zone)
    declared = declare(spec)
    level = declared.level
    assert isinstance(level, RangeLevel)
    cell = level.axis.grid.cell(lower)
    bound = RangeBound((cell.lower,), (cell.upper,))
    instant = _first(lambda now: cutoff_of(retention, level, found(declared), Context(now)) >= cell.upper, cell.upper)

    assert not _is_expired(declared, bound, instant - timedelta(microseconds=1))
    assert _is_expired(declared, bound, instant)
    assert _is_expired(declared, bound, instant + tick)


def _first(holds: object, start: datetime) -> datetime:
    """The first microsecond from *start* on at which *holds*, which never stops holding but for a turned clock."""
    low, high = start - timedelta(days=2), start + timedelta(days=365 * 130)
    assume(high.year < 9000)
    while high - low > timedelta(microseconds=1):
        middle = low + (high - low) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)  # type: ignore[operator]
    return high


def _is_expired(declared: DeclaredTable, bound: RangeBound, now: datetime) -> bool:
    one = partition("one", bound)
    return expiry_of(declared.level, found(declared, one), Context(now))(one) is not None


@given(
    width=st.integers(1, 1000),
    premake=st.integers(0, 5),
    keep=st.none() | st.integers(0, 5),
    highest=st.lists(st.integers(-5000, 5000), min_size=1, max_size=4).map(sorted),
    start=st.none() | st.integers(-5000, 0),
)
def test_integers_converge_as_they_grow(
    width: int, premake: int, keep: int | None, highest: list[int], start: int | None
) -> None:
    """The highest value present is the clock of a table by numbers."""
    assume(start is None or highest[0] - start < 500 * width)
    assume(highest[-1] - highest[0] < 500 * width)
    retention = None if keep is None else Retention(keep, then="drop")
    spec = PartitionByRange("id", interval=width, premake=premake, retention=retention, start=start)
    catalog = Catalog(declare(spec))
    for value in highest:
        here = context("2024-01-01", highest={1: value})
        catalog.converge(here)

        assert () == catalog.plan(here).steps
        uppers = [each.bound.upper[0] for each in catalog.found().partitions if isinstance(each.bound, RangeBound)]
        assert value - value % width + width * (premake + 1) <= max(uppers)  # type: ignore[operator,type-var]


@given(
    wanted=st.integers(1, 24),
    there=st.sets(st.tuples(st.sampled_from([2, 3, 4, 6, 8, 12]), st.integers(0, 11)), max_size=6),
)
def test_hashes_converge_over_mixed_moduli(wanted: int, there: set[tuple[int, int]]) -> None:
    """No step overlaps what is there, and a second plan is empty."""
    catalog = Catalog(declare(PartitionByHash("id", modulus=wanted)))
    for modulus, remainder in sorted(there):
        bound = HashBound(modulus, remainder % modulus)
        if not any(bound.overlaps(each.bound) for each in catalog.found().partitions):  # type: ignore[arg-type]
            catalog.add(f"h{modulus}_{remainder}", bound)
    catalog.converge(context("2024-01-01"))

    assert () == catalog.plan(context("2024-01-01")).steps


@given(
    values=st.lists(st.text("ab", min_size=1, max_size=3) | st.none(), max_size=8, unique=True),
    size=st.integers(1, 3),
    default=st.booleans(),
    below=BELOW,
)
def test_lists_converge(values: list[str | None], size: int, default: bool, below: PartitionSpec | None) -> None:
    """Every label gets one partition, once."""
    if below is not None and "region" in below.columns:
        below = None
    labels = {str(index): values[index : index + size] for index in range(0, len(values), size)}
    spec = PartitionByList("region", values=labels, default=default, subpartition=below)
    catalog = Catalog(declare(spec, region="text"))
    here = context("2024-06-15")
    plan = catalog.converge(here)

    assert len(labels) + default == sum(step.purpose is Purpose.PROVISION for step in plan.steps)
    assert () == catalog.plan(here).steps


@given(zone=ZONES, now=INSTANTS, keep=st.sampled_from(["1 day", "1 month", "36 hours", "1 year 1 month 1 day 1 hour"]))
def test_the_cutoff_is_before_now(zone: str, now: datetime, keep: str) -> None:
    """Whatever clocks are turned in between."""
    spec = PartitionByRange("created_at", interval="1 day", retention=Retention(keep), timezone=zone)
    level = declare(spec).level
    assert isinstance(level, RangeLevel)
    assert isinstance(level.axis, TimeAxis)
    assert isinstance(spec.retention, Retention)

    assert cutoff_of(spec.retention, level, found(declare(spec)), Context(now)) < now


@given(
    interval=WHOLE_DAYS,
    zone=ZONES,
    retention=RETENTIONS,
    now=INSTANTS,
    kind=st.sampled_from(["timestamp with time zone", "timestamp without time zone", "date", "uuid"]),
)
@example(Interval.parse("1 month"), "Europe/Paris", Retention("1 month"), at("2030-01-31 23:30"), "date")
def test_a_history_is_expired_from_the_moment_on_that_is_told(
    interval: Interval, zone: str, retention: Retention, now: datetime, kind: str
) -> None:
    """And not two hours before: clocks are turned by no more, but for a whole day in Apia."""
    spec = PartitionByRange("created_at", interval=interval, timezone=zone, retention=retention)
    level = declare(spec, created_at=kind).level
    assert isinstance(level, RangeLevel)
    assert isinstance(level.axis, TimeAxis)
    axis = level.axis
    bound = range_history(level, Context(now), None, timedelta(0), None)
    outlived = outlived_history(level, bound, EVENTS, Context(now))
    assert outlived is not None
    assert isinstance(outlived.until, datetime)
    until = outlived.until if axis.aware else to_instant(outlived.until, axis.zone)
    one = partition("history", bound)
    table = found(declare(spec, created_at=kind), one)

    assert expiry_of(level, table, Context(until))(one) is not None
    assert expiry_of(level, table, Context(until - timedelta(hours=2)))(one) is None or zone == "Pacific/Apia"
