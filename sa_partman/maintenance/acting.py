"""Acting: look, plan, execute, under the right to be the only maintainer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sa_partman.compare.situation import Path
from sa_partman.errors import ExclusionLost
from sa_partman.finding import Finding, Severity
from sa_partman.maintenance.executing import Executor
from sa_partman.maintenance.looking import Tables, looked, planned
from sa_partman.maintenance.results import RunResult, StepResult
from sa_partman.maintenance.settings import Settings
from sa_partman.maintenance.tenants import typed
from sa_partman.plan.branches import branch_steps
from sa_partman.plan.steps import Purpose, Step
from sa_partman.postgres.exclusion import only_maintainer
from sa_partman.postgres.running import Running


def run(settings: Settings, tables: Tables, purposes: tuple[Purpose, ...], paths: tuple[Path, ...] = ()) -> RunResult:
    """The steps of *purposes*; every creation of every table comes before the first removal."""
    with _running(settings) as running:
        view = looked(settings, tables, paths)
        view.session.require_writable()
        plans = [planned(each) for each in view.tables]
        steps = [step for plan in plans for step in plan.steps if step.purpose in purposes]
        steps.sort(key=lambda step: step.purpose.removes)
        results, lost = _told(settings, Executor(settings, running, paths), steps)
    findings = tuple(finding for plan in plans for finding in plan.findings)
    return RunResult(view.now, tuple(results), (*findings, *lost))


def drop_branch(settings: Settings, table: str, branch: Any) -> RunResult:
    """Drops the partition of one tenant with all below it."""
    path = branch if isinstance(branch, tuple) else (branch,)
    with _running(settings) as running:
        view = looked(settings, [table])
        view.session.require_writable()
        declared = view.tables[0].declared
        steps = branch_steps(declared, view.tables[0].found, typed(declared, [path])[0])
        results, lost = _told(settings, Executor(settings, running), list(steps))
    return RunResult(view.now, tuple(results), tuple(lost))


@contextmanager
def _running(settings: Settings) -> Iterator[Running]:
    with only_maintainer(settings.engine, settings.lock, settings.waiting) as exclusion:
        yield Running(settings.engine, settings.lock, settings.waiting, exclusion)


def _told(settings: Settings, executor: Executor, steps: list[Step]) -> tuple[list[StepResult], list[Finding]]:
    """The results, each reported when it is there; and why the run ended early, if so."""
    results: list[StepResult] = []
    try:
        for result in executor.results(steps):
            results.append(result)
            if settings.report is not None:
                settings.report(result, len(results), len(steps))
    except ExclusionLost as error:
        return results, [Finding("exclusion-lost", Severity.ERROR, "", str(error), "run again")]
    return results, []
