"""
What only the data can tell, without a scan: tenants, the highest key, sizes, estimates, whether there is a row at
all.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Executable, text
from sqlalchemy.exc import DBAPIError

from sa_partman.bounds.bound import RangeBound, row_order
from sa_partman.catalog import FoundTable, Parent, Partition
from sa_partman.compare.expired_rows import Outlived
from sa_partman.errors import DeclarationError
from sa_partman.names import QualifiedName, quote
from sa_partman.plan.actions import COUNTED
from sa_partman.postgres.session import verbatim
from sa_partman.postgres.sqlstate import LOCK_NOT_AVAILABLE, sqlstate
from sa_partman.spec.declared import DeclaredTable, IntegerAxis, Level, ListLevel, RangeLevel, fitted
from sa_partman.spec.list_spec import Labelled, TenantSource, label_each, tenant_source

_CHUNK = 50


def tenants_of(connection: Connection, declared: DeclaredTable) -> dict[int, Labelled]:
    """
    The values of each level that asks for them at every run, by depth.

    Raises:
        DeclarationError: A callable gives something that is no list of values.
    """
    found: dict[int, Labelled] = {}
    for level in declared.levels():
        source = level.source
        if source is not None and not source.literal:
            labelled = _asked(connection, source, str(declared.name))
            found[level.depth] = tuple(_fitted(declared, level, *pair) for pair in labelled)
    return found


def _fitted(declared: DeclaredTable, level: Level, label: str, values: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    kind = level.key.types[0]
    try:
        return label, tuple(fitted(value, kind, null=isinstance(level, ListLevel)) for value in values)
    except ValueError as error:
        raise DeclarationError(
            f"{declared.name}: what was asked for as values of {level.key.parts[0].label!r} ({kind.sql}) "
            f"holds one that is none: {error}"
        ) from error


_LABELS = text("""
SELECT a.attname, ARRAY(SELECT CAST(e.enumlabel AS text) FROM pg_catalog.pg_enum e
    WHERE e.enumtypid = a.atttypid ORDER BY e.enumsortorder)
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type y ON y.oid = a.atttypid AND y.typtype = 'e'
WHERE a.attrelid = CAST(:oid AS oid) AND a.attname = ANY (CAST(:columns AS text[])) AND NOT a.attisdropped
""")


def labels_of(connection: Connection, declared: DeclaredTable, found: FoundTable) -> dict[int, tuple[str, ...]]:
    """The labels of the enum that the values of each level are of, by depth."""
    columns = declared.enums
    if not columns:
        return {}
    rows = connection.execute(_LABELS, {"oid": found.oid, "columns": list(columns.values())})
    labels = {row[0]: tuple(row[1]) for row in rows}
    return {depth: labels[column] for depth, column in columns.items() if column in labels}


def _asked(connection: Connection, source: TenantSource, table: str) -> Labelled:
    argument = source.argument
    if isinstance(argument, Executable):
        return label_each(dict.fromkeys(connection.execute(argument).scalars()))
    answer = argument(connection) if inspect.signature(argument).parameters else argument()
    if isinstance(answer, Mapping):
        return tenant_source(answer).labelled
    if isinstance(answer, str) or not isinstance(answer, Iterable):
        raise DeclarationError(f"{table}: {argument!r} gave {answer!r}; return a list of values or a mapping of labels")
    return label_each(dict.fromkeys(answer))


def highest_of(connection: Connection, declared: DeclaredTable, found: FoundTable) -> dict[int, int]:
    """
    The highest key present of every integer range, by oid of the relation that it divides; empty ones are left out.

    No table is scanned: the last partition that holds a row is looked for from above, and its highest key is read from
    an index that begins with the key; without one, the end of that partition stands for it.
    """
    highest: dict[int, int] = {}
    for level, parent in _integer_parents(declared.level, found):
        value = _highest(connection, level, parent)
        if value is not None:
            highest[parent.oid] = value
    return highest


def _integer_parents(level: Level, parent: Parent) -> Iterator[tuple[RangeLevel, Parent]]:
    if isinstance(level, RangeLevel) and isinstance(level.axis, IntegerAxis):
        yield level, parent
    if level.below is not None:
        for partition in parent.partitions:
            if partition.strategy is not None:
                yield from _integer_parents(level.below, partition)


def _highest(connection: Connection, level: RangeLevel, parent: Parent) -> int | None:
    place = level.place
    part = level.key.parts[place]
    bounded = [each for each in parent.partitions if isinstance(each.bound, RangeBound) and _can_be_read(each)]
    bounded.sort(key=lambda each: row_order(each.bound.upper[place:]), reverse=True)  # type: ignore[union-attr]
    last = _last_with_rows(connection, bounded)
    if last is None or not isinstance(last.bound, RangeBound):
        return None
    upper = last.bound.upper[place]
    if part.column is None or (isinstance(upper, int) and not _indexed(connection, last, part.column)):
        return upper - 1 if isinstance(upper, int) else None
    sql = f"SELECT max({quote(part.column)}) FROM {last.name.quoted}"
    value = connection.execute(verbatim(sql)).scalar()
    return None if value is None else int(value)


def _can_be_read(partition: Partition) -> bool:
    """Another server, which may be away, is not asked."""
    return partition.kind != "f" and not partition.detach_pending


def _last_with_rows(connection: Connection, partitions: list[Partition]) -> Partition | None:
    for start in range(0, len(partitions), _CHUNK):
        chunk = partitions[start : start + _CHUNK]
        # CASE stops at the first that holds a row, so the empty ones ahead cost a glance each.
        tests = " ".join(
            f"WHEN EXISTS (SELECT FROM {each.name.quoted}) THEN {index}" for index, each in enumerate(chunk)
        )
        index: int | None = connection.execute(verbatim(f"SELECT CASE {tests} END")).scalar()
        if index is not None:
            return chunk[index]
    return None


_INDEXED = text("""
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = CAST(:oid AS oid) AND i.indisvalid AND i.indpred IS NULL AND a.attname = :column)
""")


def _indexed(connection: Connection, partition: Partition, column: str) -> bool:
    return bool(connection.execute(_INDEXED, {"oid": partition.oid, "column": column}).scalar())


LOCK_TIMEOUT = 0.1
"""Seconds. Measuring and planning open a table; one that is locked meanwhile is not worth waiting for."""

_SETTING = text("SELECT pg_catalog.set_config('lock_timeout', :timeout, true)")
_SIZES = text("""
SELECT c.oid, pg_catalog.pg_relation_size(c.oid)
FROM unnest(CAST(:oids AS oid[])) AS u(oid) JOIN pg_catalog.pg_class c ON c.oid = u.oid
WHERE c.relkind = 'r' AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_locks l WHERE l.relation = c.oid AND l.mode = 'AccessExclusiveLock'
        AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database()))
