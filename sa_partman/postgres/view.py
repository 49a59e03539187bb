"""One look at the database: everything that planners and checks need, read in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from sa_partman.catalog import FoundTable
from sa_partman.compare.situation import Path, Situation
from sa_partman.errors import CatalogError
from sa_partman.finding import Finding, Severity
from sa_partman.names import QualifiedName
from sa_partman.postgres.connect import connected
from sa_partman.postgres.reflect import reflect
from sa_partman.postgres.session import Session, pin
from sa_partman.postgres.sources import highest_of, tenants_of
from sa_partman.postgres.sqlstate import LOCK_NOT_AVAILABLE, sqlstate
from sa_partman.spec.declared import DeclaredTable

CATALOG_LOCK_TIMEOUT = 2.0
"""Seconds. Reading a bound opens the partition, which waits behind an ACCESS EXCLUSIVE lock on it."""


@dataclass(frozen=True, slots=True)
class TableView:
    """
    One declared table as a look found it.

    Args:
        declared: Its name carries the schema now.
        found: None when the database has no such table.
        situation: The clock and what only the data can tell.
        unread: Why it could not be looked at, if so.
    """

    declared: DeclaredTable
    found: FoundTable | None
    situation: Situation
    unread: Finding | None = None


@dataclass(frozen=True, slots=True)
class View:
    """All declared tables, referenced ones first, at one instant."""

    session: Session
    now: datetime
    tables: tuple[TableView, ...]


def look(
    engine: Engine,
    tables: Sequence[DeclaredTable],
    now: Callable[[], datetime] | None = None,
    paths: Mapping[QualifiedName, tuple[Path, ...]] | None = None,
) -> View:
    """
    Args:
        tables: Names without a schema mean the session's default one.
        now: Instead of the server's clock.
        paths: Branches asked for at run time, by the declared name.

    Raises:
        ServerUnavailable: See `connected`.
        CatalogError: There is no default schema to resolve a name in, or a bound can't be read.
    """
    try:
        return _look(engine, tables, now, paths or {})
    except DBAPIError as error:
        if sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise
    # One of the tables is locked: look at each by itself, so that the others are maintained all the same.
    views = [_look_alone(engine, table, now, paths or {}) for table in tables]
    return View(views[0].session, views[0].now, tuple(each for view in views for each in view.tables))


def _look(
    engine: Engine,
    tables: Iterable[DeclaredTable],
    now: Callable[[], datetime] | None,
    paths: Mapping[QualifiedName, tuple[Path, ...]],
) -> View:
    with connected(engine) as connection:
        # Tenants first: their select() is the user's, and relies on the user's search path.
        asked = [(table, tenants_of(connection, table)) for table in tables]
        session = pin(connection, CATALOG_LOCK_TIMEOUT)
        instant = session.now if now is None else now()
        resolved = [(_resolved(table, session), table.name, tenants) for table, tenants in asked]
        found = reflect(connection, [table for table, _, _ in resolved])
        views = []
        for table, name, tenants in resolved:
            there = found.get(table.name)
            highest = {} if there is None else highest_of(connection, table, there)
            situation = Situation(instant, tenants, highest, paths.get(name, ()))
            views.append(TableView(table, there, situation))
    return View(session, instant, tuple(views))


def _look_alone(
    engine: Engine,
    table: DeclaredTable,
    now: Callable[[], datetime] | None,
    paths: Mapping[QualifiedName, tuple[Path, ...]],
) -> View:
    try:
        return _look(engine, (table,), now, paths)
    except DBAPIError as error:
        if sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise
        view = _look(engine, (), now, {})
        finding = Finding(
            "locked",
            Severity.ERROR,
            str(table.name),
            f"a transaction holds ACCESS EXCLUSIVE on {table.name} or one of its partitions, so its bounds "
            f"can't be read",
            "end that transaction (pg_locks shows it), or try later; the other tables were not affected",
        )
        blind = TableView(_resolved(table, view.session), None, Situation(view.now), finding)
        return View(view.session, view.now, (blind,))


def _resolved(table: DeclaredTable, session: Session) -> DeclaredTable:
    if table.name.schema is not None:
        return table
    if session.default_schema is None:
        raise CatalogError(
            f"{table.name}: the session's search_path names no schema that exists, so the table can't be found; "
            f"set schema= on the Table, or search_path on the role"
        )
    return table.renamed(QualifiedName(session.default_schema, table.name.name))
