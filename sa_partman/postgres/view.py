"""One look at the database: everything that planners and checks need, read in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from sa_partman.catalog import FoundTable, LostConversion
from sa_partman.compare.context import Context, Path
from sa_partman.compare.expired_rows import outlived_of
from sa_partman.compare.shape import shape_finding
from sa_partman.errors import CatalogError, PartmanError, UnreadableBound
from sa_partman.finding import Finding, Severity
from sa_partman.names import QualifiedName
from sa_partman.postgres import journal
from sa_partman.postgres.contents import highest_of, labels_of, outlived_rows, sizes_of, tenants_of
from sa_partman.postgres.conversion.whereabouts import unfinished
from sa_partman.postgres.reflect import reflect
from sa_partman.postgres.session import Session, connected, pin
from sa_partman.postgres.sqlstate import INSUFFICIENT_PRIVILEGE, LOCK_NOT_AVAILABLE, first_line, sqlstate
from sa_partman.spec.declared import DeclaredTable
from sa_partman.spec.list_spec import Labelled

CATALOG_LOCK_TIMEOUT = 2.0
"""Seconds. Reading a bound opens the partition, which waits behind an ACCESS EXCLUSIVE lock on it."""


@dataclass(frozen=True, slots=True)
class TableView:
    """
    One declared table as a look found it.

    Args:
        declared: Its name carries the schema now.
        found: None when the database has no such table.
        context: The clock and what only the data can tell.
        unread: Why it could not be looked at, if so.
    """

    declared: DeclaredTable
    found: FoundTable | None
    context: Context
    unread: Finding | None = None


@dataclass(frozen=True, slots=True)
class View:
    """All declared tables, referenced ones first, at one instant."""

    session: Session
    now: datetime
    tables: tuple[TableView, ...]


SchemaMap = Mapping[str | None, str | None]


def look(
    engine: Engine,
    tables: Sequence[DeclaredTable],
    now: Callable[[], datetime] | None = None,
    paths: Mapping[QualifiedName, tuple[Path, ...]] | None = None,
    schemas: Mapping[QualifiedName, SchemaMap] | None = None,
    *,
    measured: bool = False,
) -> View:
    """
    Args:
        engine: Without a ``schema_translate_map``.
        tables: Names without a schema mean the session's default one.
        now: Instead of the server's clock.
        paths: Branches asked for at run time, by the declared name.
        schemas: The ``schema_translate_map`` under which tenants are asked for, by the declared name.
        measured: With the sizes of tables that the catalog has no estimate for, and the rows past their retention.

    Raises:
        ServerUnavailable: See `connected`.
        CatalogError: There is no default schema to resolve a name in.
    """
    reader = _ViewReader(engine, now, paths or {}, schemas or {}, measured)
    try:
        return reader.at(tables)
    except UnreadableBound:
        pass
    except DBAPIError as error:
        if sqlstate(error) not in _ONE_TABLES:
            raise
    except (PartmanError, SQLAlchemyError):
        raise
    except Exception:
        pass  # raised again below where it is not one table's
    # One of the tables can't be read: look at each by itself, so that the others are maintained all the same.
    views = [reader.at_one(table) for table in tables]
    return View(views[0].session, views[0].now, tuple(each for view in views for each in view.tables))


@dataclass(frozen=True, slots=True)
class _ViewReader:
    engine: Engine = field(repr=False)
    now: Callable[[], datetime] | None
    paths: Mapping[QualifiedName, tuple[Path, ...]]
    schemas: Mapping[QualifiedName, SchemaMap]
    measured: bool

    def at(self, tables: Iterable[DeclaredTable]) -> View:
        with connected(self.engine) as connection:
            # Tenants first: their select() is the user's, and relies on the user's search path.
            asked = [(table, _asked(connection, table, self.schemas.get(table.name))) for table in tables]
            session = pin(connection, CATALOG_LOCK_TIMEOUT)
            instant = session.now if self.now is None else self.now()
            resolved = [(_resolved(table, session), table.name, tenants) for table, tenants in asked]
            found = _with_conversions(connection, reflect(connection, [table for table, _, _ in resolved]))
            views = []
            for table, name, tenants in resolved:
                if isinstance(tenants, Finding):
                    views.append(TableView(table, None, Context(instant), tenants))
                    continue
                there = found.get(table.name)
                highest = {} if shape_finding(table, there) or there is None else _highest(connection, table, there)
                if isinstance(highest, Finding):
                    views.append(TableView(table, None, Context(instant), highest))
                    continue
                labels = labels_of(connection, table, there) if there is not None and table.enums else {}
                context = Context(instant, tenants, highest, self.paths.get(name, ()), labels=labels)
                views.append(TableView(table, there, context))
            if not self.measured:
                return View(session, instant, tuple(views))
            sizes = sizes_of(connection, found.values())
            judged = (outlived_of(each.declared, each.found, each.context) for each in views)
            older = {oid: rows for each in judged for oid, rows in outlived_rows(connection, each).items()}
        measured = (replace(each, context=replace(each.context, sizes=sizes, outlived=older)) for each in views)
        return View(session, instant, tuple(measured))

    def at_one(self, table: DeclaredTable) -> View:
        try:
            return self.at((table,))
        except UnreadableBound as error:
            finding = _unread(table, "unreadable", str(error), _CAUSE)
        except DBAPIError as error:
            if sqlstate(error) not in _ONE_TABLES:
                raise
            finding = _locked(table) if sqlstate(error) == LOCK_NOT_AVAILABLE else _forbidden(table, error)
        except (PartmanError, SQLAlchemyError):
            raise
        except Exception as error:
            finding = _failed(table, str(error) or type(error).__name__)
        view = self.at(())
        unread = TableView(_resolved(table, view.session), None, Context(view.now), finding)
        return View(view.session, view.now, (unread,))


def _with_conversions(
    connection: Connection, found: dict[QualifiedName, FoundTable]
) -> dict[QualifiedName, FoundTable]:
    """*found*, each with the conversion of it that is in progress."""
    running = journal.running(connection)
    told = unfinished(connection, running) if running else []
    known = {name: each for each in told for name in (each.table, each.now) if name is not None}
    return {
        name: replace(table, conversion=known.get(table.name) or _lost(connection, table))
        if known or table.strategy is None
        else table
        for name, table in found.items()
    }


def _lost(connection: Connection, table: FoundTable) -> LostConversion | None:
    return journal.lost(connection, table.name) if table.strategy is None else None


_ONE_TABLES = frozenset({LOCK_NOT_AVAILABLE, INSUFFICIENT_PRIVILEGE})
"""What goes wrong with one table and says nothing of the others."""


def _locked(table: DeclaredTable) -> Finding:
    return _unread(
        table,
        "locked",
        f"a transaction holds ACCESS EXCLUSIVE on {table.name} or one of its partitions, so its partition key can't be "
        "read",
        "end that transaction (pg_locks shows it), or try later; the other tables were not affected",
    )


def _forbidden(table: DeclaredTable, error: DBAPIError) -> Finding:
    return _unread(
        table,
        "missing-privilege",
        f"{table.name} can't be read: {first_line(error)}; nothing was changed",
        f"connect as the owner of {table.name}, or GRANT SELECT on it and its partitions; the other tables were not "
        f"affected",
    )


_CAUSE = "remove the cause, which the message names, and try again; the other tables were not affected"


def _failed(table: DeclaredTable, reason: str) -> Finding:
    return _unread(
        table,
        "unreadable",
        f"{table.name} can't be read: {reason}; nothing was changed",
        _CAUSE,
    )


def _highest(connection: Connection, table: DeclaredTable, found: FoundTable) -> dict[int, int] | Finding:
    """The highest integer keys; whatever goes wrong in reading them concerns this table alone."""
    if not table.counts:
        return {}
    try:
        with connection.begin_nested():
            return highest_of(connection, table, found)
    except DBAPIError as error:
        if error.connection_invalidated or sqlstate(error) in _ONE_TABLES:
            raise
        return _failed(table, first_line(error))
    except Exception as error:
        return _failed(table, str(error) or type(error).__name__)


def _unread(table: DeclaredTable, code: str, message: str, remedy: str) -> Finding:
    return Finding(code, Severity.ERROR, str(table.name), message, remedy)


def _asked(connection: Connection, table: DeclaredTable, schemas: SchemaMap | None) -> dict[int, Labelled] | Finding:
    """The tenants of *table*; whatever goes wrong in the user's own code concerns this table alone."""
    if not table.asks:
        return {}
    connection.execution_options(schema_translate_map=dict(schemas) if schemas else None)
    try:
        with connection.begin_nested():
            return tenants_of(connection, table)
    except Exception as error:
        reason = first_line(error) if isinstance(error, DBAPIError) else str(error) or type(error).__name__
        return _unread(
            table,
            "tenants",
            f"{table.name}: its tenants can't be asked for: {reason}; nothing was changed",
            "correct the select() or the callable of the declaration; the other tables were not affected",
        )


def _resolved(table: DeclaredTable, session: Session) -> DeclaredTable:
    if table.name.schema is not None:
        return table
    if session.default_schema is None:
        raise CatalogError(
            f"{table.name}: the session's search_path names no schema that exists, so the table can't be found; "
            f"nothing was changed. Set schema= on the Table, or search_path on the role (ALTER ROLE ... SET)."
        )
    return table.renamed(QualifiedName(session.default_schema, table.name.name))
