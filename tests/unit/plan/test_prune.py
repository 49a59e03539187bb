"""Pruning: what goes, how, and what never goes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from sa_partman import PartitionByHash, PartitionByList, PartitionByRange, Retention
from sa_partman.bounds.bound import DEFAULT, Bound, RangeBound
from sa_partman.bounds.values import INFINITY, MAXVALUE, MINVALUE
from sa_partman.plan.actions import DetachPartition, DropPartition, DropTable, MarkDetached
from sa_partman.plan.prune import prune_steps
from tests.support.builders import Catalog, declare, found, named, partition, situation, span

DAILY = PartitionByRange("created_at", interval="1 day", premake=0, retention=Retention("30 days", then="drop"))
OLD = span("2026-05-15", "2026-05-16")


def pruned(spec: PartitionByRange, now: str, *there: Bound, **changes: object) -> list[tuple[type, ...]]:
    declared = declare(spec)
    table = found(declared, *(partition(f"p{index}", bound) for index, bound in enumerate(there)))
    steps = prune_steps(declared, replace(table, **changes), situation(now))  # type: ignore[arg-type]
    return [tuple(type(action) for action in step.actions) for step in steps]


def test_to_the_microsecond() -> None:
    """keep 30 days: expired at 2026-06-15 00:00:00Z, and not one microsecond earlier."""
    assert [] == pruned(DAILY, "2026-06-14 23:59:59.999999", OLD)
    assert [(DropPartition,)] == pruned(DAILY, "2026-06-15 00:00:00", OLD)


def test_to_the_microsecond_in_a_zone() -> None:
    """By the clock of the zone: a day that ends at midnight in Paris, kept over the night that is turned."""
    spec = DAILY.with_(timezone="Europe/Paris", retention=Retention("1 day", then="drop"))
    day = span("2025-03-28 23:00", "2025-03-29 23:00")  # 29 March in Paris

    assert [] == pruned(spec, "2025-03-30 21:59:59.999999", day)
    assert [(DropPartition,)] == pruned(spec, "2025-03-30 22:00", day)


@pytest.mark.parametrize(
    "bound",
    [
        DEFAULT,
        RangeBound((MINVALUE,), (MAXVALUE,)),
        RangeBound(OLD.lower, (MAXVALUE,)),
        RangeBound(OLD.lower, (INFINITY,)),
        span("2036-01-01", "2036-01-02"),
        span("2026-05-15", "2026-06-16"),
    ],
)
def test_what_never_goes(bound: Bound) -> None:
    """The default partition, an open end, the future, and what is not over yet."""
    assert [] == pruned(DAILY, "2026-06-15", bound)


def test_what_has_no_beginning_goes_when_it_is_over() -> None:
    """Its end is known."""
    assert [(DropPartition,)] == pruned(DAILY, "2026-06-15", RangeBound((MINVALUE,), OLD.upper))


def test_without_retention_everything_stays() -> None:
    """For ever."""
    assert [] == pruned(DAILY.with_(retention=None), "2099-01-01", OLD)


@pytest.mark.parametrize(
    ("retention", "expected"),
    [
        (Retention("30 days", then="drop"), [(DropPartition,)]),
        (Retention("30 days", then="detach"), [(DetachPartition, MarkDetached)]),
        (Retention("30 days", then="detach", concurrently=True), [(MarkDetached,), (DetachPartition,)]),
    ],
)
def test_how_it_goes(retention: Retention, expected: list[tuple[type, ...]]) -> None:
    """The mark comes first where the detach can't be in its transaction."""
    assert expected == pruned(DAILY.with_(retention=retention), "2026-06-15", OLD)


def test_a_referenced_table() -> None:
    """PostgreSQL refuses to drop an attached partition of it, so it is detached first, in one transaction."""
    assert [(DetachPartition, DropTable)] == pruned(DAILY, "2026-06-15", OLD, referenced=True)


def test_a_pending_detach_is_left_to_healing() -> None:
    """It is gone for every new query already."""
    pending = replace(partition("p", OLD), detach_pending=True)
    declared = declare(DAILY)

    assert [] == list(prune_steps(declared, found(declared, pending), situation("2026-06-15")))


def test_the_oldest_first() -> None:
    """Whatever order the catalog has."""
    catalog = Catalog(declare(DAILY))
    for day in (3, 1, 2):
        catalog.add(f"day_{day}", span(f"2026-01-0{day}", f"2026-01-0{day + 1}"))
    plan = catalog.plan(situation("2026-06-15"))

    assert ["day_1", "day_2", "day_3"] == [name for name in named(plan) if name.startswith("day")]


def test_retention_at_the_level_that_declares_it() -> None:
    """Months inside a list partition, which itself stays."""
    spec = PartitionByList("region", values=["de"], subpartition=DAILY)
    catalog = Catalog(declare(spec, region="text"))
    catalog.converge(situation("2026-01-15"))
    plan = catalog.converge(situation("2026-06-15"))

    assert "events_de_p20260115" in named(plan)
    assert "events_de" not in named(plan)


def test_an_expired_branch_goes_as_a_whole() -> None:
    """Its sub-partitions are not pruned one by one."""
    catalog = Catalog(declare(DAILY.with_(subpartition=PartitionByHash("id", modulus=4))))
    catalog.converge(situation("2026-01-15"))
    plan = catalog.plan(situation("2026-06-15"))

    assert 1 == sum(step.purpose.removes for step in plan.steps)


def test_a_composite_end_behind_the_ranged_column() -> None:
    """``('t', day, 5)`` as an end lets in rows of that very day, so it expires later."""
    spec = PartitionByRange(
        "created_at", "id", interval="1 day", premake=0, retention=Retention("30 days", then="drop")
    )
    exact = RangeBound((*OLD.lower, MINVALUE), (*OLD.upper, MINVALUE))
    beyond = RangeBound((*OLD.lower, MINVALUE), (*OLD.upper, 5))
    moment = situation("2026-06-15").now

    assert [(DropPartition,)] == pruned(spec, str(moment), exact)
    assert [] == pruned(spec, str(moment), beyond)
    assert [(DropPartition,)] == pruned(spec, str(moment + timedelta(microseconds=1)), beyond)
