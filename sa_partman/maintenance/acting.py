"""Acting: look, plan, execute, under the right to be the only maintainer."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sa_partman.archive.archiving import archive_table
from sa_partman.archive.dropping import drop_detached
from sa_partman.compare.situation import Path
from sa_partman.engine.batches import delete_expired, delete_referring, drop_invalid_index
from sa_partman.engine.exclusion import APPLICATION, only_maintainer
from sa_partman.engine.running import Running, Worker, end_zombies, new_name
from sa_partman.engine.waits import Waits
from sa_partman.errors import DeclarationError, ExclusionLost, ServerUnavailable
from sa_partman.finding import Finding, Severity
from sa_partman.maintenance.audit import Record, of_result
from sa_partman.maintenance.counting import regridded, with_steps
from sa_partman.maintenance.executing import Executor, ended_by
from sa_partman.maintenance.healing import healed, with_reason
from sa_partman.maintenance.membership import completed, whole
from sa_partman.maintenance.planning import Tables, leaving_all, looked, planned_all, settled
from sa_partman.maintenance.results import RunResult, StepResult
from sa_partman.maintenance.settings import Settings
from sa_partman.maintenance.tenants import typed
from sa_partman.plan.actions import ArchiveTable, DeleteExpired, DeleteReferring, DropDetached, DropInvalidIndex
from sa_partman.plan.branches import branch_steps, still_declared
from sa_partman.plan.steps import Purpose, Step, TablePlan, in_order, raised
from sa_partman.postgres.connect import dependable
from sa_partman.postgres.view import View

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
        again = () if first.found is None else tuple(still_declared(declared, first.found, values, first.situation))
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
