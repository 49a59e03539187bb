"""
Reads what checks need of the rows: those in default partitions, and those that a codec can't place.

What is read is bounded, whatever the size and the number of the partitions: a check is made often.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from sa_partman.bounds.bound import Bound, Extreme, KeyValue, ListBound, RangeBound, row_order
from sa_partman.bounds.interval import Cell
from sa_partman.bounds.predicate import check_predicate
from sa_partman.bounds.text import describe, literal, value_of
from sa_partman.catalog import FoundTable, Parent, Partition, default_of
from sa_partman.checks.coverage import places_of
from sa_partman.checks.rows import (
    Blocked,
    ByPartition,
    DataFacts,
    DefaultRows,
    Fate,
    LockTable,
    Misplaced,
    TableFacts,
    fates,
    told_of,
)
from sa_partman.compare.context import Context
from sa_partman.compare.expired_rows import expired_rows, leaves_of, placeable
from sa_partman.compare.lists import missing_labels
from sa_partman.compare.shape import descend, divides
from sa_partman.compare.window import Line
from sa_partman.ddl.rows import held_by
from sa_partman.key import KeyType, PartitionKey
from sa_partman.names import QualifiedName, quote
from sa_partman.plan.repartition import starting_at
from sa_partman.postgres.contents import count_rows
from sa_partman.postgres.session import features_of, verbatim
from sa_partman.postgres.sqlstate import LOCK_NOT_AVAILABLE, sqlstate
from sa_partman.spec.declared import DeclaredTable, Level, ListLevel, RangeLevel, TimeAxis

CELLS = 20
"""Blocked ranges that are looked up one by one; further rows are only counted."""
SAMPLED_PAGES = 2_000
"""Pages of a partition up to which every row is read; of a larger one about as many pages."""
SAMPLED_ROWS = 1_000
"""Rows of a large default partition that are looked at to see what they block."""
READ_PARTITIONS = 100
"""Partitions of one table that are read at most, and default partitions as many."""
READ_PAGES = 20_000
"""Pages of one table that are read at most to try their keys with the codec: 160 MB."""


def has_rows_to_read(declared: DeclaredTable, found: FoundTable) -> bool:
    """Whether `data_facts` would read anything at all."""
    codec = any(_misplacing(level, level.key) for level in declared.levels())
    parents: tuple[Parent, ...] = (found, *found.walk())
    return codec or any(default_of(parent) is not None for parent in parents)


def data_facts(connection: Connection, declared: DeclaredTable, found: FoundTable, context: Context) -> DataFacts:
    """Reads *found* in the caller's pinned transaction; needs SELECT on it."""
    defaults = islice(_defaults(connection, declared.level, found, context), READ_PARTITIONS)
    return DataFacts(tuple(defaults), tuple(_misplaced(connection, declared, found, context)))


def _defaults(connection: Connection, level: Level, parent: Parent, context: Context) -> Iterator[DefaultRows]:
    default = default_of(parent)
    if default is not None:
        rows = _default(connection, level, parent, default, context)
        if rows is not None:
            yield rows
    if level.below is not None:
        for partition in parent.partitions:
            if divides(level.below, partition):
                inside = descend(level, partition.bound, context)
                yield from _defaults(connection, level.below, partition, inside)


def _default(
    connection: Connection, level: Level, parent: Parent, default: Partition, context: Context
) -> DefaultRows | None:
    """What sits in *default*: counted, or estimated when it is large; None when it is empty."""
    if _is_large(default):
        blocked = _sampled_cells(connection, level, parent, default, context)
        blocked = blocked or tuple(_expired(connection, level, parent, default, context))
        held = _held(connection, default, blocked)
        return DefaultRows(default.name, max(int(default.rows), 1), blocked, sampled=True, held=held)
    rows = connection.execute(verbatim(f"SELECT count(*) FROM {default.name.quoted}")).scalar_one()
    if not rows:
        return None
    blocked = tuple(islice(_blocked(connection, level, parent, default, context), CELLS))
    return DefaultRows(default.name, rows, blocked, held=_held(connection, default, blocked))


def _held(connection: Connection, default: Partition, blocked: tuple[Blocked, ...]) -> str:
    """Why a run refuses to move rows out of *default*, if there are any that it would."""
    if not any(each.fate is Fate.NEXT for each in blocked):
        return ""
    published, triggers = connection.execute(verbatim(held_by(default.name))).one()
    if triggers is not None:
        return f"that would fire the row triggers {triggers}"
    return "" if published is None else f"subscribers of {published} would get only one half of the move"


