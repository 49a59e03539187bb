"""Regridding in a run, and what a plan and a check say of it: which partitions are empty is read here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from sa_partman.checks.privileges import privilege_finding
from sa_partman.compare.exchange import Exchange, current_findings, exchanges, interval_findings
from sa_partman.compare.shape import shape_finding
from sa_partman.finding import Finding
from sa_partman.maintenance.settings import Settings
from sa_partman.names import QualifiedName
from sa_partman.plan.regrid import regrid_steps
from sa_partman.plan.steps import Step, TablePlan
from sa_partman.postgres.connect import connected
from sa_partman.postgres.empty import empty_of
from sa_partman.postgres.session import pin
from sa_partman.postgres.view import CATALOG_LOCK_TIMEOUT, TableView

Regridded = tuple[Step | Finding, ...]


def regridded(settings: Settings, views: Sequence[TableView]) -> tuple[tuple[TableView, ...], tuple[Regridded, ...]]:
    """
    *views* as they will be, and what makes them so: for each of them, in their order.
    """
    wanted = [exchanges_of(view) for view in views]
    names = [partition.name for found in wanted for each in found for partition in each.old]
    empty = _empty(settings, names) if names else frozenset[QualifiedName]()
    pairs = [_one(view, found, empty) for view, found in zip(views, wanted, strict=True)]
    return tuple(view for view, _ in pairs), tuple(steps for _, steps in pairs)


def _one(view: TableView, wanted: tuple[Exchange, ...], empty: frozenset[QualifiedName]) -> tuple[TableView, Regridded]:
    if not wanted or view.found is None:
        return view, ()
    lacking = privilege_finding(view.found)
    if lacking is not None:
        return view, (lacking,)
    found, steps = regrid_steps(view.found, wanted, empty)
    later = tuple(current_findings(view.declared, found, view.situation))
    return replace(view, found=found), (*steps, *later)


def _empty(settings: Settings, names: Iterable[QualifiedName]) -> frozenset[QualifiedName]:
    with connected(settings.engine) as connection:
        pin(connection, CATALOG_LOCK_TIMEOUT)
        return empty_of(connection, names)


def with_steps(plan: TablePlan, first: Regridded) -> TablePlan:
    """*plan*, with the exchanges *first*: what else is missing goes by what they make."""
    steps = tuple(each for each in first if isinstance(each, Step))
    findings = tuple(each for each in first if isinstance(each, Finding))
    return TablePlan(plan.table, (*steps, *plan.steps), tuple(dict.fromkeys((*plan.findings, *findings))))


def exchanges_of(view: TableView) -> tuple[Exchange, ...]:
    """None of a table that can't be planned; why, its plan says."""
    if view.found is None or shape_finding(view.declared, view.found) is not None:
        return ()
    try:
        return tuple(exchanges(view.declared, view.found, view.situation))
    except Exception:  # in a codec or a callable of the user's
        return ()


def waiting_findings(view: TableView) -> Iterator[Finding]:
    """From when on a changed interval holds."""
    if view.found is None or shape_finding(view.declared, view.found) is not None:
        return
    yield from interval_findings(view.found.name, exchanges_of(view))
    try:
        current = tuple(current_findings(view.declared, view.found, view.situation))
    except Exception:  # in a codec or a callable of the user's: its plan says why
        return
    yield from current
