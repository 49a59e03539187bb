"""Of one piece of a converter's work: hooks are asked and told, and each step goes to the log and the audit."""

from __future__ import annotations

import time
from asyncio import CancelledError
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sa_partman.engine.conversion import Vetoed
from sa_partman.errors import ExecutionError, LockNotAcquired
from sa_partman.events import StepEvent, When
from sa_partman.finding import Finding
from sa_partman.maintenance.audit import Record, of_conversion, sent_of
from sa_partman.maintenance.results import Outcome
from sa_partman.maintenance.settings import Hooks
from sa_partman.names import QualifiedName
from sa_partman.plan.steps import Step


@dataclass(slots=True)
class Recorded:
    """
    Args:
        purpose: "convert", "undo" or "abort".
        findings: What could not be recorded, once the work is over.
    """

    record: Record
    hooks: Hooks
    table: QualifiedName
    purpose: str
    findings: tuple[Finding, ...] = field(default=(), init=False)

    @contextmanager
    def run(self, planned: int) -> Iterator[None]:
        """The work, of so many steps; one that was vetoed ends it in order."""
        self.record.begin(planned)
        try:
            yield
        except Vetoed:
            pass
        except (KeyboardInterrupt, SystemExit, GeneratorExit, CancelledError):
            raise  # at once: the record of a run without an end says what happened
        except BaseException as error:
            self.record.broken(error)
            raise
        self.findings = self.record.end()

    def ask(self, step: Step) -> None:
        """
        Raises:
            Vetoed: A hook is against the step.
            ExecutionError: A hook failed.
        """
        refusal = self.hooks.ask(self._event(When.BEFORE, step))
        if refusal is None:
            return
        if refusal.outcome is Outcome.VETOED:
            raise Vetoed(f"the step {step.id!r} was vetoed by {refusal.error}")
        again = "abort" if self.purpose == "abort" else "resume"
        raise ExecutionError(
            f"{self.table}: before the step {step.id!r} {refusal.error}. Fix the hook, then go on: "
            f"Converter.{again}({str(self.table)!r})"
        )

    @contextmanager
    def around(self, step: Step) -> Iterator[None]:
        """What became of *step*, which is done in the block."""
        began = time.monotonic()
        try:
            yield
        except Vetoed as error:
            self._note(step, Outcome.VETOED, began, str(error))
            raise
        except LockNotAcquired as error:
            self._note(step, Outcome.DEFERRED, began, str(error), error.blockers)
            raise
        except Exception as error:
            self._note(step, Outcome.FAILED, began, str(error) or type(error).__name__)
            raise
        self._note(step, Outcome.DONE, began, "; ".join(self.hooks.tell(self._event(When.AFTER, step))))

    def _note(self, step: Step, outcome: Outcome, began: float, error: str, blockers: tuple[str, ...] = ()) -> None:
        seconds = time.monotonic() - began
        self.record.step(of_conversion(self.table, self.purpose, step, outcome, seconds, error, blockers))

    def _event(self, when: When, step: Step) -> StepEvent:
        sql = sent_of(self.purpose, step)
        return StepEvent(when, self.purpose, self.table, self.table, None, sql, self.record.run, step.id)
