"""Plans and results are values: printable as sentences and as SQL, comparable, JSON."""

from __future__ import annotations

import json

import pytest

from sa_partman import PartitionByRange, Retention
from sa_partman.finding import Finding, Severity
from sa_partman.maintenance.results import MaintenancePlan, Outcome, RunResult, StepResult
from sa_partman.plan.steps import Purpose
from tests.support.builders import Catalog, context, declare, span

NOW = context("2026-01-15")


def plan() -> MaintenancePlan:
    catalog = Catalog(declare(PartitionByRange("created_at", interval="1 month", premake=0, retention=Retention(0))))
    catalog.add("old", span("1999-01-01", "1999-02-01"))
    return MaintenancePlan(NOW.now, (catalog.plan(NOW),))


def test_an_empty_plan() -> None:
    """False, and it says so."""
    empty = MaintenancePlan(NOW.now, ())

    assert not empty
    assert "nothing to do" == str(empty)
    assert "" == empty.sql()


def test_a_plan_in_sentences() -> None:
    """A line per step: what, which, its range."""
    assert (
        "+ provision public.events_p20260101  [2026-01-01, 2026-02-01)\n"
        "- detach    public.old  [1999-01-01, 1999-02-01)"
    ) == str(plan())


def test_a_plan_as_sql() -> None:
    """Each step in its transaction."""
    script = plan().sql()

    assert 2 == script.count("BEGIN;") == script.count("COMMIT;")
    assert script.index("ATTACH PARTITION") < script.index("DETACH PARTITION")


def test_plans_compare() -> None:
    """Made from the same, they are equal."""
    assert plan() == plan()
    assert plan() != MaintenancePlan(NOW.now, ())


def test_a_plan_is_json() -> None:
    """With the SQL of each step."""
    shown = json.loads(json.dumps(plan().to_dict()))

    assert ["provision", "detach"] == [step["purpose"] for step in shown["steps"]]
    assert shown["steps"][0]["sql"][0].startswith("CREATE TABLE public.events_p20260101")
    assert shown["steps"][0]["transaction"]
    assert {"created": 1, "detached": 1} == shown["partitions"]


def test_a_plan_narrowed_to_a_purpose() -> None:
    """The others are left out."""
    assert [Purpose.DETACH] == [step.purpose for step in plan().only(Purpose.DETACH).steps]


@pytest.mark.parametrize(
    ("outcome", "ok"),
    [(Outcome.DONE, True), (Outcome.SUPERSEDED, True), (Outcome.DEFERRED, False), (Outcome.FAILED, False)],
)
def test_a_result_is_ok_when_every_step_is(outcome: Outcome, ok: bool) -> None:
    """What somebody else did is done as well."""
    step = next(plan().steps)
    result = RunResult(NOW.now, (StepResult(step, outcome, 0.1, "" if ok else "why"),), ())

    assert ok == result.ok
    assert result
    assert (outcome is Outcome.DONE) == (str(outcome).upper() not in str(result))


@pytest.mark.parametrize(("severity", "ok"), [(Severity.ERROR, False), (Severity.WARNING, True), (Severity.INFO, True)])
def test_what_stands_in_the_way_of_a_result(severity: Severity, ok: bool) -> None:
    """An error that was not even tried is an error."""
    result = RunResult(NOW.now, (), (Finding("x", severity, "events", "is so", "do that"),))

    assert ok == result.ok
    assert "! events: is so; do that" == str(result)
    assert not result


def test_a_result_is_json() -> None:
    """The step, how it went, and how long it took."""
    step = next(plan().steps)
    shown = json.loads(json.dumps(RunResult(NOW.now, (StepResult(step, Outcome.FAILED, 1.5, "why"),), ()).to_dict()))

    assert not shown["ok"]
    assert {} == shown["partitions"]
    assert ("failed", 1.5, "why") == tuple(shown["steps"][0][key] for key in ("outcome", "seconds", "error"))
