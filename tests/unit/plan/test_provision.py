"""Provisioning: each missing partition is made whole in one step."""

from __future__ import annotations

from dataclasses import replace

from sa_partman import PartitionByHash, PartitionByList, PartitionByRange, Retention
from sa_partman.bounds.bound import DEFAULT
from sa_partman.catalog import DetachedTable
from sa_partman.plan.actions import (
    AttachPartition,
    CreatePartition,
    CreateTable,
    DropPartition,
    MoveRows,
    UnmarkDetached,
)
from sa_partman.plan.provision import first_partitions, provision_steps
from sa_partman.plan.steps import Purpose, Step, in_order
from tests.support.builders import EVENTS, Catalog, context, declare, found, named, span

NOW = context("2026-01-15")
MONTHLY = PartitionByRange("created_at", interval="1 month", premake=0)


def actions(catalog: Catalog, index: int = 0) -> list[type]:
    return [type(action) for action in catalog.plan(NOW).steps[index].actions]


def test_made_apart_and_attached_last() -> None:
    """The parent's lock is held for an instant."""
    assert [CreateTable, AttachPartition] == actions(Catalog(declare(MONTHLY)))


def test_a_branch_is_attached_from_the_top() -> None:
    """In one transaction, so that nobody sees it half made."""
    catalog = Catalog(declare(MONTHLY.with_(subpartition=PartitionByHash("id", modulus=2))))

    assert [CreateTable, AttachPartition, CreatePartition, CreatePartition] == actions(catalog)
    assert catalog.plan(NOW).steps[0].in_transaction


def test_rows_of_a_default_partition_move_before_it_is_attached() -> None:
    """PostgreSQL would refuse otherwise."""
    catalog = Catalog(declare(MONTHLY.with_(default=True)))
    catalog.add("rest", DEFAULT)

    assert [CreateTable, MoveRows, AttachPartition] == actions(catalog)


def test_a_default_partition_comes_last() -> None:
    """Nothing has to be moved out of it then; and it is not divided further."""
    catalog = Catalog(declare(MONTHLY.with_(default=True, subpartition=PartitionByHash("id", modulus=2))))
    plan = catalog.converge(NOW)

    assert ["events_p20260101", "events_default"] == named(plan)
    assert [CreateTable, AttachPartition] == [type(action) for action in plan.steps[1].actions]


def test_only_leaves_are_unlogged() -> None:
    """PostgreSQL 18 refuses an unlogged partitioned table."""
    below = PartitionByHash("id", modulus=1, unlogged=True)
    step = Catalog(declare(MONTHLY.with_(unlogged=True, subpartition=below))).plan(NOW).steps[0]

    assert [False, True] == [
        action.unlogged for action in step.actions if isinstance(action, CreateTable | CreatePartition)
    ]


def test_a_name_that_another_bound_has() -> None:
    """A partition is known by its bound, so the missing one gets another name; twice the same plan."""
    catalog = Catalog(declare(MONTHLY))
    catalog.add("events_p20260101", span("1999-01-01", "1999-02-01"))
    again = [name for name in named(catalog.plan(NOW)) if name.startswith("events_p20260101_")]
    plan = catalog.converge(NOW)

    assert 1 == len(again)
    assert again[0] in named(plan)
    assert () == catalog.plan(NOW).steps


def test_a_name_that_is_taken_twice_over() -> None:
    """A finding that names it and the way out."""
    catalog = Catalog(declare(MONTHLY))
    catalog.add("events_p20260101", span("1999-01-01", "1999-02-01"))
    second = next(name for name in named(catalog.plan(NOW)) if name.startswith("events_p20260101_"))
    catalog.add(second, span("1998-01-01", "1998-02-01"))
    plan = catalog.plan(NOW)

    assert ["name-taken"] == [finding.code for finding in plan.findings]
    assert "RENAME TO" in plan.findings[0].remedy


def test_a_branch_and_a_partition_of_one_name() -> None:
    """``b`` below ``a`` and ``a_b`` beside it are different partitions, in a new table too."""
    below = PartitionByList("kind", values=["b"])
    spec = PartitionByList("region", values=["a", "a_b"], subpartition=below)
    catalog = Catalog(declare(spec, region="text", kind="text"))
    first = first_partitions(catalog.declared.level, EVENTS, NOW)
    catalog.converge(NOW)

    assert 4 == len({each.name for each in first})
    assert 4 == len(list(catalog.found().walk()))
    assert () == catalog.plan(NOW).steps


def test_a_detached_table_of_ours_is_attached_again() -> None:
    """When its name and parent are those of a missing partition."""
    catalog = Catalog(declare(MONTHLY.with_(premake=0)))
    catalog.converge(NOW)
    catalog.declared = declare(MONTHLY.with_(retention=Retention(0)))
    catalog.converge(context("2026-02-15"))

    assert [AttachPartition, UnmarkDetached] == [
        type(action)
        for step in catalog.plan(NOW).steps
        if step.partition.name == "events_p20260101"
        for action in step.actions
    ]


def test_a_detached_table_of_another_parent_is_not_attached() -> None:
    """It has the wanted name, and rows of something else."""
    declared = declare(MONTHLY)
    table = found(declared)
    other = DetachedTable(EVENTS.sibling("events_p20260101"), 9, EVENTS.sibling("visits"))
    (step,) = provision_steps(declared, replace(table, detached=(other,)), NOW)
    assert isinstance(step, Step)

    assert [CreateTable, AttachPartition] == [type(action) for action in step.actions]


def test_expired_partitions_are_not_filled_up() -> None:
    """What goes in this very run gets no new sub-partitions."""
    spec = MONTHLY.with_(retention=Retention(0, then="drop"), subpartition=PartitionByHash("id", modulus=2))
    catalog = Catalog(declare(spec))
    catalog.converge(NOW)
    catalog.execute(DropPartition(EVENTS, EVENTS.sibling("events_p20260101_h1"), DEFAULT, catalog.declared.level.key))
    plan = catalog.plan(context("2026-02-15"))

    assert "events_p20260101_h1" not in named(plan)
    assert ("events_p20260101", Purpose.DROP) in [(step.partition.name, step.purpose) for step in plan.steps]


def test_the_partitions_of_a_new_table() -> None:
    """Parents before their partitions, all by CREATE TABLE ... PARTITION OF."""
    declared = declare(MONTHLY.with_(subpartition=PartitionByHash("id", modulus=2)))
    made = first_partitions(declared.level, EVENTS, NOW)

    assert ["events_p20260101", "events_p20260101_h0", "events_p20260101_h1"] == [each.name.name for each in made]
    assert "HASH (id)" == made[0].partition_by


def test_what_is_written_to_now_comes_before_the_past_of_any_table() -> None:
    """A long past of one table never keeps another one waiting."""
    spec = PartitionByRange("created_at", interval="1 month", premake=0, start="2025-12-01")
    here = context("2026-01-15")
    plans = [Catalog(declare(spec, EVENTS.sibling(name))).plan(here) for name in ("one", "two")]

    assert ["one_p20260101", "two_p20260101", "one_p20251201", "two_p20251201"] == [
        step.partition.name for step in in_order(plans)
    ]