def _sampled_cells(
    connection: Connection, level: Level, parent: Parent, default: Partition, context: Context
) -> tuple[Blocked, ...]:
    """The grid's cells that rows of a sample lie in, each with the number of its rows in the sample."""
    if not isinstance(level, RangeLevel) or level.spec.tenants is not None:
        return ()
    key = parent.key or level.key
    sql = f"SELECT CAST({_column(key, 0)} AS text) FROM {default.name.quoted}{_sample(default)} LIMIT {SAMPLED_ROWS}"
    values = (
        None if shown is None else value_of(shown, key.types[0])
        for shown in connection.execute(verbatim(sql)).scalars()
    )
    positions = (level.axis.decode(value) for value in values)
    cells = Counter(level.axis.grid.cell(each) for each in positions if each is not None)
    told = fates(level, parent, context)
    return tuple(told(cell, _bound(level, cell), rows) for cell, rows in sorted(cells.most_common(CELLS), key=_lower))


def _lower(counted: tuple[Cell, int]) -> Any:
    return counted[0].lower


def _blocked(
    connection: Connection, level: Level, parent: Parent, default: Partition, context: Context
) -> Iterator[Blocked]:
    key = parent.key or level.key
    if isinstance(level, ListLevel):
        missing = {str(value) for _, bound in missing_labels(level, parent, context) for value in bound.values}
        for value, rows in _blocked_values(connection, key, default):
            fate = Fate.NEXT if str(value) in missing else Fate.NONE
            yield Blocked(describe(ListBound(frozenset({value}))), rows, fate)
    elif isinstance(level, RangeLevel) and level.spec.tenants is None:
        told = fates(level, parent, context)
        for cell, rows in _blocked_cells(connection, level, key, default):
            yield told(cell, _bound(level, cell), rows)
    else:
        yield from _expired(connection, level, parent, default, context)


def _expired(
    connection: Connection, level: Level, parent: Parent, default: Partition, context: Context
) -> Iterator[Blocked]:
    """Of a key with tenants only what is expired is known, all of it together."""
    expired = expired_rows(level, parent, context) if isinstance(level, RangeLevel) and level.spec.tenants else None
    if expired is not None:
        rows = sum(count_rows(connection, [(each, expired.where) for each in leaves_of(default)]).values())
        yield from [told_of(expired, default, rows)] * bool(rows)


def _blocked_values(connection: Connection, key: PartitionKey, default: Partition) -> Iterator[tuple[Any, int]]:
    column = _column(key, 0)
    sql = (
        f"SELECT CAST({column} AS text), count(*) FROM {default.name.quoted} "
        f"GROUP BY {column} ORDER BY 2 DESC LIMIT {CELLS}"
    )
    yield from ((row[0], row[1]) for row in connection.execute(verbatim(sql)))


def _blocked_cells(
    connection: Connection, level: RangeLevel, key: PartitionKey, default: Partition
) -> Iterator[tuple[Cell, int]]:
    """The grid's cells that hold rows, from the lowest on; each is found from where the last one ended."""
    axis, kind, column = level.axis, key.types[0], _column(key, 0)
    placed = placeable(level, key)
    lowest = lowest_value(connection, column, kind, default.name, placed)
    while lowest is not None:
        position = axis.decode(lowest)
        if position is None:
            return
        bound = _bound(level, axis.grid.cell(position))
        inside = check_predicate(bound, [column], [kind])
        inside = f"{inside} AND {placed}"
        counted = connection.execute(
            verbatim(f"SELECT count(*) FROM {default.name.quoted} WHERE {inside}")
        ).scalar_one()
        yield axis.grid.cell(position), counted
        if isinstance(bound.upper[0], Extreme):  # the end of the type, or of Python's calendar
            return
        lowest = lowest_value(
            connection, column, kind, default.name, f"{placed} AND {column} >= {literal(bound.upper[0], kind)}"
        )


def lowest_value(connection: Connection, column: str, kind: KeyType, table: QualifiedName, where: str) -> KeyValue:
    """
    Of the rows that *where* takes; None when there are none.

    Args:
        column: As SQL writes it, of type *kind*.
    """
    sql = f"SELECT CAST({column} AS text) FROM {table.quoted} WHERE {where} ORDER BY {column} LIMIT 1"
    shown = connection.execute(verbatim(sql)).scalar()
    return None if shown is None else value_of(shown, kind)


