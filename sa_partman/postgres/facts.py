"""Reads what checks need of the rows: those in default partitions, and those that a codec can't place."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from sqlalchemy import Connection, TextClause, text

from sa_partman.bounds.bound import ListBound
from sa_partman.bounds.grid import cells_from
from sa_partman.bounds.text import describe, literal, value_of
from sa_partman.bounds.values import KeyValue
from sa_partman.catalog import FoundTable, Parent, Partition, default_of
from sa_partman.checks.data import DataFacts, DefaultRows, Misplaced
from sa_partman.compare.descend import divides
from sa_partman.compare.ranges import Line
from sa_partman.key import KeyType, PartitionKey
from sa_partman.names import quote
from sa_partman.spec.axis import TimeAxis
from sa_partman.spec.declared import DeclaredTable, Level, ListLevel, RangeLevel

CELLS = 20
"""Blocked ranges that are looked up one by one; further rows are only counted."""
SAMPLED_PAGES = 2_000
"""Pages of a partition up to which every row is read; of a larger one about as many pages."""


def data_facts(connection: Connection, declared: DeclaredTable, found: FoundTable) -> DataFacts:
    """Reads *found* in the caller's pinned transaction; needs SELECT on it."""
    return DataFacts(
        tuple(_defaults(connection, declared.level, found)), tuple(_misplaced(connection, declared.level, found))
    )


def _defaults(connection: Connection, level: Level, parent: Parent) -> Iterator[DefaultRows]:
    default = default_of(parent)
    if default is not None:
        rows = connection.execute(_sql(f"SELECT count(*) FROM {default.name.quoted}")).scalar_one()
        if rows:
            yield DefaultRows(default.name, rows, tuple(islice(_blocked(connection, level, parent, default), CELLS)))
    if level.below is not None:
        for partition in parent.partitions:
            if divides(level.below, partition):
                yield from _defaults(connection, level.below, partition)


def _blocked(connection: Connection, level: Level, parent: Parent, default: Partition) -> Iterator[tuple[str, int]]:
    key = parent.key or level.key
    if isinstance(level, ListLevel):
        yield from _blocked_values(connection, key, default)
    elif isinstance(level, RangeLevel) and level.spec.tenants is None:
        yield from _blocked_cells(connection, level, key, default)


def _blocked_values(connection: Connection, key: PartitionKey, default: Partition) -> Iterator[tuple[str, int]]:
    column = _column(key, 0)
    sql = (
        f"SELECT CAST({column} AS text), count(*) FROM {default.name.quoted} "
        f"GROUP BY {column} ORDER BY 2 DESC LIMIT {CELLS}"
    )
    for shown, rows in connection.execute(_sql(sql)):
        yield describe(ListBound(frozenset({shown}))), rows


def _blocked_cells(
    connection: Connection, level: RangeLevel, key: PartitionKey, default: Partition
) -> Iterator[tuple[str, int]]:
    """The grid's cells that hold rows, from the lowest on; each is found from where the last one ended."""
    axis, kind, column = level.axis, key.types[0], _column(key, 0)
    lowest = _lowest(connection, column, kind, default, "true")
    while lowest is not None:
        position = axis.decode(lowest)
        if position is None:
            return
        cell = next(cells_from(axis.grid, position))
        bound = Line((), 0, 1).bound(axis.encode(cell.lower), axis.encode(cell.upper))
        upper = literal(bound.upper[0], kind)
        inside = f"{column} >= {literal(bound.lower[0], kind)} AND {column} < {upper}"
        counted = connection.execute(_sql(f"SELECT count(*) FROM {default.name.quoted} WHERE {inside}")).scalar_one()
        yield describe(bound), counted
        lowest = _lowest(connection, column, kind, default, f"{column} >= {upper}")


def _lowest(connection: Connection, column: str, kind: KeyType, table: Partition, where: str) -> KeyValue:
    sql = f"SELECT CAST({column} AS text) FROM {table.name.quoted} WHERE {where} ORDER BY {column} LIMIT 1"
    shown = connection.execute(_sql(sql)).scalar()
    return None if shown is None else value_of(shown, kind)


def _misplaced(connection: Connection, level: Level, parent: Parent) -> Iterator[Misplaced]:
    if isinstance(level, RangeLevel) and isinstance(level.axis, TimeAxis) and level.axis.codec is not None:
        key = parent.key or level.key
        condition = level.axis.codec.misplaced(_column(key, level.place), key.types[level.place].family)
        if condition is not None:
            for partition in parent.partitions:
                yield from _misplaced_in(connection, partition, condition)
    if level.below is not None:
        for partition in parent.partitions:
            if divides(level.below, partition):
                yield from _misplaced(connection, level.below, partition)


def _misplaced_in(connection: Connection, partition: Partition, condition: str) -> Iterator[Misplaced]:
    sampled = partition.kind == "r" and partition.pages > SAMPLED_PAGES
    sample = f" TABLESAMPLE SYSTEM ({100 * SAMPLED_PAGES / partition.pages:.4f})" if sampled else ""
    sql = f"SELECT count(*) FROM {partition.name.quoted}{sample} WHERE {condition}"
    rows = connection.execute(_sql(sql)).scalar_one()
    if rows:
        yield Misplaced(partition.name, rows, sampled)


def _column(key: PartitionKey, place: int) -> str:
    part = key.parts[place]
    return quote(part.column) if part.column is not None else f"({part.expression})"


def _sql(statement: str) -> TextClause:
    """``text()`` takes ``:name`` for a parameter."""
    return text(statement.replace(":", r"\:"))
