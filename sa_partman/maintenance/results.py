"""What a plan is to its reader, and what one run did."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sa_partman.bounds.text import describe
from sa_partman.ddl.render import script_of, step_sql
from sa_partman.engine.budget import LockPolicy
from sa_partman.finding import Finding, Severity
from sa_partman.passwords import without_passwords
from sa_partman.plan.actions import COUNTED, DeleteExpired, DeleteReferring
from sa_partman.plan.steps import Plan, Purpose, Step


@dataclass(frozen=True, slots=True)
class MaintenancePlan(Plan):
    """
    A plan that prints itself: as sentences with ``str()``, as the SQL that would run with ``sql()``.

    Args:
        lock: How long its transactions wait for locks.
    """

    lock: LockPolicy = field(default_factory=LockPolicy, compare=False, repr=False)

    def sql(self) -> str:
        """A script for psql, with the timeouts of a run; empty when there is nothing to do."""
        return script_of(self.steps, lock_timeout=self.lock.lock_timeout, patience=self.lock.budget)

    def __str__(self) -> str:
        lines = [sentence(step) for step in self.steps]
        lines += [f"! {finding.table}: {finding.message}" for finding in self.findings]
        return "\n".join(lines) or "nothing to do"

    def to_dict(self) -> dict[str, Any]:
        return {
            "now": self.now.isoformat(),
            "partitions": counts(self.steps),
            "steps": [step_dict(step) for step in self.steps],
            "findings": [finding.to_dict() for finding in self.findings],
        }


def sentence(step: Step) -> str:
    """``+ events_p20240101 [2024-01-01, 2024-02-01)`` and the like: one line."""
    sign = "-" if step.purpose.removes else "+" if step.purpose == "provision" else "~"
    bound = "" if step.bound is None else f"  {describe(step.shown or step.bound)}"
    if step.prepares:
        tables = ", ".join(str(action.table) for action in step.actions if isinstance(action, DeleteReferring))
        return f"- {'delete':<9} rows of {tables} that refer to {step.partition}{bound}"
    if step.deletes_rows:
        (table,) = (action.table for action in step.actions if isinstance(action, DeleteExpired))
        return f"- {'delete':<9} {_rows(step)} of {table}{bound}"
    if step.purpose is Purpose.REGRID:
        return f"{sign} {step.purpose.value:<9} {step.partition}{bound}  gives way to {step.partitions}"
    below = f"  with {step.partitions - 1} below it" if step.partitions > 1 else ""
    return f"{sign} {step.purpose.value:<9} {step.partition}{bound}{below}"


def _rows(step: Step) -> str:
    return expired(sum(action.rows for action in step.actions if isinstance(action, DeleteExpired)))


def expired(rows: int, *, exact: bool = False) -> str:
    """``12,345 expired rows``; before they are deleted, nobody counts millions."""
    number = f"more than {COUNTED:,}" if rows > COUNTED and not exact else f"{rows:,}"
    return f"{number} expired {'row' if rows == 1 else 'rows'}"


_PAST = {
    Purpose.HEAL: "healed",
    Purpose.REPAIR: "repaired",
    Purpose.ADOPT: "adopted",
    Purpose.REGRID: "made anew",
    Purpose.PROVISION: "created",
    Purpose.DETACH: "detached",
    Purpose.ARCHIVE: "archived",
    Purpose.DROP: "dropped",
}


def counts(steps: Iterable[Step]) -> dict[str, int]:
    """
    ``{"created": 3, "dropped": 1}``: partitions of all levels, each under the last thing that happens to it. A detached
    one that is then dropped is dropped.
    """
    fates = {step.partition: step for step in steps if not step.prepares and not step.deletes_rows}
    numbers = (
        (past, sum(each.partitions for each in fates.values() if each.purpose is of)) for of, past in _PAST.items()
    )
    return {past: number for past, number in numbers if number}


def step_dict(step: Step) -> dict[str, Any]:
    return {
        "purpose": step.purpose.value,
        "table": str(step.table),
        "partition": str(step.partition),
        "bound": None if step.bound is None else describe(step.bound),
        "transaction": step.in_transaction,
        "sql": list(step_sql(step)),
    }


class Outcome(StrEnum):
    """
    DONE; SUPERSEDED: somebody else did it; VETOED: a hook was against it; DEFERRED: no lock within the budget; FAILED:
    the server refused it, or a hook before it failed.
    """

    DONE = "done"
    SUPERSEDED = "superseded"
    VETOED = "vetoed"
    DEFERRED = "deferred"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class StepResult:
    """
    Args:
        step: What was to be done.
        outcome: How it went; on everything but DONE, nothing of it was changed.
        seconds: How long it took, pauses included.
        error: One line; empty when there was none. On a VETOED step the reason; on a DONE one what a hook got wrong
            after it.
        rows: That were moved, deleted or archived, when that says something.
        blockers: Who held the locks that were not granted, one line each.
        note: What was done otherwise than planned, and why.
    """

    step: Step
    outcome: Outcome
    seconds: float
    error: str = ""
    rows: int | None = None
    blockers: tuple[str, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        if self.error:
            object.__setattr__(self, "error", without_passwords(self.error))

    @property
    def failed(self) -> bool:
        return self.outcome in (Outcome.FAILED, Outcome.DEFERRED)

    def to_dict(self) -> dict[str, Any]:
        return {
            **step_dict(self.step),
            "outcome": self.outcome.value,
            "seconds": round(self.seconds, 4),
            "error": self.error,
            "rows": self.rows,
            "blockers": list(self.blockers),
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class RunResult:
    """
    What one run did, in order. Falsy when it found nothing to do.

    Args:
        now: The instant that it was made for; aware.
        steps: One result for each step tried.
        findings: What stands in the way and was not tried.
    """

    now: datetime
    steps: tuple[StepResult, ...]
    findings: tuple[Finding, ...]

    def __bool__(self) -> bool:
        return bool(self.steps)

    @property
    def ok(self) -> bool:
        """True when every step was done and nothing stands in the way."""
        errors = any(finding.severity is Severity.ERROR for finding in self.findings)
        return not errors and not any(step.failed for step in self.steps)

    @property
    def counts(self) -> dict[str, int]:
        """Partitions by what was done to them: ``{"created": 3, "dropped": 1}``."""
        return counts(each.step for each in self.steps if each.outcome is Outcome.DONE)

    def __str__(self) -> str:
        lines = [_result_line(result) for result in self.steps]
        lines += [f"! {finding.table}: {finding.message}; {finding.remedy}" for finding in self.findings]
        return "\n".join(lines) or "nothing to do"

    def to_dict(self) -> dict[str, Any]:
        return {
            "now": self.now.isoformat(),
            "ok": self.ok,
            "partitions": self.counts,
            "steps": [step.to_dict() for step in self.steps],
            "findings": [finding.to_dict() for finding in self.findings],
        }


def _result_line(result: StepResult) -> str:
    line = sentence(result.step) + (f"  ({result.note})" if result.note else "")
    if result.outcome is Outcome.DONE:
        return f"{line}  ! {result.error}" if result.error else line
    return f"{line}  {result.outcome.value.upper()}{': ' + result.error if result.error else ''}"
