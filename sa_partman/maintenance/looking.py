"""Looking: one look at the database, and what it comes to as plans and statuses. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sa_partman.catalog import FoundTable
from sa_partman.checks.privileges import privilege_finding
from sa_partman.checks.status import TableStatus, status_of
from sa_partman.compare.situation import Path
from sa_partman.errors import DeclarationError
from sa_partman.finding import Finding, Severity
from sa_partman.maintenance.settings import Settings
from sa_partman.maintenance.tenants import takes_paths, typed
from sa_partman.orm.registry import declared_tables
from sa_partman.plan.steps import TablePlan
from sa_partman.plan.table import plan_table
from sa_partman.postgres.connect import dependable
from sa_partman.postgres.view import TableView, View, look
from sa_partman.spec.declared import DeclaredTable

Tables = Iterable[str] | None


def declared(settings: Settings, tables: Tables) -> tuple[DeclaredTable, ...]:
    return tuple(table for _, table in declared_tables(settings.metadata, tables))


def looked(settings: Settings, tables: Tables, paths: tuple[Path, ...] = (), *, measured: bool = False) -> View:
    """
    Args:
        paths: Branches asked for at run time.
        measured: See `look`.
    """
    settings.require_postgresql()
    engine = dependable(settings.engine)
    placed = settings.schemas.place(engine, declared(settings, tables))
    wanted = tuple(each.declared for each in placed)
    branches = {table.name: typed(table, paths) for table in wanted if paths and takes_paths(table)}
    if paths and not branches:
        raise DeclarationError(
            "tenants= were given, and no table has a level of tenants or list values; leave them out"
        )
    schemas = {each.declared.name: each.schemas for each in placed if each.schemas}
    return look(engine, wanted, settings.now, branches, schemas, measured=measured)


def planned(view: TableView, *, adopt: bool = False, repair: bool = False) -> TablePlan:
    """
    What one table needs; nothing when it could not be looked at, or the role may not do it.

    Args:
        adopt: See `Maintainer.run`.
        repair: See `Maintainer.run`.
    """
    if view.unread is not None:
        return TablePlan(view.declared.name, (), (view.unread,))
    try:
        plan = plan_table(view.declared, view.found, view.situation, handed_over=adopt, repair=repair)
    except Exception as error:  # in a codec or a callable of the user's: it costs this table, and no other
        return TablePlan(view.declared.name, (), (undecided(view.declared, error),))
    lacking = _lacking(view.found, plan)
    return plan if lacking is None else TablePlan(plan.table, (), (*plan.findings, lacking))


def status(view: TableView) -> TableStatus:
    try:
        found = status_of(view.declared, view.found, view.situation)
    except Exception as error:  # in a codec or a callable of the user's
        problem = undecided(view.declared, error).message
        found = replace(status_of(view.declared, None, view.situation), problem=problem)
    return found if view.unread is None else replace(found, problem=view.unread.message)


def undecided(table: DeclaredTable, error: Exception) -> Finding:
    said = str(error) if isinstance(error, DeclarationError | ValueError) else repr(error)
    return Finding(
        "declaration",
        Severity.ERROR,
        str(table.name),
        f"{table.name} can't be planned: {said}; nothing was changed",
        "fix the declaration; the other tables were not affected",
    )


def _lacking(found: FoundTable | None, plan: TablePlan) -> Finding | None:
    """What the connected role may not do, if the plan needs it."""
    return None if found is None or not plan.steps else privilege_finding(found)
