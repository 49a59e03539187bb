"""
An inspector beside many partitions: SQLAlchemy's own answers, without asking the server about each of them.

Methods of the one inspector that autogenerate uses are replaced; what they are not meant for goes through unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

from sqlalchemy import Connection, Inspector, Table
from sqlalchemy.dialects.postgresql.base import PGDialect

from alembic_ext.compare.catalog import Catalog, referred_table
from sa_partman.postgres.migrations import index_lookups

_MULTI = (
    "get_multi_columns",
    "get_multi_pk_constraint",
    "get_multi_foreign_keys",
    "get_multi_indexes",
    "get_multi_unique_constraints",
    "get_multi_table_comment",
    "get_multi_check_constraints",
    "get_multi_table_options",
)
_BY_INDEX = ("get_multi_pk_constraint", "get_multi_indexes", "get_multi_unique_constraints")
_MOST_NAMES = 10_000
"""SQLAlchemy sends each name as a parameter, and a statement has room for 32,767 over asyncpg."""
_AT_ONCE = 100
"""Tables. Without hash and merge joins the query of indexes compares each index with each other one."""


def hide_partitions(inspector: Inspector, catalog: Catalog, connection: Connection) -> None:
    """
    Makes *inspector* list, and read, only what *catalog* says may be seen.

    Args:
        connection: The one that *inspector* works on.
    """
    inspector.get_table_names = _table_names(inspector.get_table_names, catalog)  # type: ignore[method-assign]
    if not catalog.partitioned:
        return
    hide_ghosts(inspector, catalog)
    for name in _BY_INDEX:
        setattr(inspector, name, _by_index(getattr(inspector, name), connection))
    if "get_multi_table_options" in vars(PGDialect):
        _overlook_options(inspector, catalog)
    else:
        _options_one_by_one(inspector, catalog)
    for name in _MULTI:
        setattr(inspector, name, _only_seen(getattr(inspector, name), catalog))


def _table_names(read: Callable[..., Any], catalog: Catalog) -> Callable[..., Any]:
    def get_table_names(schema: str | None = None, **keywords: Any) -> list[str]:
        # What the catalog was not asked for.
        if schema == "pg_catalog":
            return read(schema, **keywords)  # type: ignore[no-any-return]
        return list(catalog.tables.get(schema, ()))

    return get_table_names


def _only_seen(read: Callable[..., Any], catalog: Catalog) -> Callable[..., Any]:
    """
    Alembic and SQLAlchemy ask for all tables at once where they want more than half of them, and no names at all mean
    all: that would be all partitions too. Where these are few, it takes less than to name the tables.
    """

    # Alembic asks for the method's name.
    @wraps(read)
    def get_multi(
        schema: str | None = None, filter_names: Sequence[str] | None = None, *arguments: Any, **keywords: Any
    ) -> Any:
        if filter_names or arguments or {"kind", "scope"} & keywords.keys() or schema == "pg_catalog":
            return read(schema, filter_names, *arguments, **keywords)
        names = [*catalog.tables.get(schema, ()), *catalog.foreign.get(schema, ())]
        if not names:
            return {}
        if len(names) <= min(_MOST_NAMES, catalog.most_partitions):
            return read(schema, names, **keywords)
        found = read(schema, None, **keywords)
        return {key: value for key, value in found.items() if key in catalog.seen}

    return get_multi


def _by_index(read: Callable[..., Any], connection: Connection) -> Callable[..., Any]:
    @wraps(read)
    def get_multi(
        schema: str | None = None, filter_names: Sequence[str] | None = None, *arguments: Any, **keywords: Any
    ) -> Any:
        # For one table the planner does it by itself; older releases of Alembic ask for each.
        if not filter_names or len(filter_names) == 1:
            return read(schema, filter_names, *arguments, **keywords)
        names = list(filter_names)
        found: dict[Any, Any] = {}
        with index_lookups(connection):
            for start in range(0, len(names), _AT_ONCE):
                found.update(read(schema, names[start : start + _AT_ONCE], *arguments, **keywords))
        return found

    return get_multi


def _overlook_options(inspector: Inspector, catalog: Catalog) -> None:
    """SQLAlchemy's query aggregates all of pg_inherits, whatever it is asked about; most tables have no options."""
    read_many, read_one = inspector.get_multi_table_options, inspector.get_table_options

    def get_multi_table_options(
        schema: str | None = None, filter_names: Sequence[str] | None = None, *arguments: Any, **keywords: Any
    ) -> Any:
        if not filter_names or arguments or {"kind", "scope"} & keywords.keys():
            return read_many(schema, filter_names, *arguments, **keywords)
        others = [name for name in filter_names if (schema, name) not in catalog.plain]
        found = read_many(schema, others, *arguments, **keywords) if others else {}
        return {**found, **{(schema, name): {} for name in filter_names if (schema, name) in catalog.plain}}

    def get_table_options(table_name: str, schema: str | None = None, **keywords: Any) -> Any:
        return {} if (schema, table_name) in catalog.plain else read_one(table_name, schema, **keywords)

    inspector.get_multi_table_options = get_multi_table_options  # type: ignore[method-assign]
    inspector.get_table_options = get_table_options  # type: ignore[method-assign]