""")


def sizes_of(connection: Connection, tables: Iterable[FoundTable]) -> dict[int, int]:
    """
    Bytes by oid, of partitions without an estimate and of detached tables; without those that somebody has locked.

    The last thing in a transaction: it leaves a lock_timeout of its own.
    """
    wanted = [oid for table in tables for oid in _unknown(table)]
    if not wanted:
        return {}
    try:
        with connection.begin_nested():
            connection.execute(_SETTING, {"timeout": f"{LOCK_TIMEOUT * 1000:.0f}ms"})
            return {oid: size for oid, size in connection.execute(_SIZES, {"oids": wanted}) if size is not None}
    except DBAPIError as error:
        if sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise
        return {}


def _unknown(table: FoundTable) -> Iterator[int]:
    yield from (each.oid for each in table.walk() if each.kind == "r" and each.rows < 0 and each.pages <= 0)
    yield from (each.oid for each in table.detached)


MOST = 20
"""Partitions of one table that the planner is asked about; of a converted one there is one."""
_ROWS = re.compile(r" rows=(\d+) ")


def outlived_rows(connection: Connection, partitions: Iterable[tuple[Partition, Outlived]]) -> dict[int, int]:
    """
    The planner's estimates by oid, of the first partitions; without those that somebody has locked or hides from us.

    One of the last things in a transaction: it leaves a lock_timeout of its own.
    """
    # Another server, which may be away, is not asked.
    asked = [pair for pair in partitions if not pair[0].has_foreign_tables][:MOST]
    if asked:
        connection.execute(_SETTING, {"timeout": f"{LOCK_TIMEOUT * 1000:.0f}ms"})
    found = ((each.oid, estimated(connection, each.name, outlived.condition)) for each, outlived in asked)
    return {oid: rows for oid, rows in found if rows is not None}


def estimated(connection: Connection, table: QualifiedName, condition: str) -> int | None:
    """
    How many rows of *table* the planner expects to fulfil *condition*; None when it can't be asked now, or nothing is
    to be asked.
    """
    if not condition:
        return None
    asked = f"EXPLAIN SELECT FROM {table.quoted} WHERE {condition}"
    try:
        with connection.begin_nested():
            plan = connection.execute(verbatim(asked)).scalars().first()
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return None
    rows = _ROWS.search(str(plan))
    return None if rows is None else int(rows[1])


def count_rows(connection: Connection, wanted: Iterable[tuple[Partition, str]]) -> dict[int, int]:
    """
    Rows of each table that fulfil its condition, by its oid, up to one more than `COUNTED`; where there are none,
    nothing.

    Args:
        wanted: Tables, and conditions on their columns.
    """
    counts = [
        f"SELECT CAST({each.oid} AS bigint), count(*) FROM (SELECT FROM ONLY {each.name.quoted} WHERE {where} "
        f"LIMIT {COUNTED + 1}) AS few"
        for each, where in wanted
    ]
    rows = connection.execute(verbatim(" UNION ALL ".join(counts))) if counts else ()
    return {row[0]: row[1] for row in rows if row[1]}


_GLANCES = 50


def empty_of(connection: Connection, tables: Iterable[QualifiedName]) -> frozenset[QualifiedName]:
    """
    Those of *tables* in which no row is seen now; whoever relies on it asks again under a lock. What can't be read is
    none of them.
    """
    names = tuple(tables)
    found: set[QualifiedName] = set()
    for start in range(0, len(names), _GLANCES):
        found |= _seen(connection, names[start : start + _GLANCES])
    return frozenset(found)


def _seen(connection: Connection, chunk: tuple[QualifiedName, ...]) -> set[QualifiedName]:
    glances = " UNION ALL ".join(
        f"SELECT {place} WHERE NOT EXISTS (SELECT FROM {name.quoted})" for place, name in enumerate(chunk)
    )
    try:
        with connection.begin_nested():
            return {chunk[place] for place in connection.execute(verbatim(glances)).scalars()}
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
    # Locked, gone, or behind row security: that is the business of one, and not of the others.
    return set().union(*(_seen(connection, (name,)) for name in chunk)) if len(chunk) > 1 else set()
