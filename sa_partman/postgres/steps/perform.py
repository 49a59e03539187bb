"""Actions that are more than statements: each registers a worker here, which runs its own transactions."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from sa_partman.plan.steps import Step
from sa_partman.postgres.steps.running import Running

Worker = Callable[[Running, Step, Any], int | None]
"""Takes the run, the step and its action; gives the number of rows that it handled, when that says something."""

_WORKERS: dict[type, Worker] = {}


def performs(action: type) -> Callable[[Worker], Worker]:
    """Registers the worker of an action; a step with such an action has no other."""

    def register(worker: Worker) -> Worker:
        _WORKERS[action] = worker
        return worker

    return register


def worker_of(step: Step) -> Worker | None:
    """Who performs *step*; None when its actions are statements."""
    import_module("sa_partman.postgres.workers")  # they import this module, and register here
    return _WORKERS.get(type(step.actions[0]))
