"""Hooks: asked before a step, told after it; a hook that fails stops its own step at most."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sa_partman.ddl.render import step_sql
from sa_partman.errors import Veto
from sa_partman.events.step import StepEvent, When
from sa_partman.maintenance.results import Outcome, StepResult
from sa_partman.maintenance.settings import Settings
from sa_partman.plan.steps import Step
from sa_partman.ports.hook import Hook, Only


@dataclass(frozen=True, slots=True)
class Hooks:
    """The hooks of *settings*, during the run of that name."""

    settings: Settings
    run: str

    def before(self, step: Step) -> StepResult | None:
        """Why the step must not be done; None when every hook agrees. The first that does not is the last asked."""
        if not self.settings.hooks:
            return None
        began, event = time.monotonic(), self._event(When.BEFORE, step)
        for hook in self._asked(event):
            try:
                agreed = self._call(hook, event)
            except Veto as veto:
                return _not_done(step, Outcome.VETOED, began, f"{_name(hook)}: {veto}" if str(veto) else _name(hook))
            except (Exception, SystemExit) as error:
                return _not_done(step, Outcome.FAILED, began, f"{_trouble(hook, error)}; nothing was changed")
            if agreed is False:
                return _not_done(step, Outcome.VETOED, began, _name(hook))
        return None

    def after(self, result: StepResult) -> StepResult:
        """*result*, with what went wrong in a hook noted in it."""
        if not self.settings.hooks or result.outcome is not Outcome.DONE:
            return result
        event, troubles = self._event(When.AFTER, result.step), [result.error] if result.error else []
        for hook in self._asked(event):
            try:
                self._call(hook, event)
            except (Exception, SystemExit) as error:
                troubles.append(f"{_trouble(hook, error)}; the step itself was done")
        return replace(result, error="; ".join(troubles))

    def _event(self, when: When, step: Step) -> StepEvent:
        return StepEvent(when, step.purpose.value, step.table, step.partition, step.bound, step_sql(step), self.run)

    def _asked(self, event: StepEvent) -> list[Hook]:
        return [hook for hook in self.settings.hooks if not isinstance(hook, Only) or hook.wants(event)]

    def _call(self, hook: Hook, event: StepEvent) -> Any:
        function = hook.function if isinstance(hook, Only) else hook
        return self.settings.waiting.call(function, event, self.settings.hook_timeout)


def _not_done(step: Step, outcome: Outcome, began: float, error: str) -> StepResult:
    return StepResult(step, outcome, time.monotonic() - began, error)


def _trouble(hook: Hook, error: BaseException) -> str:
    said = " ".join(str(error).split())
    return f"the hook {_name(hook)} failed: {type(error).__name__}{': ' + said if said else ''}"


def _name(hook: Callable[..., Any]) -> str:
    """As its author knows it."""
    if isinstance(hook, Only):
        return _name(hook.function)
    if isinstance(hook, partial):
        return _name(hook.func)
    return str(getattr(hook, "__qualname__", type(hook).__qualname__))
