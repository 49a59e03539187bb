"""Healing comes first, touches what is ours alone, and ends a detach in the way that waits for nobody."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sa_partman import PartitionByRange
from sa_partman.catalog import Partition
from sa_partman.compare.residues import InvalidIndex
from sa_partman.compare.situation import Situation
from sa_partman.marks import marked
from sa_partman.plan.actions import DropInvalidIndex, DropPartition, FinalizeDetach
from sa_partman.plan.heal import heal_steps, index_steps
from sa_partman.plan.steps import Purpose
from sa_partman.plan.table import plan_table
from sa_partman.spec.retention import Retention
from tests.support.builders import EVENTS, at, declare, found, partition, span

MONTHLY = PartitionByRange("created_at", interval="1 month", premake=0)
NOW = Situation(at("2026-06-15"))
EXPIRED, CURRENT = span("2026-01-01", "2026-02-01"), span("2026-06-01", "2026-07-01")


def _pending(name: str = "old", *, ours: bool = True) -> Partition:
    comment = marked(EVENTS, "mine") if ours else "mine"
    return replace(partition(name, EXPIRED, 2), detach_pending=True, comment=comment)


def _steps(retention: Retention | None, each: Partition, *, referenced: bool = False) -> list[tuple[Purpose, type]]:
    declared = declare(MONTHLY.with_(retention=retention))
    table = replace(found(declared, each, partition("now", CURRENT, 3)), referenced=referenced)
    return [(step.purpose, type(step.actions[0])) for step in heal_steps(declared, table, NOW)]


@pytest.mark.parametrize(
    ("retention", "step"),
    [
        (None, (Purpose.HEAL, FinalizeDetach)),
        (Retention("1 month", then="detach"), (Purpose.HEAL, FinalizeDetach)),
        (Retention("1 month", then="drop"), (Purpose.DROP, DropPartition)),
        (Retention("1 year", then="drop"), (Purpose.HEAL, FinalizeDetach)),
        (Retention("1 month", then="drop", grace="7 days"), (Purpose.HEAL, FinalizeDetach)),
    ],
)
def test_a_detach_of_ours(retention: Retention | None, step: tuple[Purpose, type]) -> None:
    """Dropped only when it is expired and nothing else is to happen to it before."""
    assert [step] == _steps(retention, _pending())


def test_of_a_referenced_table() -> None:
    """It can't be dropped while it is attached."""
    assert [(Purpose.HEAL, FinalizeDetach)] == _steps(Retention("1 month", then="drop"), _pending(), referenced=True)


def test_of_somebody_else() -> None:
    assert [] == _steps(Retention("1 month", then="drop"), _pending(ours=False))


def test_nothing_to_heal() -> None:
    assert [] == _steps(Retention("1 month", then="drop"), partition("old", EXPIRED, 2))


def test_it_comes_first_and_is_not_pruned_again() -> None:
    """One step for the pending one; then what is missing, then what is expired."""
    declared = declare(MONTHLY.with_(retention=Retention("1 month", then="detach")))
    expired = partition("older", span("2025-12-01", "2026-01-01"), 4)
    plan = plan_table(declared, found(declared, _pending(), expired), NOW)

    assert ("old", "heal") == (plan.steps[0].partition.name, plan.steps[0].purpose)
    assert ["old"] == [step.partition.name for step in plan.steps if step.partition.name == "old"]
    assert "older" == plan.steps[-1].partition.name


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({}, 1),
        ({"built": True}, 0),
        ({"partitioned": True}, 0),
        ({"relation": 99}, 0),
        ({"above": ()}, 0),
    ],
)
def test_an_invalid_index(changes: dict[str, object], steps: int) -> None:
    """Removed when it is ours, on a partition of the table, and nobody builds it."""
    declared = declare(MONTHLY)
    table = found(declared, partition("now", CURRENT, 3))
    index = InvalidIndex(EVENTS.sibling("now_by_id"), EVENTS.sibling("now"), 3, above=("by_id",))
    made = list(index_steps(table, [replace(index, **changes)]))  # type: ignore[arg-type]

    assert [DropInvalidIndex(index.name, index.table)] * steps == [step.actions[0] for step in made]
    assert all(step.partition == index.name and step.purpose is Purpose.HEAL for step in made)


def test_an_index_of_a_pending_partition() -> None:
    """It can't be altered before its detach has ended."""
    declared = declare(MONTHLY)
    index = InvalidIndex(EVENTS.sibling("old_by_id"), EVENTS.sibling("old"), 2, above=("by_id",))

    assert [] == list(index_steps(found(declared, _pending()), [index]))
