"""What the log and the audit say of one step, whatever work it belongs to."""

from __future__ import annotations

from dataclasses import dataclass

from sa_partman.bounds.text import describe
from sa_partman.ddl.render import step_sql
from sa_partman.ddl.stored import statements_of
from sa_partman.maintenance.results import Outcome, StepResult, sentence
from sa_partman.names import QualifiedName
from sa_partman.plan.steps import Step


@dataclass(frozen=True, slots=True)
class Entry:
    """
    Args:
        said: What the step does, in one line.
        bound: As text.
        step: The id of a conversion's step; empty for any other.
        error: Empty: none.
        blockers: Who held the locks that were not granted.
    """

    said: str
    purpose: str
    table: str
    partition: str
    outcome: Outcome
    sql: tuple[str, ...]
    seconds: float
    bound: str | None = None
    step: str = ""
    rows: int | None = None
    error: str = ""
    blockers: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        return self.outcome in (Outcome.FAILED, Outcome.DEFERRED)

    @property
    def good(self) -> bool:
        """Nothing in it needs a look."""
        return self.outcome in (Outcome.DONE, Outcome.SUPERSEDED) and not self.error


def of_result(result: StepResult) -> Entry:
    """Of a maintainer's step."""
    step = result.step
    return Entry(
        sentence(step),
        step.purpose.value,
        str(step.table),
        str(step.partition),
        result.outcome,
        step_sql(step),
        result.seconds,
        None if step.bound is None else describe(step.bound),
        rows=result.rows,
        error=result.error,
        blockers=result.blockers,
    )


def of_conversion(
    table: QualifiedName,
    purpose: str,
    step: Step,
    outcome: Outcome,
    seconds: float,
    error: str = "",
    blockers: tuple[str, ...] = (),
) -> Entry:
    """
    Of a conversion's step.

    Args:
        purpose: "convert", "undo" or "abort".
    """
    return Entry(
        f"~ {purpose:<9} {table}  {step.id}: {step.title}",
        purpose,
        str(table),
        str(table),
        outcome,
        (f"-- {step.id}: {step.title}", *sent_of(purpose, step)),
        seconds,
        step=step.id,
        error=error,
        blockers=blockers,
    )


def sent_of(purpose: str, step: Step) -> tuple[str, ...]:
    """What the server is sent of *step*: on the way, or to take it back."""
    return statements_of(step.undo if purpose == "abort" else step.actions)