def from_lowest(connection: Connection, level: Level, default: QualifiedName, bound: Bound, key: PartitionKey) -> Level:
    """
    *level*, which begins with the lowest row that *bound* takes out of *default*, when that is early: rows that wait in
    a default partition may be older than what a new partition's own partitions begin with.

    Args:
        key: What *default* and *bound* are by.
    """
    predicate = check_predicate(bound, tuple(part.sql for part in key.parts), key.types)
    if not isinstance(level, RangeLevel) or level.spec.tenants is not None or predicate is None:
        return level
    part = level.key.parts[level.place]
    return starting_at(level, lowest_value(connection, part.sql, part.type, default, predicate))


def _bound(level: RangeLevel, cell: Cell) -> RangeBound:
    return Line((), 0, 1).bound(level.axis.encode(cell.lower), level.axis.encode(cell.upper))


def _misplaced(
    connection: Connection, declared: DeclaredTable, found: FoundTable, context: Context
) -> Iterator[Misplaced]:
    """In the partitions nearest to now, as many as may be read: what was written years ago was seen years ago."""
    wanted: list[tuple[Partition, str]] = []
    for level, parent, here in places_of(declared, found, context):
        condition = _misplacing(level, parent.key or level.key)
        if condition is not None and isinstance(level, RangeLevel):
            wanted += [(each, condition) for each in _nearest(level, parent, here)]
        if len(wanted) >= READ_PARTITIONS:
            break
    read = list(_affordable(wanted))
    counts = [
        f"SELECT {index}, count(*) FROM {partition.name.quoted}{_sample(partition)} WHERE {condition}"
        for index, (partition, condition) in enumerate(read)
    ]
    rows = connection.execute(verbatim(" UNION ALL ".join(counts))).all() if counts else []
    for index, number in sorted((row[0], row[1]) for row in rows if row[1]):
        partition = read[index][0]
        yield Misplaced(partition.name, number, _is_large(partition))


def _affordable(wanted: list[tuple[Partition, str]]) -> Iterator[tuple[Partition, str]]:
    """The first of *wanted*, until they come to too many pages."""
    pages = 0
    for partition, condition in wanted[:READ_PARTITIONS]:
        pages += min(partition.pages, SAMPLED_PAGES)
        if pages > READ_PAGES:
            return
        yield partition, condition


def _misplacing(level: Level, key: PartitionKey) -> str | None:
    """The condition of rows that the codec of *level* can't place; *key* as the catalog has it."""
    if not isinstance(level, RangeLevel) or not isinstance(level.axis, TimeAxis) or level.axis.codec is None:
        return None
    return level.axis.codec.misplaced(_column(key, level.place), key.types[level.place].family)


def _nearest(level: RangeLevel, parent: Parent, context: Context) -> tuple[Partition, ...]:
    """The default partition, then those on either side of now, the nearest first."""
    ranges = [(row_order(each.bound.lower), each) for each in parent.partitions if isinstance(each.bound, RangeBound)]
    ranges.sort(key=lambda pair: pair[0])
    assert isinstance(level.axis, TimeAxis)
    now = row_order((level.axis.encode(level.axis.position(context.now)),))
    middle = len(ranges) if level.place else bisect_right(ranges, now, key=lambda pair: pair[0])
    default = default_of(parent)
    near = sorted(range(len(ranges)), key=lambda index: abs(index + 1 - middle))[:READ_PARTITIONS]
    return (() if default is None else (default,)) + tuple(ranges[index][1] for index in near)


def _is_large(partition: Partition) -> bool:
    return partition.kind == "r" and partition.pages > SAMPLED_PAGES


def _sample(partition: Partition) -> str:
    """About `SAMPLED_PAGES` pages of it when it is large; else all of it."""
    return f" TABLESAMPLE SYSTEM ({100 * SAMPLED_PAGES / partition.pages:.4f})" if _is_large(partition) else ""


def _column(key: PartitionKey, place: int) -> str:
    part = key.parts[place]
    return quote(part.column) if part.column is not None else f"({part.expression})"


