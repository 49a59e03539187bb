"""Pruning: what goes, how, and what never goes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from sa_partman import Archive, PartitionByHash, PartitionByList, PartitionByRange, Retention
from sa_partman.bounds.bound import DEFAULT, INFINITY, MAXVALUE, MINVALUE, Bound, RangeBound
from sa_partman.bounds.text import for_values
from sa_partman.catalog import DetachedTable
from sa_partman.marks import marked, restored
from sa_partman.plan.actions import DetachPartition, DropDetached, DropPartition, DropTable, MarkDetached
from sa_partman.plan.prune import prune_steps
from sa_partman.plan.steps import Purpose, Step
from sa_partman.plan.table import plan_table
from tests.support.builders import EVENTS, Catalog, at, context, declare, found, named, partition, span

DAILY = PartitionByRange("created_at", interval="1 day", premake=0, retention=Retention("30 days", then="drop"))
OLD = span("2026-05-15", "2026-05-16")


def pruned(spec: PartitionByRange, now: str, *there: Bound, **changes: object) -> list[tuple[type, ...]]:
    declared = declare(spec)
    table = found(declared, *(partition(f"p{index}", bound) for index, bound in enumerate(there)))
    steps = prune_steps(declared, replace(table, **changes), context(now))  # type: ignore[arg-type]
    return [tuple(type(action) for action in step.actions) for step in steps if isinstance(step, Step)]


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
        (Retention("30 days", then="detach", concurrently=True), [(MarkDetached, DetachPartition)]),
    ],
)
def test_how_it_goes(retention: Retention, expected: list[tuple[type, ...]]) -> None:
    """One step, whatever the number of its transactions: the mark comes first where they can't share one."""
    assert expected == pruned(DAILY.with_(retention=retention), "2026-06-15", OLD)


def test_a_referenced_table() -> None:
    """PostgreSQL refuses to drop an attached partition of it, so it is detached first, in one transaction."""
    assert [(DetachPartition, DropTable)] == pruned(DAILY, "2026-06-15", OLD, referenced=True)


def test_a_pending_detach_is_left_to_healing() -> None:
    """It is gone for every new query already."""
    pending = replace(partition("p", OLD), detach_pending=True)
    declared = declare(DAILY)

    assert [] == list(prune_steps(declared, found(declared, pending), context("2026-06-15")))


def test_the_oldest_first() -> None:
    """Whatever order the catalog has."""
    catalog = Catalog(declare(DAILY))
    for day in (3, 1, 2):
        catalog.add(f"day_{day}", span(f"2026-01-0{day}", f"2026-01-0{day + 1}"))
    plan = catalog.plan(context("2026-06-15"))

    assert ["day_1", "day_2", "day_3"] == [name for name in named(plan) if name.startswith("day")]


def test_retention_at_the_level_that_declares_it() -> None:
    """Months inside a list partition, which itself stays."""
    spec = PartitionByList("region", values=["de"], subpartition=DAILY)
    catalog = Catalog(declare(spec, region="text"))
    catalog.converge(context("2026-01-15"))
    plan = catalog.converge(context("2026-06-15"))

    assert "events_de_p20260115" in named(plan)
    assert "events_de" not in named(plan)


def test_an_expired_branch_goes_as_a_whole() -> None:
    """Its sub-partitions are not pruned one by one."""
    catalog = Catalog(declare(DAILY.with_(subpartition=PartitionByHash("id", modulus=4))))
    catalog.converge(context("2026-01-15"))
    plan = catalog.plan(context("2026-06-15"))

    assert 1 == sum(step.purpose.removes for step in plan.steps)


def test_a_composite_end_behind_the_ranged_column() -> None:
    """``('t', day, 5)`` as an end lets in rows of that very day, so it expires later."""
    spec = PartitionByRange(
        "created_at", "id", interval="1 day", premake=0, retention=Retention("30 days", then="drop")
    )
    exact = RangeBound((*OLD.lower, MINVALUE), (*OLD.upper, MINVALUE))
    beyond = RangeBound((*OLD.lower, MINVALUE), (*OLD.upper, 5))
    moment = context("2026-06-15").now

    assert [(DropPartition,)] == pruned(spec, str(moment), exact)
    assert [] == pruned(spec, str(moment), beyond)
    assert [(DropPartition,)] == pruned(spec, str(moment + timedelta(microseconds=1)), beyond)


# -- what follows a detach ---------------------------------------------------------------------------------------------

GRACE = DAILY.with_(retention=Retention("30 days", then="drop", grace="7 days"))
TO = Archive("/archive")
EXPIRED, LATER = "2026-06-15", "2026-06-22"


def lives(spec: PartitionByRange, *moments: str) -> list[list[tuple[str, ...]]]:
    """The steps of each run, of which the first finds `OLD` attached."""
    catalog = Catalog(declare(spec))
    catalog.add("old", OLD)
    found = []
    for moment in moments:
        steps = [step for step in catalog.plan(context(moment)).steps if step.partition.name == "old"]
        catalog.apply(steps)
        found.append([tuple(type(action).__name__ for action in step.actions) for step in steps])
    return found


def test_a_grace_is_waited_for() -> None:
    """Detached when it expires, dropped when the grace is over, to the microsecond."""
    assert [
        [("DetachPartition", "MarkDetached")],
        [],
        [("DropDetached",)],
    ] == lives(GRACE, EXPIRED, "2026-06-21 23:59:59.999999", LATER)


