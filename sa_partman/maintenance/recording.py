"""The record of a run: each step and the run itself go to the log, and to the audit tables when they are wanted."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from sa_partman.ddl.render import step_sql
from sa_partman.finding import Finding, Severity
from sa_partman.maintenance.audit import Audit
from sa_partman.maintenance.results import Outcome, StepResult, sentence
from sa_partman.maintenance.settings import Settings
from sa_partman.observe.log import LOGGER
from sa_partman.passwords import without_passwords
from sa_partman.postgres.session import Session


class Record:
    """
    Of one run, from its first step to its end.

    Args:
        run: The run's name.
        session: What the server said of itself when it was looked at.
    """

    def __init__(self, settings: Settings, run: str, session: Session) -> None:
        self.run = run
        self._began = time.monotonic()
        self._audit = Audit.of(settings, session)

    def begin(self, planned: int) -> None:
        """Before the first step."""
        LOGGER.debug("run %s begins, %d steps", self.run, planned, extra={"run": self.run, "steps": planned})
        if self._audit is not None:
            self._audit.begin(self.run, planned)

    def step(self, result: StepResult) -> None:
        """After each step that was tried."""
        log_step(self.run, result)
        if self._audit is not None:
            self._audit.step(result)

    def end(self, results: Sequence[StepResult], findings: Sequence[Finding]) -> tuple[Finding, ...]:
        """After the last step; what could not be recorded."""
        errors = [each.message for each in findings if each.severity is Severity.ERROR]
        self._close(results, "; ".join(errors))
        return () if self._audit is None else self._audit.findings

    def broken(self, results: Sequence[StepResult], error: BaseException) -> None:
        """The run ends with *error*, which is raised all the same."""
        self._close(results, without_passwords(str(error)) or type(error).__name__)

    def _close(self, results: Sequence[StepResult], error: str) -> None:
        steps, failed = len(results), sum(1 for each in results if each.failed)
        done = sum(1 for each in results if each.outcome is Outcome.DONE)
        seconds = round(time.monotonic() - self._began, 4)
        ok = not failed and not error
        said = f"run {self.run}: {done} of {steps} steps done, {seconds:.3f} s{'; ' + error if error else ''}"
        fields = {"run": self.run, "steps": steps, "failed": failed, "seconds": seconds}
        LOGGER.log(
            logging.INFO if ok else logging.WARNING, said, extra={**fields, "outcome": "done" if ok else "failed"}
        )
        if self._audit is not None:
            self._audit.end(ok=ok, done=done, failed=failed, error=error)


def log_step(run: str, result: StepResult) -> None:
    """One record a step; WARNING when it was not done. Its SQL is another one, at DEBUG."""
    step = result.step
    fields = {
        "run": run,
        "table": str(step.table),
        "partition": str(step.partition),
        "purpose": step.purpose.value,
        "outcome": result.outcome.value,
        "seconds": round(result.seconds, 4),
        "rows": result.rows,
        "blockers": result.blockers,
    }
    good = result.outcome in (Outcome.DONE, Outcome.SUPERSEDED) and not result.error
    said = f"{sentence(step)}  {result.outcome.value}{': ' + result.error if result.error else ''}"
    LOGGER.log(logging.INFO if good else logging.WARNING, said, extra=fields)
    if LOGGER.isEnabledFor(logging.DEBUG):
        for statement in step_sql(step):
            LOGGER.debug(statement, extra={"run": run, "table": fields["table"], "sql": statement})
