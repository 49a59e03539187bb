"""Families: what refers to a row goes before it; referencing tables; and how much one run removes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sa_partman import PartitionByRange, Retention
from sa_partman.catalog import ForeignKey
from sa_partman.finding import Finding
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import DeleteReferring, DropPartition
from sa_partman.plan.families import limited, referenced_first, without_removals
from sa_partman.plan.prune import prune_steps
from sa_partman.plan.steps import Purpose, Step, TablePlan, in_order
from tests.support.builders import EVENTS, context, declare, found, partition, span

OLD = span("2026-05-15", "2026-05-16")
KEEP = PartitionByRange(
    "created_at",
    interval="1 day",
    premake=0,
    retention=Retention("30 days", then="drop", referencing_tables=("notes",)),
)


def key(referencing: str, referenced: str = "events", *, divided: bool = False) -> ForeignKey:
    columns, referred = ("event_id", "event_at"), ("id", "created_at")
    return ForeignKey(EVENTS.sibling(referencing), EVENTS.sibling(referenced), columns, referred, divided)


def plan(table: str, *removed: str) -> TablePlan:
    """That makes one partition and removes some."""
    name = EVENTS.sibling(table)
    steps = [_step(name, f"{table}_new", Purpose.PROVISION), *(_step(name, each, Purpose.DROP) for each in removed)]
    return TablePlan(name, tuple(steps))


def _step(table: QualifiedName, partition: str, purpose: Purpose) -> Step:
    drop = DropPartition(table, table.sibling(partition), OLD, declare(KEEP).level.key)
    return Step(purpose, table, table.sibling(partition), OLD, (drop,))


def removed(plans: tuple[TablePlan, ...]) -> list[str]:
    return [step.partition.name for step in in_order(plans) if step.purpose.removes]


def names(plans: tuple[TablePlan, ...]) -> list[str]:
    return [each.table.name for each in plans]


@pytest.mark.parametrize("order", [("a", "b", "c"), ("c", "b", "a"), ("b", "c", "a")])
def test_a_table_comes_after_what_it_refers_to(order: tuple[str, ...]) -> None:
    """Whatever order the metadata has them in."""
    plans = referenced_first([plan(each) for each in order], [key("b", "a"), key("c", "b")])

    assert ["a", "b", "c"] == names(plans)


def test_tables_in_a_circle_stay_as_they_are() -> None:
    """None of them can be first."""
    plans = referenced_first([plan("a"), plan("b")], [key("a", "b"), key("b", "a"), key("elsewhere", "a")])

    assert {"a", "b"} == set(names(plans))
    assert 2 == len(plans)


def test_without_keys_nothing_moves() -> None:
    assert ["b", "a"] == names(referenced_first([plan("b"), plan("a")], []))


def test_what_is_made_comes_first_and_what_refers_goes_first() -> None:
    """In one plan of a whole family."""
    steps = in_order((plan("orders", "orders_old"), plan("items", "items_old")))

    assert ["orders_new", "items_new", "items_old", "orders_old"] == [step.partition.name for step in steps]


# -- referencing tables ------------------------------------------------------------------------------------------------


def leaving(spec: PartitionByRange, *keys: ForeignKey) -> list[Step | Finding]:
    declared = declare(spec)
    there = replace(found(declared, partition("old", OLD)), referenced=True)
    return list(prune_steps(declared, there, context("2026-06-15", inbound=keys)))


def test_the_rows_of_a_referencing_table_go_first() -> None:
    """As a step of its own, by the columns of its foreign key."""
    referencing, gone = leaving(KEEP, key("notes"), key("others"))
    assert isinstance(referencing, Step)
    assert isinstance(gone, Step)

    assert (
        DeleteReferring(
            EVENTS.sibling("notes"),
            EVENTS.sibling("old"),
            ("event_id", "event_at"),
            ("id", "created_at"),
            parent=EVENTS,
            bound=gone.bound,
            key=declare(KEEP).level.key,
        ),
    ) == referencing.actions
    assert (gone.partition, gone.purpose) == (referencing.partition, referencing.purpose)


def test_each_foreign_key_of_a_referencing_table_counts() -> None:
    """It may have several."""
    assert 3 == len(leaving(KEEP, key("notes"), key("notes")))


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ((), "no foreign key of it refers to public.events"),
        ((key("notes", "other"),), "no foreign key of it refers to public.events"),
        ((key("notes", divided=True),), "it is partitioned"),
    ],
)
def test_a_referencing_table_that_is_none_keeps_the_partition(keys: tuple[ForeignKey, ...], says: str) -> None:
    """Nothing is removed on the strength of a declaration that does not fit."""
    (finding,) = leaving(KEEP, *keys)
    assert isinstance(finding, Finding)

    assert ("satellite", True) == (finding.code, finding.is_problem)
    assert says in finding.message


def test_tables_that_are_not_named_are_never_touched() -> None:
    spec = KEEP.with_(retention=Retention("30 days", then="drop"))

    assert [Purpose.DROP] == [step.purpose for step in leaving(spec, key("notes")) if isinstance(step, Step)]


def test_a_referencing_table_of_another_schema() -> None:
    """Is named with it; a bare name means one beside the table."""
    spec = KEEP.with_(retention=Retention("30 days", then="drop", referencing_tables=("other.notes",)))
    elsewhere = replace(key("notes"), referencing=QualifiedName("other", "notes"))

    assert isinstance(leaving(spec, elsewhere)[0], Step)
    assert isinstance(leaving(KEEP, elsewhere)[0], Finding)


# -- how much in one run -----------------------------------------------------------------------------------------------

PLANS = (plan("orders", "o1", "o2"), plan("items", "i1", "i2", "i3"), plan("logs"))


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (None, ["i1", "i2", "i3", "o1", "o2"]),
        (5, ["i1", "i2", "i3", "o1", "o2"]),
        (4, ["i1", "i2", "o1", "o2"]),
        (3, ["i1", "i2", "o1"]),
        (2, ["i1", "o1"]),
        (1, ["i1"]),
        (0, []),
    ],
)
def test_the_oldest_of_each_table_before_the_next_of_any(limit: int | None, expected: list[str]) -> None:
    """So that no table waits for the backlog of another one; what refers goes before what it refers to."""
    assert expected == removed(limited(PLANS, limit))


def test_what_is_left_is_said() -> None:
    """For each table that it concerns."""
    left = limited(PLANS, 2)

    assert [1, 2, 0] == [int(each.findings[0].message.split()[0]) if each.findings else 0 for each in left]
    assert ["limit", "limit"] == [finding.code for each in left for finding in each.findings]
    assert not any(finding.is_problem for each in left for finding in each.findings)


def test_a_limit_stops_no_creation() -> None:
    assert 3 == len(list(in_order(limited(PLANS, 0))))
    assert 3 == len(list(in_order(tuple(map(without_removals, PLANS)))))