_SERVER = text("""
SELECT CAST(pg_catalog.current_setting('max_locks_per_transaction') AS integer),
    CAST(pg_catalog.current_setting('max_connections') AS integer)
        + CAST(pg_catalog.current_setting('max_prepared_transactions') AS integer)
""")

_TABLES = text("""
SELECT u.oid,
    (SELECT count(*) FROM pg_catalog.pg_index i WHERE i.indrelid = u.oid),
    ARRAY(SELECT CAST(a.attname AS text) FROM pg_catalog.pg_attribute a
          JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
          WHERE a.attrelid = u.oid AND a.attnum > 0 AND NOT a.attisdropped
              AND NOT a.attnotnull AND NOT y.typnotnull)
FROM unnest(CAST(:oids AS oid[])) AS u(oid)
""")

# On PostgreSQL 19 a publication of all tables has its exceptions where others have their tables.
_PUBLISHED = """
SELECT u.oid, CAST(p.pubname AS text)
FROM pg_catalog.pg_publication p CROSS JOIN unnest(CAST(:oids AS oid[])) AS u(oid)
WHERE NOT p.pubviaroot AND coalesce((
    SELECT coalesce(to_jsonb(r) ->> 'prexcept', 'false') = 'false' FROM pg_catalog.pg_publication_rel r
    WHERE r.prpubid = p.oid AND r.prrelid = u.oid), p.puballtables OR {by_schema})
ORDER BY 2
"""
_BY_SCHEMA = """EXISTS (
    SELECT FROM pg_catalog.pg_publication_namespace n JOIN pg_catalog.pg_class c ON c.relnamespace = n.pnnspid
    WHERE n.pnpubid = p.oid AND c.oid = u.oid)"""
_PUBLISHED_NOW, _PUBLISHED_BEFORE_15 = (text(_PUBLISHED.format(by_schema=each)) for each in (_BY_SCHEMA, "false"))

_HAS_SUBSCRIBERS = text("""
SELECT EXISTS (SELECT FROM pg_catalog.pg_replication_slots
    WHERE plugin = 'pgoutput' AND database = pg_catalog.current_database())
""")

# The size of the file is the one thing that shows a row which was just written, without a privilege on the table.
_WRITTEN = text("""
SELECT u.oid FROM unnest(CAST(:oids AS oid[])) AS u(oid) WHERE pg_catalog.pg_relation_size(CAST(u.oid AS regclass)) > 0
""")


@dataclass(frozen=True, slots=True)
class CatalogFacts:
    """
    Args:
        lock_table: Of the server.
        tables: By the oid of the declared table.
    """

    lock_table: LockTable | None = None
    tables: Mapping[int, TableFacts] = field(default_factory=dict)


def catalog_facts(connection: Connection, tables: Sequence[FoundTable], ends: Iterable[Partition]) -> CatalogFacts:
    """
    In the caller's pinned transaction.

    Args:
        ends: The last partition of each runway.
    """
    per_transaction, transactions = connection.execute(_SERVER).one()
    written = frozenset(each.name for each in _written(connection, {each.oid: each for each in ends}))
    oids = [table.oid for table in tables]
    publishing = _publishing(connection, oids)
    facts = {
        oid: TableFacts(indexes, frozenset(nullable), written, publishing.get(oid))
        for oid, indexes, nullable in connection.execute(_TABLES, {"oids": oids})
    }
    return CatalogFacts(LockTable(per_transaction, transactions), facts)


def _publishing(connection: Connection, oids: Sequence[int]) -> dict[int, ByPartition]:
    """By table, where a publication calls rows by the names of partitions."""
    query = _PUBLISHED_NOW if features_of(connection).has_publication_details else _PUBLISHED_BEFORE_15
    names: dict[int, list[str]] = {}
    for oid, publication in connection.execute(query, {"oids": oids}):
        names.setdefault(oid, []).append(publication)
    if not names:
        return {}
    subscribed = bool(connection.execute(_HAS_SUBSCRIBERS).scalar_one())
    return {oid: ByPartition(tuple(each), subscribed) for oid, each in names.items()}


def _written(connection: Connection, ends: Mapping[int, Partition]) -> list[Partition]:
    """None of them while somebody holds one: it is not worth waiting for."""
    if not ends:
        return []
    try:
        with connection.begin_nested():
            return [ends[oid] for oid in connection.execute(_WRITTEN, {"oids": list(ends)}).scalars()]
    except DBAPIError as error:
        if sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise
        return []
