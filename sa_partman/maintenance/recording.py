"""The record of a run: each step and the run itself go to the log, and to the audit tables when they are wanted."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence

from sa_partman.finding import Finding, Severity
from sa_partman.maintenance.audit import Audit
from sa_partman.maintenance.entries import Entry
from sa_partman.maintenance.results import Outcome
from sa_partman.maintenance.settings import Settings
from sa_partman.observe.log import LOGGER
from sa_partman.passwords import without_passwords
from sa_partman.postgres.session import Session


class Record:
    """
    Of one run, from its first step to its end.

    Args:
        run: The run's name.
        audit: Where it is kept, too.
    """

    def __init__(self, run: str, audit: Audit | None) -> None:
        self.run, self._audit = run, audit
        self._began = time.monotonic()
        self._outcomes: Counter[Outcome] = Counter()

    @classmethod
    def of(cls, settings: Settings, run: str, session: Session) -> Record:
        """A maintainer's."""
        return cls(run, Audit.of(settings.engine, settings.audit, session))

    def begin(self, planned: int) -> None:
        """Before the first step."""
        LOGGER.debug("run %s begins, %d steps", self.run, planned, extra={"run": self.run, "steps": planned})
        if self._audit is not None:
            self._audit.begin(self.run, planned)

    def step(self, entry: Entry) -> None:
        """After each step that was tried."""
        self._outcomes[entry.outcome] += 1
        log_step(self.run, entry)
        if self._audit is not None:
            self._audit.step(entry)

    def end(self, findings: Sequence[Finding] = ()) -> tuple[Finding, ...]:
        """After the last step; what could not be recorded."""
        errors = [each.message for each in findings if each.severity is Severity.ERROR]
        self._close("; ".join(errors))
        return () if self._audit is None else self._audit.findings

    def broken(self, error: BaseException) -> None:
        """The run ends with *error*, which is raised all the same."""
        self._close(without_passwords(str(error)) or type(error).__name__)

    def _close(self, error: str) -> None:
        steps, done = self._outcomes.total(), self._outcomes[Outcome.DONE]
        failed = self._outcomes[Outcome.FAILED] + self._outcomes[Outcome.DEFERRED]
        seconds = round(time.monotonic() - self._began, 4)
        ok = not failed and not error
        said = f"run {self.run}: {done} of {steps} steps done, {seconds:.3f} s{'; ' + error if error else ''}"
        fields = {"run": self.run, "steps": steps, "failed": failed, "seconds": seconds}
        LOGGER.log(
            logging.INFO if ok else logging.WARNING, said, extra={**fields, "outcome": "done" if ok else "failed"}
        )
        if self._audit is not None:
            self._audit.end(ok=ok, done=done, failed=failed, error=error)


def log_step(run: str, entry: Entry) -> None:
    """One record a step; WARNING when it was not done. Its SQL is another one, at DEBUG."""
    fields = {
        "run": run,
        "table": entry.table,
        "partition": entry.partition,
        "purpose": entry.purpose,
        "step": entry.step,
        "outcome": entry.outcome.value,
        "seconds": round(entry.seconds, 4),
        "rows": entry.rows,
        "blockers": entry.blockers,
    }
    said = f"{entry.said}  {entry.outcome.value}{': ' + entry.error if entry.error else ''}"
    LOGGER.log(logging.INFO if entry.good else logging.WARNING, "%s", said, extra=fields)
    if LOGGER.isEnabledFor(logging.DEBUG):
        for statement in entry.sql:
            LOGGER.debug(statement, extra={"run": run, "table": fields["table"], "sql": statement})