def _options_one_by_one(inspector: Inspector, catalog: Catalog) -> None:
    """What SQLAlchemy 2.0 does, which knows no options of PostgreSQL's; but it lists all partitions first."""

    @wraps(inspector.get_multi_table_options)
    def get_multi_table_options(
        schema: str | None = None, filter_names: Sequence[str] | None = None, *arguments: Any, **keywords: Any
    ) -> Any:
        names = filter_names or catalog.tables.get(schema, ())
        return {(schema, name): inspector.get_table_options(name, schema) for name in names}

    inspector.get_multi_table_options = get_multi_table_options  # type: ignore[method-assign]


def hide_ghosts(inspector: Inspector, catalog: Catalog) -> None:
    """
    Answers for the tables that may have ghost foreign keys, so that nobody reads these.

    The name filter comes too late for a dropped table, whose downgrade would have them all, and for speed: SQLAlchemy
    needs seconds for 4,000.
    """
    if not catalog.real_keys:
        return
    read_many, read_one = inspector.get_multi_foreign_keys, inspector.get_foreign_keys

    def answer(schema: str | None, table: str, keywords: Mapping[str, Any]) -> Any:
        ignoring = bool(keywords.get("postgresql_ignore_search_path"))
        default = inspector.default_schema_name
        return [
            key.reflected(schema, default, ignore_search_path=ignoring) for key in catalog.real_keys[(schema, table)]
        ]

    def get_multi_foreign_keys(
        schema: str | None = None, filter_names: Sequence[str] | None = None, *arguments: Any, **keywords: Any
    ) -> Any:
        if not filter_names:
            found = read_many(schema, None, *arguments, **keywords)
            ghosts = [key for key in found if key in catalog.real_keys]
            return {**found, **{key: answer(key[0], key[1], keywords) for key in ghosts}}
        haunted = [name for name in filter_names if (schema, name) in catalog.real_keys]
        others = [name for name in filter_names if (schema, name) not in catalog.real_keys]
        found = read_many(schema, others, *arguments, **keywords) if others else {}
        return {**found, **{(schema, name): answer(schema, name, keywords) for name in haunted}}

    def get_foreign_keys(table_name: str, schema: str | None = None, **keywords: Any) -> Any:
        if (schema, table_name) in catalog.real_keys:
            return answer(schema, table_name, keywords)
        return read_one(table_name, schema, **keywords)

    inspector.get_multi_foreign_keys = get_multi_foreign_keys  # type: ignore[method-assign]
    inspector.get_foreign_keys = get_foreign_keys  # type: ignore[method-assign]
    inspector.reflect_table = _with_referred_tables(inspector.reflect_table)  # type: ignore[method-assign]


def _with_referred_tables(read: Callable[..., None]) -> Callable[..., None]:
    """
    Alembic before 1.18 reads the tables that keys refer to as well, and SQLAlchemy does that with another inspector,
    which sees the ghosts of these.
    """

    def reflect_table(table: Table, *arguments: Any, resolve_fks: bool = True, **keywords: Any) -> None:
        read(table, *arguments, resolve_fks=False, **keywords)
        for key in table.foreign_key_constraints if resolve_fks else ():
            schema, name = referred_table(key)
            if (name if schema is None else f"{schema}.{name}") not in table.metadata.tables:
                reflect_table(Table(name, table.metadata, schema=schema), None)

    return reflect_table
