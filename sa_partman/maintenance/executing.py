"""Executing steps: each by itself, told to whoever wants to know, so that a failure of one never stops another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sa_partman.compare.situation import Path
from sa_partman.errors import ExclusionLost, ExecutionError, LockNotAcquired
from sa_partman.maintenance.hooks import Hooks
from sa_partman.maintenance.looking import declared, looked, planned
from sa_partman.maintenance.results import Outcome, StepResult
from sa_partman.maintenance.settings import Settings
from sa_partman.names import QualifiedName
from sa_partman.plan.steps import Step
from sa_partman.postgres.connect import connected
from sa_partman.postgres.execute import Overtaken, execute_step, name_taken
from sa_partman.postgres.running import Running
from sa_partman.spec.declared import DeclaredTable


@dataclass(frozen=True, slots=True)
class Executor:
    """
    Args:
        paths: Branches that the plan was asked for.
    """

    settings: Settings
    running: Running
    paths: tuple[Path, ...] = ()

    def results(self, steps: Iterable[Step]) -> Iterator[StepResult]:
        """
        Raises:
            ExclusionLost: The right to be the only maintainer is gone; the steps so far were done.
        """
        failed: set[QualifiedName] = set()
        for step in steps:
            if step.partition in failed:
                continue  # the second half of something whose first half failed
            result = self._guarded(step)
            if result.failed:
                failed.add(step.partition)
            yield result

    def _guarded(self, step: Step) -> StepResult:
        """The step with its hooks."""
        hooks = Hooks(self.settings, self.running.name)
        refusal = hooks.before(step)
        if refusal is not None:
            return refusal
        result = self._execute(step)
        return result if result.failed else hooks.after(result)

    def _execute(self, step: Step) -> StepResult:
        try:
            attempted = execute_step(self.running, step)
        except ExclusionLost:
            raise
        except LockNotAcquired as error:
            return StepResult(step, Outcome.DEFERRED, self.running.policy.budget, str(error), blockers=error.blockers)
        except Overtaken as error:
            return self._overtaken(step, error)
        except ExecutionError as error:
            return StepResult(step, Outcome.FAILED, 0.0, str(error))
        return StepResult(step, Outcome.DONE, attempted.seconds, rows=attempted.rows)

    def _overtaken(self, step: Step, error: Overtaken) -> StepResult:
        """Looks again: when the step is not needed any more, somebody else did it; else its name is taken."""
        tables = [each.name for each in declared(self.settings, None) if _is(each, step.table)]
        view = looked(self.settings, [str(name) for name in tables], self.paths)
        wanted = {(again.partition, again.bound) for each in view.tables for again in planned(each).steps}
        if (step.partition, step.bound) not in wanted:
            return StepResult(step, Outcome.SUPERSEDED, 0.0)
        with connected(self.settings.engine) as connection:
            taken = name_taken(connection, step.partition)
        return StepResult(step, Outcome.FAILED, 0.0, str(taken or error))


def _is(table: DeclaredTable, name: QualifiedName) -> bool:
    return table.name.name == name.name and table.name.schema in (None, name.schema)
