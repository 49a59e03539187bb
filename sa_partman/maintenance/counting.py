"""
What the catalog does not tell, read before a plan: expired rows of default partitions, and which partitions are
empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from sqlalchemy.exc import DBAPIError

from sa_partman.catalog import Partition, default_of
from sa_partman.checks.coverage import places_of
from sa_partman.checks.membership import privilege_finding
from sa_partman.checks.rows import unread_rows
from sa_partman.compare.exchange import Exchange, current_findings, exchanges, interval_findings
from sa_partman.compare.expired_rows import expired_rows, leaves_of
from sa_partman.compare.shape import shape_finding
from sa_partman.finding import Finding
from sa_partman.maintenance.settings import Settings
from sa_partman.names import QualifiedName
from sa_partman.plan.regrid import regrid_steps
from sa_partman.plan.steps import Step, TablePlan
from sa_partman.postgres.connect import connected
from sa_partman.postgres.contents import count_rows, empty_of
from sa_partman.postgres.session import act_as, pin
from sa_partman.postgres.sqlstate import INSUFFICIENT_PRIVILEGE, first_line, sqlstate
from sa_partman.postgres.view import CATALOG_LOCK_TIMEOUT, TableView


def counted(settings: Settings, views: Iterable[TableView]) -> Iterator[tuple[TableView, Finding | None]]:
    """
    Each of *views* as it is known then, and why its rows can't be counted, if so: nothing of them is deleted then.
    """
    for view in views:
        yield _counted(settings, view)


def _counted(settings: Settings, view: TableView) -> tuple[TableView, Finding | None]:
    wanted, found = tuple(_wanted(view)), view.found
    if not wanted or found is None:
        return view, None
    try:
        with connected(settings.engine) as connection:  # for each table, so that no lock outlives the reading
            pin(connection, CATALOG_LOCK_TIMEOUT)
            act_as(connection, None if found.privileges.is_owner else found.privileges.owner)
            rows = count_rows(connection, wanted)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return view, unread(found.name, error)
    return replace(view, situation=replace(view.situation, expired_rows=rows)), None


def unread(table: QualifiedName, error: DBAPIError) -> Finding:
    """The server refused to let the rows of *table* be read."""
    denied = f"GRANT SELECT on {table} and its partitions to the connected role"
    held = "try again when no transaction holds them"
    return unread_rows(table, first_line(error), denied if sqlstate(error) == INSUFFICIENT_PRIVILEGE else held)


def _wanted(view: TableView) -> Iterator[tuple[Partition, str]]:
    """The tables that may hold some, each with the condition; of a table that can't be planned, none."""
    if view.found is None or shape_finding(view.declared, view.found) is not None:
        return
    if all(getattr(level.spec, "retention", None) is None for level in view.declared.levels()):
        return
    try:
        for level, parent, situation in places_of(view.declared, view.found, view.situation, gone=True):
            default = default_of(parent)
            expired = None if default is None else expired_rows(level, parent, situation)
            if default is not None and expired is not None:
                yield from ((each, expired.where) for each in leaves_of(default))
    except Exception:  # in a codec or a callable of the user's: its plan says why
        return


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
