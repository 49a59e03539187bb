"""What only the data can tell: the tenants that a ``select()`` or a callable names, and the highest integer key."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Executable, text

from sa_partman.bounds.bound import RangeBound, row_order
from sa_partman.catalog import FoundTable, Parent, Partition
from sa_partman.compare.lists import source_of
from sa_partman.errors import DeclarationError
from sa_partman.key import Family
from sa_partman.names import quote
from sa_partman.spec.axis import IntegerAxis, fitted
from sa_partman.spec.declared import DeclaredTable, Level, ListLevel, RangeLevel
from sa_partman.spec.list_spec import Labelled, TenantSource, label_each, tenant_source

_CHUNK = 50


def asks(declared: DeclaredTable) -> bool:
    """Whether a level of *declared* has a ``select()`` or a callable."""
    return any(not source.literal for level in declared.levels() if (source := source_of(level)) is not None)


def counts(declared: DeclaredTable) -> bool:
    """Whether a level of *declared* is cut by number, so that `highest_of` has something to look for."""
    return any(isinstance(level, RangeLevel) and isinstance(level.axis, IntegerAxis) for level in declared.levels())


def tenants_of(connection: Connection, declared: DeclaredTable) -> dict[int, Labelled]:
    """
    The values of each level that asks for them at every run, by depth.

    Raises:
        DeclarationError: A callable gives something that is no list of values.
    """
    found: dict[int, Labelled] = {}
    for level in declared.levels():
        source = source_of(level)
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
    columns = {
        level.depth: level.key.parts[0].column
        for level in declared.levels()
        if source_of(level) is not None and level.key.types[0].family is Family.ENUM
    }
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
    sql = f"SELECT max({_escaped(quote(part.column))}) FROM {_escaped(last.name.quoted)}"
    value = connection.execute(text(sql)).scalar()
    return None if value is None else int(value)


def _can_be_read(partition: Partition) -> bool:
    """Another server, which may be away, is not asked."""
    return partition.kind != "f" and not partition.detach_pending


def _last_with_rows(connection: Connection, partitions: list[Partition]) -> Partition | None:
    for start in range(0, len(partitions), _CHUNK):
        chunk = partitions[start : start + _CHUNK]
        # CASE stops at the first that holds a row, so the empty ones ahead cost a glance each.
        tests = " ".join(
            f"WHEN EXISTS (SELECT FROM {_escaped(each.name.quoted)}) THEN {index}" for index, each in enumerate(chunk)
        )
        index: int | None = connection.execute(text(f"SELECT CASE {tests} END")).scalar()
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


def _escaped(sql: str) -> str:
    """``text()`` takes ``:name`` for a parameter."""
    return sql.replace(":", r"\:")