def test_an_archive_comes_before_the_drop() -> None:
    """Two steps, so that hooks are asked about each; in the same run, when there is no grace."""
    spec = DAILY.with_(retention=Retention("30 days", then=TO))

    assert [
        [("DetachPartition", "MarkDetached"), ("ArchiveTable",), ("DropDetached",)],
        [],
    ] == lives(spec, EXPIRED, LATER)


def test_an_archive_waits_for_the_grace() -> None:
    spec = DAILY.with_(retention=Retention("30 days", then=TO, grace="7 days"))

    assert [
        [("DetachPartition", "MarkDetached")],
        [("ArchiveTable",), ("DropDetached",)],
    ] == lives(spec, EXPIRED, LATER)


def test_what_was_detached_to_stay_stays() -> None:
    """For ever."""
    spec = DAILY.with_(retention=Retention("30 days", then="detach"))

    assert [[("DetachPartition", "MarkDetached")], [], []] == lives(spec, EXPIRED, LATER, "2036-01-01")


def detached_steps(spec: PartitionByRange, now: str, **changes: object) -> list[tuple[str, ...]]:
    """The steps for one table that was detached when *spec* was another one."""
    declared = declare(spec)
    had = for_values(OLD, declared.level.key.types)
    old = DetachedTable(EVENTS.sibling("old"), 9, EVENTS, None, at(EXPIRED), had)
    there = replace(found(declared), detached=(replace(old, **changes),))  # type: ignore[arg-type]
    steps = plan_table(declared, there, context(now)).steps
    return [tuple(type(action).__name__ for action in step.actions) for step in steps if step.partition == old.name]


def test_the_declaration_of_today_decides() -> None:
    """The mark says whose the table is and since when; ``then=`` says what happens to it."""
    kept = DAILY.with_(retention=Retention("30 days", then="detach"))

    assert [] == detached_steps(kept, LATER)
    assert [("DropDetached",)] == detached_steps(DAILY, EXPIRED)
    assert [] == detached_steps(DAILY.with_(retention=None), LATER)
    assert [("ArchiveTable",), ("DropDetached",)] == detached_steps(
        DAILY.with_(retention=Retention("30 days", then=TO)), EXPIRED
    )


def test_what_is_not_expired_any_more_stays() -> None:
    """Somebody keeps partitions for longer now."""
    assert [] == detached_steps(DAILY.with_(retention=Retention("60 days", then="drop")), LATER)


def test_an_old_mark_is_written_again() -> None:
    """Nobody knows since when it stands alone, so its grace begins now."""
    assert [("MarkDetached",)] == detached_steps(GRACE, LATER, at=None, bound="")
    assert [] == detached_steps(GRACE.with_(retention=Retention("30 days")), LATER, at=None, bound="")


def test_what_held_nobody_knows_what_must_hold_nothing_else() -> None:
    """Then its rows are looked at: all of them have to be expired."""
    declared = declare(DAILY)
    old = DetachedTable(EVENTS.sibling("old"), 9, EVENTS, None, at(EXPIRED))
    steps = plan_table(declared, replace(found(declared), detached=(old,)), context(LATER)).steps
    (drop,) = (action for step in steps for action in step.actions if isinstance(action, DropDetached))

    assert RangeBound((MINVALUE,), (at("2026-05-23"),)) == drop.expired


@pytest.mark.parametrize("bound", ["FOR VALUES IN ('x')", "nonsense"])
def test_what_held_something_unreadable_stays(bound: str) -> None:
    """The key has another type by now."""
    assert [] == detached_steps(DAILY, LATER, bound=bound)


def test_a_table_of_another_parent_stays() -> None:
    """Whatever the declaration of this one says."""
    assert [] == detached_steps(DAILY, LATER, parent=EVENTS.sibling("other"))


def test_what_is_attached_again_is_not_dropped() -> None:
    """The same plan does not do both."""
    spec = DAILY.with_(name="{table}_{lower:%Y%m%d}", start="2026-06-22")
    declared = declare(spec)
    now = DetachedTable(EVENTS.sibling("events_20260622"), 9, EVENTS, None, at(EXPIRED))
    steps = plan_table(declared, replace(found(declared), detached=(now,)), context(LATER)).steps

    assert [(Purpose.PROVISION, "events_20260622")] == [(step.purpose, step.partition.name) for step in steps]


def test_what_was_restored_stays() -> None:
    """It would go with the next run, else."""
    there = replace(partition("old", OLD), comment=restored("/archive/old.json", at(EXPIRED)))
    declared = declare(DAILY)

    assert [] == list(prune_steps(declared, found(declared, there), context(LATER)))


def test_a_mark_on_a_mark() -> None:
    """A partition whose concurrent detach never came is marked as if it were new."""
    old = replace(partition("old", OLD), comment=marked(EVENTS, "mine", at("2026-01-01")))
    declared = declare(GRACE)
    (step,) = prune_steps(declared, found(declared, old), context(EXPIRED))
    assert isinstance(step, Step)
    (mark,) = (action for action in step.actions if isinstance(action, MarkDetached))

    assert ("mine", at(EXPIRED), OLD) == (mark.comment, mark.at, mark.bound)
