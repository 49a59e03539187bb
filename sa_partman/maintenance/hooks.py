"""Hooks: asked before a step, told after it."""

from __future__ import annotations

from dataclasses import dataclass

from sa_partman.maintenance.results import StepResult
from sa_partman.maintenance.settings import Settings
from sa_partman.plan.steps import Step


@dataclass(frozen=True, slots=True)
class Hooks:
    """The hooks of *settings*, during the run of that name."""

    settings: Settings
    run: str

    def before(self, step: Step) -> StepResult | None:
        """Why the step must not be done; None when every hook agrees."""
        del step
        return None

    def after(self, result: StepResult) -> StepResult:
        """*result*, with what went wrong in a hook noted in it."""
        return result
