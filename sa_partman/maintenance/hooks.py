"""Hooks: asked before a step, told after it; a hook that fails stops its own step at most."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sa_partman.ddl.render import step_sql
from sa_partman.errors import Veto
from sa_partman.events import StepEvent, When
from sa_partman.maintenance.results import Outcome, StepResult
from sa_partman.maintenance.settings import Settings
from sa_partman.plan.steps import Step
from sa_partman.ports import Hook, Only, Waiting


@dataclass(frozen=True, slots=True)
class HookRefusal:
    """
    Why a step must not be done.

    Args:
        outcome: VETOED, or FAILED when a hook could not say.
    """

    outcome: Outcome
    error: str


@dataclass(frozen=True, slots=True)
class Hooks:
    """
    Those of a maintainer or converter.

    Args:
        timeout: Seconds that one of them may take.
    """

    hooks: tuple[Hook, ...]
    timeout: float
    waiting: Waiting

    @classmethod
    def of(cls, settings: Settings) -> Hooks:
        return cls(settings.hooks, settings.hook_timeout, settings.waiting)

    def ask(self, event: StepEvent) -> HookRefusal | None:
        """None when every hook agrees; the first that does not is the last asked."""
        for hook in self._asked(event):
            try:
                agreed = self._call(hook, event)
            except Veto as veto:
                return HookRefusal(Outcome.VETOED, f"{_name(hook)}: {veto}" if str(veto) else _name(hook))
            except (Exception, SystemExit) as error:
                return HookRefusal(Outcome.FAILED, f"{_trouble(hook, error)}; nothing was changed")
            if agreed is False:
                return HookRefusal(Outcome.VETOED, _name(hook))
        return None

    def tell(self, event: StepEvent) -> list[str]:
        """What went wrong in them."""
        troubles = []
        for hook in self._asked(event):
            try:
                self._call(hook, event)
            except (Exception, SystemExit) as error:
                troubles.append(f"{_trouble(hook, error)}; the step itself was done")
        return troubles

    def before(self, step: Step, run: str) -> StepResult | None:
        """The result of a step that must not be done."""
        if not self.hooks:
            return None
        began, refusal = time.monotonic(), self.ask(_event(When.BEFORE, step, run))
        return None if refusal is None else StepResult(step, refusal.outcome, time.monotonic() - began, refusal.error)

    def after(self, result: StepResult, run: str) -> StepResult:
        """*result*, with what went wrong in a hook noted in it."""
        if not self.hooks or result.outcome is not Outcome.DONE:
            return result
        troubles = [result.error] if result.error else []
        return replace(result, error="; ".join([*troubles, *self.tell(_event(When.AFTER, result.step, run))]))

    def _asked(self, event: StepEvent) -> list[Hook]:
        return [hook for hook in self.hooks if not isinstance(hook, Only) or hook.wants(event)]

    def _call(self, hook: Hook, event: StepEvent) -> Any:
        function = hook.function if isinstance(hook, Only) else hook
        return self.waiting.call(function, event, self.timeout)


def _event(when: When, step: Step, run: str) -> StepEvent:
    return StepEvent(when, step.purpose.value, step.table, step.partition, step.bound, step_sql(step), run)


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
