"""A step is about to be tried, or was."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sa_partman.bounds.bound import Bound
from sa_partman.names import QualifiedName


class When(StrEnum):
    """Before a step, or after it."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class StepEvent:
    """
    What a hook is told of one step, of a maintainer or of a conversion: before it is done, or after it was.

    Args:
        when: BEFORE: nothing was changed yet, and a hook may veto it. AFTER: it is committed.
        purpose: "heal", "repair", "provision", "detach", "archive" or "drop"; of a conversion's step "convert", "undo"
            or "abort".
        table: The declared table.
        partition: What the step is about; the table itself in a conversion.
        bound: Its bound, when that matters.
        sql: The statements, in order.
        run: The name of the run.
        step: The id of a conversion's step, such as "cutover"; else empty.
    """

    when: When
    purpose: str
    table: QualifiedName
    partition: QualifiedName
    bound: Bound | None
    sql: tuple[str, ...]
    run: str
    step: str = ""
