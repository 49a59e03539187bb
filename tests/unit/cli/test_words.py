"""Plans and results in words."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from click import unstyle

from sa_partman import PartitionByRange
from sa_partman.bounds.bound import RangeBound
from sa_partman.cli.output import counted, counted_result, failure_lines, finding_lines, lines_of, result_lines
from sa_partman.finding import Finding, Severity
from sa_partman.maintenance.results import MaintenancePlan, Outcome, RunResult, StepResult
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import Action, CreatePartition, CreateTable, DeleteExpired, DeleteReferring, DropTable
from sa_partman.plan.steps import Purpose, Step, TablePlan
from tests.support.builders import declare

NOW = datetime(2030, 1, 1, tzinfo=UTC)
TABLE = QualifiedName("public", "events")
BOUND = RangeBound((NOW,), (datetime(2030, 2, 1, tzinfo=UTC),))

KEY = declare(PartitionByRange("created_at", interval="1 month")).level.key


def step(purpose: Purpose, number: int) -> Step:
    name = QualifiedName("public", f"events_{number}")
    return Step(purpose, TABLE, name, BOUND, (DropTable(name),))


def plan(*steps: Step) -> MaintenancePlan:
    return MaintenancePlan(NOW, (TablePlan(TABLE, steps),))


DROP = step(Purpose.DROP, 9)


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([], "Nothing to do"),
        ([step(Purpose.PROVISION, 1)], "1 partition will be created"),
        ([step(Purpose.PROVISION, 1), step(Purpose.PROVISION, 2), DROP], "2 partitions will be created, 1 dropped"),
        ([step(Purpose.DETACH, 9), DROP], "1 partition will be dropped"),
        ([step(Purpose.DETACH, 9)], "1 partition will be detached"),
        ([step(Purpose.HEAL, 1), DROP], "1 partition will be healed, 1 dropped"),
    ],
)
def test_a_plan_is_counted_by_what_becomes_of_each_partition(steps: list[Step], words: str) -> None:
    assert words == counted(plan(*steps))


def test_partitions_of_all_levels_are_counted() -> None:
    """A tenant's partition with three below it is four; so it is when it goes."""
    tenant = QualifiedName("public", "events_acme")
    below = (QualifiedName("public", f"events_acme_{number}") for number in range(3))
    made: tuple[Action, ...] = (
        CreateTable(tenant, TABLE, "RANGE (at)"),
        *(CreatePartition(tenant, each, BOUND, KEY) for each in below),
    )
    creation = Step(Purpose.PROVISION, TABLE, tenant, None, made)
    drop = Step(Purpose.DROP, TABLE, tenant, None, (DropTable(tenant),), below=3)

    assert "4 partitions will be created" == counted(plan(creation))
    assert "4 partitions will be dropped" == counted(plan(drop))
    assert ["+ provision public.events_acme  with 3 below it"] == [unstyle(each) for each in lines_of(plan(creation))]


def test_rows_that_clear_the_way_are_no_partition() -> None:
    """The rows that refer to it have gone, and it stays."""
    stays = QualifiedName("public", "events_9")
    delete = DeleteReferring(QualifiedName("public", "notes"), stays, ("event",), ("id",))
    deleted = StepResult(Step(Purpose.DROP, TABLE, stays, BOUND, (delete,)), Outcome.DONE, 0.1, rows=5)
    failed = StepResult(DROP, Outcome.FAILED, 0.1, "no lock")
    result = RunResult(NOW, (deleted, failed), ())

    assert "No partition was changed; 1 step failed" == counted_result(result)
    assert ["- delete    rows of public.notes that refer to public.events_9  [2030-01-01, 2030-02-01)"] == [
        unstyle(each) for each in result_lines(result)
    ]
    assert {} == result.counts


def test_expired_rows_are_counted_as_rows() -> None:
    """The default partition stays; millions are not counted before they are deleted."""
    default = QualifiedName("public", "events_default")
    delete = DeleteExpired(default, default, TABLE, "true", KEY, rows=12_345)
    rows = Step(Purpose.DROP, TABLE, default, BOUND, (delete,))
    result = RunResult(NOW, (StepResult(rows, Outcome.DONE, 0.1, rows=1), StepResult(DROP, Outcome.DONE, 0.1)), ())

    assert "1 partition will be dropped; 12,345 expired rows will be deleted" == counted(plan(DROP, rows))
    assert "12,345 expired rows will be deleted" == counted(plan(rows))
    assert "1 partition dropped; 1 expired row deleted" == counted_result(result)
    assert {"dropped": 1} == result.counts
    assert ["- delete    12,345 expired rows of public.events_default  [2030-01-01, 2030-02-01)"] == [
        unstyle(each) for each in lines_of(plan(rows))
    ]
    assert "more than 1,000,000 expired rows will be deleted" == counted(
        plan(Step(Purpose.DROP, TABLE, default, BOUND, (replace(delete, rows=1_000_001),)))
    )


def test_nothing_to_do_is_said_only_when_nothing_is_in_the_way() -> None:
    finding = Finding("missing", Severity.ERROR, "public.events", "it does not exist")

    assert "Nothing is planned" == counted(MaintenancePlan(NOW, (TablePlan(TABLE, (), (finding,)),)))
    assert "Nothing was changed" == counted_result(RunResult(NOW, (), (finding,)))


def test_a_result_counts_what_was_done_and_what_failed() -> None:
    done = StepResult(step(Purpose.PROVISION, 1), Outcome.DONE, 0.1)
    other = StepResult(step(Purpose.PROVISION, 2), Outcome.SUPERSEDED, 0.1)
    failed = StepResult(step(Purpose.PROVISION, 3), Outcome.FAILED, 0.1, "no room")

    assert "Nothing to do" == counted_result(RunResult(NOW, (), ()))
    assert "1 partition created" == counted_result(RunResult(NOW, (done, other), ()))
    assert "1 partition created; 1 step failed" == counted_result(RunResult(NOW, (done, failed), ()))
    assert "Nothing was changed; 2 steps failed" == counted_result(RunResult(NOW, (failed, failed), ()))


def test_what_failed_is_told_apart_from_what_was_done() -> None:
    done = StepResult(step(Purpose.PROVISION, 1), Outcome.DONE, 0.1)
    failed = StepResult(step(Purpose.PROVISION, 3), Outcome.DEFERRED, 0.1, "no lock")
    result = RunResult(NOW, (done, failed), ())

    assert 1 == len(list(result_lines(result)))
    (line,) = failure_lines(result)
    assert line.endswith("no lock")
    assert "events_3" in line


def test_a_finding_has_its_remedy_below_it() -> None:
    finding = Finding("gap", Severity.ERROR, "public.events", "a gap", "run: sa-partman run")

    first, second = finding_lines([finding, Finding("x", Severity.INFO, "public.events", "fine")][:1])
    assert "ERROR" in first
    assert first.endswith("public.events: a gap")
    assert "-> run: sa-partman run" == second.strip()
