"""Healing comes first, touches what is ours alone, and ends a detach in the way that waits for nobody."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sa_partman import PartitionByHash, PartitionByRange
from sa_partman.bounds.bound import HashBound
from sa_partman.catalog import InvalidIndex, Partition
from sa_partman.compare.context import Context
from sa_partman.finding import Finding, Severity
from sa_partman.marks import marked
from sa_partman.plan.actions import (
    AttachPartition,
    DetachPartition,
    DropInvalidIndex,
    DropPartition,
    FinalizeDetach,
)
from sa_partman.plan.steps import Purpose, Step
from sa_partman.plan.table import index_steps, plan_table, recovery_steps
from sa_partman.spec.range_spec import Retention
from tests.support.builders import EVENTS, at, declare, found, partition, span

MONTHLY = PartitionByRange("created_at", interval="1 month", premake=0)
NOW = Context(at("2026-06-15"))
EXPIRED, CURRENT = span("2026-01-01", "2026-02-01"), span("2026-06-01", "2026-07-01")


def _pending(name: str = "old", *, ours: bool = True) -> Partition:
    comment = marked(EVENTS, "mine") if ours else "mine"
    return replace(partition(name, EXPIRED, 2), detach_pending=True, comment=comment)


def _steps(retention: Retention | None, each: Partition, *, referenced: bool = False) -> list[tuple[Purpose, type]]:
    declared = declare(MONTHLY.with_(retention=retention))
    table = replace(found(declared, each, partition("now", CURRENT, 3)), referenced=referenced)
    steps = (each for each in recovery_steps(declared, table, NOW) if isinstance(each, Step))
    return [(step.purpose, type(step.actions[0])) for step in steps]


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


def _foreign(
    retention: Retention | None, *, repair: bool = False, by: int | None = None, ours: bool = False
) -> list[Step | Finding]:
    declared = declare(MONTHLY.with_(retention=retention))
    pending = replace(_pending(ours=ours), detached_by=by)
    return list(recovery_steps(declared, found(declared, pending), NOW, repair=repair))


@pytest.mark.parametrize("retention", [None, Retention("1 month", then="drop")])
def test_of_somebody_else(retention: Retention | None) -> None:
    """Whatever the retention, its rows are invisible, and that is an error; nothing is done about it."""
    (finding,) = _foreign(retention)

    assert isinstance(finding, Finding)
    assert ("detach-pending", Severity.ERROR) == (finding.code, finding.severity)
    assert "sa-partman run --repair" in finding.remedy


def test_of_somebody_else_and_repaired() -> None:
    """Ended and attached again in one transaction; what is expired is ended, and never dropped."""
    (again,) = _foreign(Retention("1 year", then="drop"), repair=True)
    (expired,) = _foreign(Retention("1 month", then="drop"), repair=True)

    assert isinstance(again, Step)
    assert [FinalizeDetach, AttachPartition] == [type(each) for each in again.actions]
    assert isinstance(expired, Step)
    assert [FinalizeDetach] == [type(each) for each in expired.actions]


def test_of_somebody_else_with_partitions_of_its_own() -> None:
    """Attached from the top, so that 17 and 18 give all of the branch the same identity columns."""
    spec = MONTHLY.with_(subpartition=PartitionByHash("id", modulus=1))
    declared = declare(spec)
    assert declared.level.below is not None
    leaf = partition("leaf", HashBound(1, 0), 7)
    branch = replace(_pending(ours=False), kind="p", strategy="HASH", key=declared.level.below.key, partitions=(leaf,))
    (step,) = recovery_steps(declared, found(declared, branch), NOW, repair=True)

    assert isinstance(step, Step)
    assert [
        (FinalizeDetach, "old"),
        (DetachPartition, "leaf"),
        (AttachPartition, "old"),
        (AttachPartition, "leaf"),
    ] == [(type(each), each.partition.name) for each in step.actions]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("retention", "ours", "severity"),
    [
        (None, False, Severity.ERROR),
        (Retention("1 month", then="drop"), False, Severity.INFO),
        (None, True, Severity.INFO),
    ],
)
def test_one_that_still_runs(retention: Retention | None, ours: bool, severity: Severity) -> None:
    """It is left to whoever runs it, repaired or not; and it is an error when it takes away what is to be kept."""
    (finding,) = _foreign(retention, repair=True, by=4711, ours=ours)

    assert isinstance(finding, Finding)
    assert ("detach-running", severity) == (finding.code, finding.severity)
    assert "4711" in finding.message


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
