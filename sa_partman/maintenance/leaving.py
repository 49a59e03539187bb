"""Tenants that left, removed by name: what the plan of a table is then, instead of what has expired."""

from __future__ import annotations

from typing import Any

from sa_partman.checks.privileges import privilege_finding
from sa_partman.compare.shape import shape_finding
from sa_partman.compare.situation import Path
from sa_partman.errors import DeclarationError
from sa_partman.finding import Finding
from sa_partman.maintenance.settings import Settings
from sa_partman.maintenance.tenants import takes_paths, typed
from sa_partman.maintenance.together import Keys, inbound_of, knowing
from sa_partman.plan.branches import has_branch, leaving_steps
from sa_partman.plan.steps import Step, TablePlan
from sa_partman.postgres.view import TableView, View


def leaving_all(
    settings: Settings, view: View, tenants: tuple[tuple[Any, ...], ...]
) -> tuple[tuple[TablePlan, ...], Keys]:
    """
    The removal of the branches of *tenants* and nothing else; and the foreign keys that tie the tables.

    Args:
        tenants: Each as a tuple of values from the top level down.

    Raises:
        DeclarationError: No table of *view* has tenants, or none has a partition for one of them.
        Refused: One of them is still declared.
    """
    taking = tuple(each for each in view.tables if takes_paths(each.declared))
    if not taking:
        raise DeclarationError(
            "tenants= were given, and no table has a level of tenants or list values; leave them out"
        )
    for path in tenants:
        if not any(_may_have(each, typed(each.declared, [path])[0]) for each in taking):
            raise DeclarationError(f"no table has a partition for the tenant {path[-1]!r}; nothing was changed")
    keys = inbound_of(settings, taking)
    return tuple(_plan(knowing(each, keys), typed(each.declared, tenants)) for each in taking), keys


def _may_have(view: TableView, path: Path) -> bool:
    """A table that could not be read says so in its plan."""
    return view.unread is not None or (view.found is not None and has_branch(view.declared, view.found, path))


def _plan(view: TableView, paths: tuple[Path, ...]) -> TablePlan:
    if view.unread is not None:
        return TablePlan(view.declared.name, (), (view.unread,))
    misfit = shape_finding(view.declared, view.found)
    if misfit is not None or view.found is None:
        return TablePlan(view.declared.name, (), () if misfit is None else (misfit,))
    made = tuple(leaving_steps(view.declared, view.found, paths, view.situation))
    findings = tuple(each for each in made if isinstance(each, Finding))
    steps = tuple(each for each in made if isinstance(each, Step))
    lacking = privilege_finding(view.found) if steps else None
    if lacking is not None:
        return TablePlan(view.found.name, (), (*findings, lacking))
    return TablePlan(view.found.name, steps, findings)
