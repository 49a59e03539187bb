"""The maintainer: look, plan, execute, table by table; a failure of one never stops another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, MetaData
from sqlalchemy.exc import DBAPIError

from sa_partman.catalog import FoundTable
from sa_partman.checks.coverage import Due
from sa_partman.checks.data import DataFacts
from sa_partman.checks.privileges import privilege_finding
from sa_partman.checks.status import TableStatus, status_of
from sa_partman.checks.suite import findings_of
from sa_partman.compare.shape import shape_finding
from sa_partman.compare.situation import Path
from sa_partman.errors import DeclarationError, ExecutionError, LockNotAcquired
from sa_partman.finding import Finding, Severity
from sa_partman.maintenance.reporting import Report
from sa_partman.maintenance.results import MaintenancePlan, Outcome, RunResult, StepResult
from sa_partman.maintenance.tenants import paths_of, takes_paths, typed
from sa_partman.names import QualifiedName
from sa_partman.orm.registry import declared_tables
from sa_partman.plan.branches import branch_steps
from sa_partman.plan.steps import Purpose, Step, TablePlan
from sa_partman.plan.table import plan_table
from sa_partman.postgres.connect import connected
from sa_partman.postgres.exclusion import only_maintainer
from sa_partman.postgres.execute import Overtaken, execute_step, name_taken
from sa_partman.postgres.facts import data_facts
from sa_partman.postgres.retry import LockPolicy
from sa_partman.postgres.session import pin
from sa_partman.postgres.sqlstate import INSUFFICIENT_PRIVILEGE, LOCK_NOT_AVAILABLE, first_line, sqlstate
from sa_partman.postgres.view import CATALOG_LOCK_TIMEOUT, TableView, View, look
from sa_partman.spec.declared import DeclaredTable

Tables = Iterable[str] | None


class Maintainer:
    """
    Keeps every declared table of *metadata* provisioned and pruned.

    Args:
        engine: Synchronous. Each step takes a connection of its own from it.
        metadata: One MetaData, or several.
        now: A fixed aware instant, or a callable that gives one, instead of the server's clock.
        lock: How long to wait for locks.
        report: Called after every step that was tried.
    """

    def __init__(
        self,
        engine: Engine,
        metadata: MetaData | Iterable[MetaData],
        *,
        now: datetime | Callable[[], datetime] | None = None,
        lock: LockPolicy | None = None,
        report: Report | None = None,
    ) -> None:
        self.engine = engine
        self.metadata = metadata if isinstance(metadata, MetaData) else tuple(metadata)
        self.lock = lock or LockPolicy()
        self.report = report
        self._now = _clock(now)

    # -- looking -------------------------------------------------------------------------------------------------

    def plan(self, tables: Tables = None, *, tenants: Iterable[Any] = ()) -> MaintenancePlan:
        """
        What `run` would do now; nothing is changed.

        Args:
            tenants: See `provision`.

        Raises:
            DeclarationError: A declaration is wrong, or one of *tables* is not declared.
            ServerUnavailable: No server answers.
        """
        view = self._look(tables, paths_of(tenants))
        return MaintenancePlan(view.now, tuple(_planned(each) for each in view.tables))

    def check(self, tables: Tables = None) -> tuple[Finding, ...]:
        """What is wrong or about to go wrong, the worst first; nothing is changed."""
        found = [finding for each in self._look(tables).tables for finding in self._checked(each)]
        return tuple(sorted(found, key=lambda finding: list(Severity).index(finding.severity)))

    def status(self, tables: Tables = None) -> tuple[TableStatus, ...]:
        """Each table with its partitions, in key order; nothing is changed."""
        view = self._look(tables)
        return tuple(_status(each) for each in view.tables)

    # -- acting --------------------------------------------------------------------------------------------------

    def run(self, tables: Tables = None) -> RunResult:
        """
        Provisions, then prunes.

        Raises:
            MaintainerBusy: Another maintainer is at work; nothing was changed.
            ReadOnlyServer: Nothing can be changed here.
        """
        return self._act(tables, tuple(Purpose))

    def provision(self, tables: Tables = None, *, tenants: Iterable[Any] = ()) -> RunResult:
        """
        Makes missing partitions and removes none.

        Args:
            tenants: Values, or tuples of values from the top level down, whose branches are made at once, whether or
                not the declaration's source names them already.
        """
        return self._act(tables, (Purpose.HEAL, Purpose.PROVISION), paths_of(tenants))

    def prune(self, tables: Tables = None) -> RunResult:
        """Detaches or drops expired partitions and makes none."""
        return self._act(tables, (Purpose.HEAL, Purpose.DETACH, Purpose.DROP))

    def drop_branch(self, table: str, branch: Any) -> RunResult:
        """
        Drops the partition of one tenant with all below it.

        Args:
            branch: The tenant's value, or a tuple of values from the top level down.

        Raises:
            DeclarationError: There is no such branch; nothing was changed.
        """
        path = branch if isinstance(branch, tuple) else (branch,)
        with only_maintainer(self.engine):
            view = self._look([table])
            view.session.require_writable()
            declared = view.tables[0].declared
            steps = branch_steps(declared, view.tables[0].found, typed(declared, [path])[0])
            return RunResult(view.now, tuple(self._steps(steps)), ())

    # -- inside --------------------------------------------------------------------------------------------------

    def _declared(self, tables: Tables) -> tuple[DeclaredTable, ...]:
        return tuple(declared for _, declared in declared_tables(self.metadata, tables))

    def _look(self, tables: Tables, paths: tuple[Path, ...] = ()) -> View:
        declared = self._declared(tables)
        wanted = {table.name: typed(table, paths) for table in declared if paths and takes_paths(table)}
        if paths and not wanted:
            raise DeclarationError("tenants= were given, and none of the tables has a level of tenants or list values")
        return look(self.engine, declared, self._now, wanted)

    def _act(self, tables: Tables, purposes: tuple[Purpose, ...], paths: tuple[Path, ...] = ()) -> RunResult:
        results: list[StepResult] = []
        with only_maintainer(self.engine):
            view = self._look(tables, paths)
            view.session.require_writable()
            plans = [_planned(each) for each in view.tables]
            steps = [step for plan in plans for step in plan.steps if step.purpose in purposes]
            # Every creation of every table comes before the first removal.
            steps.sort(key=lambda step: step.purpose.removes)
            for result in self._steps(steps, paths):
                results.append(result)
                if self.report is not None:
                    self.report(result, len(results), len(steps))
        findings = tuple(finding for plan in plans for finding in plan.findings)
        return RunResult(view.now, tuple(results), findings)

    def _checked(self, view: TableView) -> Iterator[Finding]:
        if view.unread is not None:
            yield view.unread
            return
        try:
            plan = plan_table(view.declared, view.found, view.situation)
        except (DeclarationError, ValueError) as error:
            yield _undecided(view.declared, error)
            return
        facts = self._facts(view)
        if isinstance(facts, Finding):
            yield facts
            facts = DataFacts()
        yield from findings_of(view.declared, view.found, view.situation, _due(plan), facts)
        yield from (each for each in plan.findings if each != shape_finding(view.declared, view.found))

    def _facts(self, view: TableView) -> DataFacts | Finding:
        """What is known of the rows; a finding when they can't be read."""
        if view.found is None:
            return DataFacts()
        try:
            with connected(self.engine) as connection:
                pin(connection, CATALOG_LOCK_TIMEOUT)
                return data_facts(connection, view.declared, view.found)
        except DBAPIError as error:
            if sqlstate(error) not in (INSUFFICIENT_PRIVILEGE, LOCK_NOT_AVAILABLE):
                raise
            return Finding(
                "rows-unread",
                Severity.WARNING,
                str(view.found.name),
                f"the rows of {view.found.name} can't be looked at: {first_line(error)}",
                f"GRANT SELECT on {view.found.name} and its partitions, or try again when nobody holds them",
            )

    def _steps(self, steps: Iterable[Step], paths: tuple[Path, ...] = ()) -> Iterator[StepResult]:
        failed: set[QualifiedName] = set()
        for step in steps:
            if step.partition in failed:
                continue  # the second half of something whose first half failed
            result = self._execute(step, paths)
            if result.failed:
                failed.add(step.partition)
            yield result

    def _execute(self, step: Step, paths: tuple[Path, ...]) -> StepResult:
        try:
            attempted = execute_step(self.engine, step, self.lock)
        except LockNotAcquired as error:
            return StepResult(step, Outcome.DEFERRED, self.lock.budget, str(error))
        except Overtaken as error:
            return self._overtaken(step, error, paths)
        except ExecutionError as error:
            return StepResult(step, Outcome.FAILED, 0.0, str(error))
        return StepResult(step, Outcome.DONE, attempted.seconds)

    def _overtaken(self, step: Step, error: Overtaken, paths: tuple[Path, ...]) -> StepResult:
        """Looks again: when the step is not needed any more, somebody else did it; else its name is taken."""
        tables = [each.name for each in self._declared(None) if _is(each, step.table)]
        view = self._look([str(name) for name in tables], paths)
        wanted = {(again.partition, again.bound) for each in view.tables for again in _planned(each).steps}
        if (step.partition, step.bound) not in wanted:
            return StepResult(step, Outcome.SUPERSEDED, 0.0)
        with connected(self.engine) as connection:
            taken = name_taken(connection, step.partition)
        return StepResult(step, Outcome.FAILED, 0.0, str(taken or error))


