"""Plans, results and findings in words: data on stdout, everything else on stderr; and leave to remove data."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click

from sa_partman.errors import ConfigurationError
from sa_partman.finding import Finding, Severity
from sa_partman.maintenance.results import MaintenancePlan, Outcome, RunResult, counts, expired, sentence
from sa_partman.plan.actions import DeleteExpired
from sa_partman.plan.steps import Step

_COLORS = {"+": "green", "-": "red", "~": "yellow"}
_SEVERITIES = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "blue"}


def lines_of(plan: MaintenancePlan) -> Iterator[str]:
    """A line for each step."""
    return (_colored(step) for step in plan.steps)


def counted(plan: MaintenancePlan) -> str:
    """``3 partitions will be created, 1 dropped``; ``Nothing to do`` when nothing stands in its way."""
    rows = [action.rows for step in plan.steps for action in step.actions if isinstance(action, DeleteExpired)]
    parts = (_counted(counts(plan.steps), "will be "), f"{expired(sum(rows))} will be deleted" if rows else "")
    return _both(*parts) or ("Nothing is planned" if plan.findings else "Nothing to do")


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
    gone = [each.rows or 0 for each in result.steps if each.step.deletes_rows and each.outcome is Outcome.DONE]
    done = _both(_counted(result.counts, ""), f"{expired(sum(gone), exact=True)} deleted" if gone else "")
    failed = sum(1 for each in result.steps if each.failed)
    if failed:
        if not done:
            # Rows of other tables may have gone before the partition stayed.
            changed = any(each.outcome is Outcome.DONE for each in result.steps)
            done = "No partition was changed" if changed else "Nothing was changed"
        return f"{done}; {failed} {'step' if failed == 1 else 'steps'} failed"
    return done or ("Nothing was changed" if result.findings else "Nothing to do")


def _both(*parts: str) -> str:
    return "; ".join(filter(None, parts))


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


def _counted(numbers: Mapping[str, int], before: str) -> str:
    parts = [f"{number} {past}" for past, number in numbers.items()]
    if not parts:
        return ""
    number, _, verb = parts[0].partition(" ")
    noun = "partition" if number == "1" else "partitions"
    return ", ".join([f"{number} {noun} {before}{verb}", *parts[1:]])


def print_json(document: dict[str, Any]) -> None:
    click.echo(json.dumps(document, indent=2))


def print_lines(lines: Iterable[str], *, err: bool = False) -> None:
    for line in lines:
        click.echo(line, err=err)


def print_plan(plan: MaintenancePlan, *, as_json: bool, as_sql: bool) -> None:
    if as_json:
        print_json(plan.to_dict())
        return
    if as_sql:
        click.echo(plan.sql(), nl=False)
    else:
        print_lines([*lines_of(plan), f"{counted(plan)}."])
    print_lines(finding_lines(plan.findings), err=True)


def print_result(result: RunResult, *, as_json: bool) -> None:
    if as_json:
        print_json(result.to_dict())
        return
    print_lines([*result_lines(result), f"{counted_result(result)}."])
    print_lines([*failure_lines(result), *finding_lines(result.findings)], err=True)


def removes(plan: MaintenancePlan) -> bool:
    return any(step.purpose.removes for step in plan.steps)


def agreed(plan: MaintenancePlan) -> bool:
    """
    Whether the user wants *plan*, which is shown on stderr first.

    Raises:
        ConfigurationError: There is nobody to ask.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfigurationError(
            f"{counted(plan)}: removing data needs --yes where nobody can be asked; nothing was changed"
        )
    for line in lines_of(plan):
        click.echo(line, err=True)
    click.echo(f"{counted(plan)}.", err=True)
    return click.confirm("Go on?", err=True)
