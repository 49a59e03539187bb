"""The plans of all tables together: what ties them, how much one run may remove, and whether it may at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sa_partman.catalog import ForeignKey
from sa_partman.finding import Finding, Severity
from sa_partman.maintenance.expired_rows import counted
from sa_partman.maintenance.looking import planned
from sa_partman.maintenance.settings import Settings
from sa_partman.maintenance.skew import skew_finding
from sa_partman.maintenance.standing import apart_from
from sa_partman.names import QualifiedName
from sa_partman.plan.families import limited, referenced_first, without_removals
from sa_partman.plan.steps import TablePlan
from sa_partman.postgres.connect import connected
from sa_partman.postgres.inbound import inbound_keys
from sa_partman.postgres.session import pin
from sa_partman.postgres.view import CATALOG_LOCK_TIMEOUT, TableView, View

NOWHERE = QualifiedName(None, "")
"""Instead of a table's name, for what concerns no table in particular."""

Keys = tuple[ForeignKey, ...]


def planned_all(
    settings: Settings, view: View, *, removing: bool = True, adopt: bool = False, repair: bool = False
) -> tuple[tuple[TablePlan, ...], Keys]:
    """
    A plan for each table of *view*, in its order; and the foreign keys that tie them, which are read only when
    something is to be removed.

    Args:
        removing: Look for rows to remove, too.
    """
    pairs = list(counted(settings, view.tables)) if removing else [(each, None) for each in view.tables]
    tables, uncounted = [each for each, _ in pairs], [finding for _, finding in pairs]
    plans = _planned(settings, tables, adopt=adopt, repair=repair)
    keys: Keys = ()
    if any(map(_removes, plans)):
        keys = inbound_of(settings, tables)
        if keys or _named(tables):
            plans = _planned(settings, [knowing(each, keys) for each in tables], adopt=adopt, repair=repair)
    return tuple(map(_with, plans, uncounted)), keys


def _with(plan: TablePlan, finding: Finding | None) -> TablePlan:
    return plan if finding is None else replace(plan, findings=(*plan.findings, finding))


def _planned(settings: Settings, views: Iterable[TableView], *, adopt: bool, repair: bool) -> tuple[TablePlan, ...]:
    return apart_from(settings.engine, (planned(each, adopt=adopt, repair=repair) for each in views), repair=repair)


def settled(settings: Settings, plans: Iterable[TablePlan], keys: Keys) -> tuple[TablePlan, ...]:
    """
    *plans*, referenced tables first, with at most as many removals as one run may do; and with none, and a finding,
    while nobody knows what time it is.
    """
    made = tuple(plans)
    if not any(map(_removes, made)):
        return made
    skewed = skew_finding(settings, Severity.ERROR)
    if skewed is not None:
        return (*map(without_removals, made), TablePlan(NOWHERE, (), (skewed,)))
    return limited(referenced_first(made, keys), settings.limit)


def _removes(plan: TablePlan) -> bool:
    return any(step.purpose.removes for step in plan.steps)


def _named(tables: Iterable[TableView]) -> bool:
    """Whether anything is declared that has to be compared with the keys, even when there are none."""
    rules = (getattr(level.spec, "retention", None) for each in tables for level in each.declared.levels())
    return any(getattr(rule, "satellites", ()) for rule in rules)


def inbound_of(settings: Settings, tables: Iterable[TableView]) -> Keys:
    oids = [each.found.oid for each in tables if each.found is not None and each.found.referenced]
    if not oids:
        return ()
    with connected(settings.engine) as connection:
        pin(connection, CATALOG_LOCK_TIMEOUT)
        return inbound_keys(connection, oids)


def knowing(view: TableView, keys: Keys) -> TableView:
    return replace(view, situation=replace(view.situation, inbound=keys))
