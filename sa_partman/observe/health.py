"""Health: what a maintainer that runs again and again knows of its runs; and the log, with fields on every record."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sa_partman.checks.status import TableStatus
from sa_partman.finding import Finding
from sa_partman.passwords import without_passwords

LATE = 2
"""Intervals after which the last run is too old."""


class StepCount(NamedTuple):
    """
    How many times something happened since the service started.

    Args:
        table: The declared table.
        purpose: "heal", "repair", "provision", "detach", "archive" or "drop".
        outcome: "done", "superseded", "deferred", "vetoed" or "failed".
    """

    table: str
    purpose: str
    outcome: str
    times: int


@dataclass(frozen=True, slots=True)
class Ended:
    """
    How one run ended.

    Args:
        at: When; aware.
        error: Why it was not good, in one line; empty when it was.
        busy: Another maintainer was at work, so this run did nothing. That is no failure.
        steps: Table, purpose and outcome of each step that was tried.
        findings: What stood in the way and was not tried.
        tables: What the tables look like now; empty: not looked at.
    """

    at: datetime
    error: str = ""
    busy: bool = False
    steps: tuple[tuple[str, str, str], ...] = ()
    findings: tuple[Finding, ...] = ()
    tables: tuple[TableStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class Health:
    """
    A snapshot; each change gives another one. Instants are aware, and by the clock of the service's machine.

    Args:
        started: When the service began.
        interval: Seconds from one run to the next.
        due: When the next run begins; None: the service has ended.
        began: When the last run began; None before the first one.
        last: How the last one that ended went; None before that.
        completed: When one of our own runs last ended without an error; None before that.
        runs: That ended, whatever their end.
        errors: Runs that ended with an error, or with a step that failed.
        busy: Runs that found another maintainer at work.
        missed: Turns that were dropped because a run took longer than an interval.
        counts: Of steps, since the start; sorted.
    """

    started: datetime
    interval: float
    due: datetime | None = None
    began: datetime | None = None
    last: Ended | None = None
    completed: datetime | None = None
    runs: int = 0
    errors: int = 0
    busy: int = 0
    missed: int = 0
    counts: tuple[StepCount, ...] = ()

    @property
    def running(self) -> bool:
        """Whether a run is under way; one that was cut off by the end of the service is not."""
        begun = self.began is not None and (self.last is None or self.last.at < self.began)
        return begun and self.due is not None

    def with_begin(self, at: datetime) -> Health:
        return replace(self, began=at)

    def with_due(self, at: datetime | None, missed: int = 0) -> Health:
        return replace(self, due=at, missed=self.missed + missed)

    def with_end(self, ended: Ended) -> Health:
        good = not ended.error and not ended.busy
        return replace(
            self,
            last=ended,
            completed=ended.at if good else self.completed,
            runs=self.runs + 1,
            errors=self.errors + bool(ended.error),
            busy=self.busy + ended.busy,
            counts=_added(self.counts, ended.steps),
        )

    def problem(self, now: datetime) -> str:
        """Why ``/healthz`` should say 503; empty when all is well."""
        if self.last is None:
            return "no run has ended yet"
        if self.last.error:
            return f"the last run failed: {self.last.error}"
        longest = timedelta(seconds=LATE * self.interval)
        if now - self.last.at > longest:
            return f"the last run ended at {self.last.at.isoformat()}, more than {LATE} intervals ago"
        if self.last.busy and now - (self.completed or self.started) > longest:
            return f"another maintainer was at work at each of our turns, for more than {LATE} intervals"
        return ""

    def to_dict(self, now: datetime) -> dict[str, Any]:
        """For ``/healthz``."""
        problem = self.problem(now)
        last = self.last
        return {
            "ok": not problem,
            "problem": problem,
            "started": self.started.isoformat(),
            "running": self.running,
            "last_run": None
            if last is None
            else {"ended": last.at.isoformat(), "ok": not last.error, "busy": last.busy, "error": last.error},
            "next_run": None if self.due is None else self.due.isoformat(),
            "runs": {"ended": self.runs, "failed": self.errors, "busy": self.busy, "missed": self.missed},
        }


def _added(counts: tuple[StepCount, ...], steps: Iterable[tuple[str, str, str]]) -> tuple[StepCount, ...]:
    totals = Counter({each[:3]: each.times for each in counts})
    totals.update(steps)
    return tuple(StepCount(*key, times) for key, times in sorted(totals.items()))


LOGGER = logging.getLogger("sa_partman")
LOGGER.addHandler(logging.NullHandler())

FIELDS = (
    *("run", "table", "partition", "purpose", "step", "outcome", "seconds", "rows", "blockers", "waits_for"),
    *("steps", "failed", "sql"),
)
"""What a record may carry beside its message, as attributes."""


class JsonFormatter(logging.Formatter):
    """One object a line: ``time`` (UTC), ``level``, ``logger``, ``message``, and what `FIELDS` has of it."""

    def format(self, record: logging.LogRecord) -> str:
        document: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        values = {name: getattr(record, name, None) for name in FIELDS}
        document.update((name, value) for name, value in values.items() if value not in (None, "", ()))
        if record.exc_info:
            document["exception"] = without_passwords(self.formatException(record.exc_info))
        return json.dumps(document, ensure_ascii=False, default=str)
