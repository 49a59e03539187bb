"""Look, plan and execute, under the right to be the only maintainer: a failure of one step never stops another."""

from __future__ import annotations

import time
from asyncio import CancelledError
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.exc import DBAPIError

from sa_partman.archive.archiving import archive_table
from sa_partman.archive.dropping import drop_detached
from sa_partman.bounds.bound import Bound
from sa_partman.compare.context import Path
from sa_partman.engine.batches import delete_expired, delete_referring, drop_invalid_index
from sa_partman.engine.exclusion import APPLICATION, only_maintainer
from sa_partman.engine.execute import execute_at_once, execute_step, execute_together
from sa_partman.engine.locks import crowd_of
from sa_partman.engine.running import Running, Worker, end_zombies, new_name
from sa_partman.engine.statements import name_taken
from sa_partman.engine.unchanged import Overtaken
from sa_partman.engine.waits import Waits
from sa_partman.errors import (
    DeclarationError,
    ExclusionLost,
    ExecutionError,
    LockNotAcquired,
    NameTaken,
    ServerUnavailable,
)
from sa_partman.finding import Finding, Severity
from sa_partman.maintenance.audit import Record, of_result
from sa_partman.maintenance.membership import completed, healed, whole, with_reason
from sa_partman.maintenance.planning import (
    Tables,
    declared,
    leaving_all,
    looked,
    planned,
    planned_all,
    regridded,
    settled,
    with_steps,
)
from sa_partman.maintenance.results import Outcome, RunResult, StepResult
from sa_partman.maintenance.settings import Hooks, Settings
from sa_partman.maintenance.tenants import typed
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import (
    ArchiveTable,
    CreatePartition,
    CreateTable,
    DeleteExpired,
    DeleteReferring,
    DropDetached,
    DropInvalidIndex,
)
from sa_partman.plan.branches import branch_steps, still_declared
from sa_partman.plan.steps import (
    Purpose,
    Step,
    TablePlan,
    batches,
    gathered,
    groups,
    in_order,
    is_light,
    most_of,
    most_together,
    parent_of,
    raised,
)
from sa_partman.postgres.session import connected, dependable, pin
from sa_partman.postgres.sqlstate import first_line
from sa_partman.postgres.view import View
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


WORKERS: Mapping[type, Worker] = {
    ArchiveTable: archive_table,
    DropDetached: drop_detached,
    DeleteReferring: delete_referring,
    DeleteExpired: delete_expired,
    DropInvalidIndex: drop_invalid_index,
}
"""Who performs the actions that are more than statements."""


def run(
    settings: Settings,
    tables: Tables,
    purposes: tuple[Purpose, ...],
    paths: tuple[Path, ...] = (),
    *,
    repair: bool = False,
    adopt: bool = False,
    leaving: tuple[tuple[Any, ...], ...] = (),
    regrid: bool = False,
    max_rows: int | None = None,
) -> RunResult:
    """
    The steps of *purposes*; every creation of every table comes before the first removal.

    Args:
        leaving: Tenants whose branches are removed, and nothing else.
        max_rows: Rows that are moved into one new partition at most; None: 100,000.
    """
    with running_by(settings) as running:
        settings, zombies = replace(settings, engine=running.engine), tuple(end_zombies(running))
        view = looked(settings, tables, paths)
        view.session.require_writable()
        plans = plans_of(
            settings, view, purposes, repair=repair, adopt=adopt, leaving=leaving, regrid=regrid, max_rows=max_rows
        )
        steps = list(in_order(plans))
        findings = (*zombies, *(finding for plan in plans for finding in plan.findings))
        record = Record.of(settings, running.name, view.session)
        results, more = _told(settings, Executor(settings, running, paths), steps, record, findings)
    return RunResult(view.now, tuple(results), (*findings, *more))


