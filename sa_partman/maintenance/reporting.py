"""Who is told of every step of a run, while it runs."""

from __future__ import annotations

from typing import Protocol

from sa_partman.maintenance.results import StepResult


class Report(Protocol):
    """
    Args:
        result: How the step went; it is committed, or nothing of it was changed.
        done: Steps tried so far, this one included.
        total: Steps planned; a step whose first half failed is not tried, so *done* may end below it.
    """

    def __call__(self, result: StepResult, done: int, total: int, /) -> None: ...
