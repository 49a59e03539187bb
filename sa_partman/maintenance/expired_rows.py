"""Expired rows of default partitions, counted before a plan, because the catalog does not tell of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from sqlalchemy.exc import DBAPIError

from sa_partman.catalog import Partition, default_of
from sa_partman.checks.places import places_of
from sa_partman.checks.rows import unread_rows
from sa_partman.compare.expired_rows import expired_rows, leaves_of
from sa_partman.compare.shape import shape_finding
from sa_partman.finding import Finding
from sa_partman.maintenance.settings import Settings
from sa_partman.names import QualifiedName
from sa_partman.postgres.connect import connected
from sa_partman.postgres.expired_rows import count_rows
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