def plans_of(
    settings: Settings,
    view: View,
    purposes: tuple[Purpose, ...] = tuple(Purpose),
    *,
    repair: bool = False,
    adopt: bool = False,
    regrid: bool = False,
    leaving: tuple[tuple[Any, ...], ...] = (),
    max_rows: int | None = None,
) -> tuple[TablePlan, ...]:
    """What a run for *purposes* would do."""
    if leaving:
        plans, keys = leaving_all(settings, view, leaving)
        by_name = {each.declared.name: each for each in view.tables}
        plans = tuple(replace(each, steps=completed(by_name[each.table], each.steps)) for each in plans)
        return settled(settings, plans, keys)
    tables, first = regridded(settings, view.tables) if regrid else (view.tables, ())
    removing = any(purpose.removes for purpose in purposes)
    plans, keys = planned_all(settings, replace(view, tables=tables), removing=removing, adopt=adopt, repair=repair)
    plans = tuple(map(with_steps, plans, first)) if regrid else plans
    plans = whole(settings, view.tables, healed(settings, view.tables, plans), repair=repair)
    return settled(settings, (raised(each.only(*purposes), max_rows) for each in plans), keys)


def drop_branch(settings: Settings, table: str, branch: Any) -> RunResult:
    """
    Drops the partition of one tenant with all below it.

    Raises:
        DeclarationError: *table* stands for several, or has no such branch; nothing was changed.
    """
    path = branch if isinstance(branch, tuple) else (branch,)
    with running_by(settings) as running:
        settings = replace(settings, engine=running.engine)
        view = looked(settings, [table])
        view.session.require_writable()
        first, *others = view.tables
        if others:
            listed = ", ".join(str(each.declared.name) for each in view.tables)
            raise DeclarationError(f"{table} stands for {listed}; nothing was changed. Name one schema with schemas=.")
        declared = first.declared
        (values,) = typed(declared, [path])
        steps = completed(first, branch_steps(declared, first.found, values))
        again = () if first.found is None else tuple(still_declared(declared, first.found, values, first.context))
        record = Record.of(settings, running.name, view.session)
        results, more = _told(settings, Executor(settings, running), list(steps), record, again)
    return RunResult(view.now, tuple(results), (*again, *more))


@contextmanager
def running_by(settings: Settings) -> Iterator[Running]:
    """
    The right to be the only maintainer during the block, and who is told what the block waits for.

    Raises:
        MaintainerBusy: Another one has it.
    """
    settings.require_postgresql()
    name = new_name()
    waits = Waits(name, settings.on_wait)
    with (
        only_maintainer(settings.engine, settings.lock, settings.waiting, APPLICATION + name, waits) as exclusion,
        waits.watched(settings.engine),
    ):
        engine = dependable(settings.engine, prepares=not exclusion.pooled)
        yield Running(engine, settings.lock, settings.waiting, exclusion, name, waits, WORKERS)


def _told(
    settings: Settings, executor: Executor, steps: list[Step], record: Record, findings: tuple[Finding, ...] = ()
) -> tuple[list[StepResult], list[Finding]]:
    """The results, each reported and recorded when it is there; and what else the run came upon."""
    results: list[StepResult] = []
    lost: list[Finding] = []
    record.begin(len(steps))
    try:
        for result in (with_reason(settings, each) for each in executor.results(steps)):
            results.append(result)
            record.step(of_result(result))
            if settings.report is not None:
                settings.report(result, len(results), len(steps))
    except (ExclusionLost, ServerUnavailable) as error:
        ended = ended_by(error) if isinstance(error, ServerUnavailable) else error
        lost.append(Finding("exclusion-lost", Severity.ERROR, "", str(ended), "run again"))
    except (KeyboardInterrupt, SystemExit, GeneratorExit, CancelledError):
        raise  # at once: the record of a run without an end says what happened
    except BaseException as error:
        record.broken(error)
        raise
    return results, [*lost, *record.end((*findings, *lost))]