def _planned(view: TableView) -> TablePlan:
    if view.unread is not None:
        return TablePlan(view.declared.name, (), (view.unread,))
    try:
        plan = plan_table(view.declared, view.found, view.situation)
    except (DeclarationError, ValueError) as error:
        return TablePlan(view.declared.name, (), (_undecided(view.declared, error),))
    lacking = _lacking(view.found, plan)
    return plan if lacking is None else TablePlan(plan.table, (), (*plan.findings, lacking))


def _status(view: TableView) -> TableStatus:
    status = status_of(view.declared, view.found, view.situation)
    return status if view.unread is None else replace(status, problem=view.unread.message)


def _undecided(declared: DeclaredTable, error: Exception) -> Finding:
    return Finding(
        "declaration",
        Severity.ERROR,
        str(declared.name),
        f"{declared.name} can't be planned: {error}; nothing was changed",
        "put the declaration right; the other tables were not affected",
    )


def _due(plan: TablePlan) -> Due:
    made = ((step.partition, step.bound) for step in plan.steps if step.purpose is Purpose.PROVISION)
    gone = (step.partition for step in plan.steps if step.purpose.removes)
    return Due(tuple((name, bound) for name, bound in made if bound is not None), tuple(dict.fromkeys(gone)))


def _lacking(found: FoundTable | None, plan: TablePlan) -> Finding | None:
    """What the connected role may not do, if the plan needs it."""
    return None if found is None or not plan.steps else privilege_finding(found)


def _is(declared: DeclaredTable, name: QualifiedName) -> bool:
    return declared.name.name == name.name and declared.name.schema in (None, name.schema)


def _clock(now: datetime | Callable[[], datetime] | None) -> Callable[[], datetime] | None:
    if isinstance(now, datetime):
        if now.tzinfo is None:
            raise ValueError(f"now={now!r} has no time zone; write datetime(..., tzinfo=UTC)")
        return lambda: now
    return now
