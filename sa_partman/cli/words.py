"""Plans, results and findings in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import click

from sa_partman.finding import Finding, Severity
from sa_partman.maintenance.results import MaintenancePlan, Outcome, RunResult, sentence
from sa_partman.plan.steps import Purpose, Step

_COLORS = {"+": "green", "-": "red", "~": "yellow"}
_SEVERITIES = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "blue"}
_PAST = {
    Purpose.HEAL: "healed",
    Purpose.REPAIR: "repaired",
    Purpose.ADOPT: "adopted",
    Purpose.PROVISION: "created",
    Purpose.DETACH: "detached",
    Purpose.ARCHIVE: "archived",
    Purpose.DROP: "dropped",
}


def lines_of(plan: MaintenancePlan) -> Iterator[str]:
    """A line for each step."""
    return (_colored(step) for step in plan.steps)


def counted(plan: MaintenancePlan) -> str:
    """``3 partitions will be created, 1 dropped``; ``Nothing to do`` when nothing stands in its way."""
    return _counted(plan.steps, "will be ") or ("Nothing is planned" if plan.findings else "Nothing to do")


def result_lines(result: RunResult) -> Iterator[str]:
    """A line for each step that changed something, or was done by somebody else meanwhile."""
    for each in result.steps:
        if not each.failed:
            yield _colored(each.step) + (f"  {each.outcome.value}" if each.outcome is not Outcome.DONE else "")


def failure_lines(result: RunResult) -> Iterator[str]:
    """A line for each step that was not done."""
    failed = (each for each in result.steps if each.failed)
    return (f"{click.style('FAILED', fg='red', bold=True)}  {sentence(each.step)}: {each.error}" for each in failed)


def counted_result(result: RunResult) -> str:
    """``3 partitions created, 1 dropped``, and how many steps failed."""
    done = _counted((each.step for each in result.steps if each.outcome is Outcome.DONE), "")
    failed = sum(1 for each in result.steps if each.failed)
    if failed:
        return f"{done or 'Nothing was changed'}; {failed} {'step' if failed == 1 else 'steps'} failed"
    return done or ("Nothing was changed" if result.findings else "Nothing to do")


def finding_lines(findings: Iterable[Finding]) -> Iterator[str]:
    """Two lines a finding: what is so, and what to do."""
    for finding in findings:
        severity = click.style(f"{finding.severity.value.upper():<8}", fg=_SEVERITIES[finding.severity], bold=True)
        yield f"{severity} {finding.table + ': ' if finding.table else ''}{finding.message}"
        if finding.remedy:
            yield f"{'':<8} -> {finding.remedy}"


def _colored(step: Step) -> str:
    line = sentence(step)
    return click.style(line, fg=_COLORS.get(line[0]))


def _counted(steps: Iterable[Step], before: str) -> str:
    """Partitions, each under the last thing that happens to it: a detached one that is then dropped is dropped."""
    fates = {step.partition: step.purpose for step in steps}
    numbers = {purpose: sum(1 for fate in fates.values() if fate is purpose) for purpose in Purpose}
    parts = [f"{number} {_PAST[purpose]}" for purpose, number in numbers.items() if number]
    if not parts:
        return ""
    number, _, verb = parts[0].partition(" ")
    noun = "partition" if number == "1" else "partitions"
    return ", ".join([f"{number} {noun} {before}{verb}", *parts[1:]])
