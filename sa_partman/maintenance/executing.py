"""Executing steps: each by itself, told to whoever wants to know, so that a failure of one never stops another."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

from sa_partman.bounds.bound import Bound
from sa_partman.compare.situation import Path
from sa_partman.engine.execute import execute_at_once, execute_step, execute_together
from sa_partman.engine.locks import crowd_of
from sa_partman.engine.running import Running
from sa_partman.engine.statements import name_taken
from sa_partman.engine.unchanged import Overtaken
from sa_partman.errors import ExclusionLost, ExecutionError, LockNotAcquired, NameTaken, ServerUnavailable
from sa_partman.maintenance.hooks import Hooks
from sa_partman.maintenance.planning import declared, looked, planned
from sa_partman.maintenance.results import Outcome, StepResult
from sa_partman.maintenance.settings import Settings
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import CreatePartition, CreateTable
from sa_partman.plan.steps import Step, batches, gathered, groups, is_light, most_of, most_together, parent_of
from sa_partman.postgres.connect import connected
from sa_partman.postgres.session import pin
from sa_partman.postgres.sqlstate import first_line
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
        wanted = tuple(steps)
        for several in gathered(groups(wanted), self._together_at_most) if wanted else ():
            tried: list[Step] = []
            try:
                for result in self._of_group(several, failed):
                    tried.append(result.step)
                    yield result
            except (ServerUnavailable, DBAPIError) as error:  # between two steps
                self._reach(error)
                left = (step for step in several if step not in tried and step.partition not in failed)
                said = str(error) if isinstance(error, ServerUnavailable) else first_line(error)
                yield from (StepResult(each, Outcome.FAILED, 0.0, f"not tried: {said}") for each in left)

    def _of_group(self, several: tuple[Step, ...], failed: set[QualifiedName]) -> Iterator[StepResult]:
        """
        Args:
            failed: Grows by what was not done.
        """
        for batch in (several,) if self._is_light(several) else self._batches(several):
            # Not the second half of something whose first half failed.
            for result in self._guarded(tuple(step for step in batch if step.partition not in failed)):
                if result.failed or result.outcome is Outcome.VETOED:
                    failed.add(result.step.partition)
                yield result

    @property
    def _together_at_most(self) -> int:
        return most_together(self.running.limits.lock_slots)

    def _is_light(self, steps: tuple[Step, ...]) -> bool:
        return is_light(steps, self._together_at_most)

    def _batches(self, group: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
        """A table of thousands of partitions is changed in few transactions, any other one a step at a time."""
        parent = parent_of(group[0])
        if len(group) == 1 or parent is None or any(map(self.running.worker_of, group)):
            return ((step,) for step in group)
        with connected(self.settings.engine) as connection:
            pin(connection, self.settings.lock.lock_timeout)
            partitions, indexes = crowd_of(connection, parent)
        return batches(group, most_of(group, partitions, self.running.limits.lock_slots, indexes))

    def _guarded(self, batch: tuple[Step, ...]) -> Iterator[StepResult]:
        """The steps with their hooks."""
        hooks, run = Hooks.of(self.settings), self.running.name
        agreed = []
        for step in batch:
            refusal = hooks.before(step, run)
            if refusal is None:
                agreed.append(step)
            else:
                yield refusal
        left = tuple(agreed)
        together = self._lightly if self._is_light(left) else self._together
        for result in together(left):
            yield result if result.failed else hooks.after(result, run)

    def _lightly(self, batch: tuple[Step, ...]) -> Iterator[StepResult]:
        """In one transaction, if that is possible at once; else by parents, and with patience."""
        began = time.monotonic()
        try:
            execute_at_once(self.running, batch)
        except ExclusionLost:
            raise
        except Exception:  # NotAtOnce, or what each step by itself will say
            for group in groups(batch):
                for part in self._batches(group):
                    yield from self._together(part)
        else:
            yield from _shared(batch, time.monotonic() - began)

    def _together(self, batch: tuple[Step, ...]) -> Iterator[StepResult]:
        """In one transaction; when that fails, each step by itself."""
        if len(batch) > 1:
            began = time.monotonic()
            try:
                execute_together(self.running, batch)
            except ExclusionLost:
                raise
            except LockNotAcquired as error:
                yield from (_deferred(step, error, 0.0) for step in batch)
                return
            except Exception:  # each step by itself says what
                pass
            else:
                yield from _shared(batch, time.monotonic() - began)
                return
        for step in batch:
            yield self._execute(step)

    def _execute(self, step: Step) -> StepResult:
        began = time.monotonic()
        try:
            rows, note = execute_step(self.running, step)
        except ExclusionLost:
            raise
        except LockNotAcquired as error:
            return _deferred(step, error, time.monotonic() - began)
        except Overtaken as error:
            return self._overtaken(step, error)
        except ServerUnavailable as error:
            self._reach(error)
            return StepResult(step, Outcome.FAILED, time.monotonic() - began, str(error))
        except ExecutionError as error:
            return StepResult(step, Outcome.FAILED, time.monotonic() - began, str(error))
        except Exception as error:  # a value that can't be written, whatever: it costs this step, and no other
            said = f"{step.partition}: {str(error) or type(error).__name__}; the step was rolled back"
            return StepResult(step, Outcome.FAILED, time.monotonic() - began, said)
        return StepResult(step, Outcome.DONE, time.monotonic() - began, rows=rows, note=note)

    def _reach(self, error: Exception) -> None:
        """Every further step would wait for a server that is away as long as this one did."""
        try:
            with connected(self.settings.engine):
                pass
        except ServerUnavailable as away:
            raise ended_by(away) from error

    def _overtaken(self, step: Step, error: Overtaken) -> StepResult:
        """Looks again: when the step is not needed any more, somebody else did it; else its name is taken."""
        tables = [each.name for each in declared(self.settings, None) if _is(each, step.table)]
        view = looked(self.settings, [str(name) for name in tables], self.paths)
        for each in view.tables:
            if each.unread is not None:  # nobody knows whether somebody else did it
                return StepResult(step, Outcome.FAILED, 0.0, f"{error}; {each.unread.message}")
        # By the bound: what is still lacking, or still there, under another name was done by nobody.
        wanted = {_place(again) for each in view.tables for again in planned(each).steps}
        if _place(step) not in wanted:
            return StepResult(step, Outcome.SUPERSEDED, 0.0)
        said = str(self._taken(step) or f"{error}. The next run plans from what is there then.")
        return StepResult(step, Outcome.FAILED, 0.0, said)

    def _taken(self, step: Step) -> NameTaken | None:
        """Who has the name of the table that *step* would have made."""
        made = (each.name for each in step.actions if isinstance(each, CreatePartition | CreateTable))
        if step.partition not in made:
            return None
        with connected(self.settings.engine) as connection:
            pin(connection, self.settings.lock.lock_timeout)
            return name_taken(connection, step.partition)


def ended_by(away: ServerUnavailable) -> ExclusionLost:
    """What ends a run whose server is away."""
    return ExclusionLost(f"{away}. The run ended before its next step; what it did stays.")


def _place(step: Step) -> tuple[QualifiedName, Bound | None]:
    return parent_of(step) or step.partition, step.bound


def _shared(batch: tuple[Step, ...], seconds: float) -> Iterator[StepResult]:
    """The results of steps that went together."""
    return (StepResult(step, Outcome.DONE, seconds / len(batch)) for step in batch)


def _deferred(step: Step, error: LockNotAcquired, seconds: float) -> StepResult:
    return StepResult(step, Outcome.DEFERRED, seconds, str(error), blockers=error.blockers)


def _is(table: DeclaredTable, name: QualifiedName) -> bool:
    # Its schema may be one that schemas= or a schema_translate_map put in the place of the declared one.
    return table.name.name == name.name
