"""
What the rows of a table that is to be converted say of its partition key: how far they reach, and so which bound they
take; one scan where all of them fit, and none where an index answers.

The highest key itself is rarely needed. A bound is proposed from the clock, and the question is only whether a row lies
outside it: in that form an index answers that begins with the key, a BRIN index, and since PostgreSQL 18 one that has
the key in another place. The question is asked before anything is touched, and not left to VALIDATE: from the promise
on the server refuses such rows, and an application that writes them would be the one to notice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, text

from sa_partman.bounds.bound import Bound, Extreme, KeyValue, ListBound, RangeBound
from sa_partman.bounds.interval import Position
from sa_partman.bounds.predicate import check_predicate
from sa_partman.bounds.text import literal, value_of
from sa_partman.compare.context import Context
from sa_partman.key import PartitionKey
from sa_partman.names import QualifiedName, quote
from sa_partman.plan.conversion.refusals import Again
from sa_partman.plan.conversion.request import Profile, Refusal, list_history, range_history
from sa_partman.postgres.session import execute_sql, verbatim
from sa_partman.spec.declared import DeclaredTable, ListLevel, RangeLevel, TimeAxis
from sa_partman.table.definition import Index, TableDefinition

VALUES = 1_000
"""So many values of a LIST key are looked at."""

_SAMPLE = 5
_ANALYZED = text("""
SELECT pg_catalog.pg_stat_get_mod_since_analyze(c.oid)
        <= CAST(pg_catalog.current_setting('autovacuum_analyze_threshold') AS float8)
            + CAST(pg_catalog.current_setting('autovacuum_analyze_scale_factor') AS float8) * c.reltuples
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_stats s
            WHERE s.schemaname = :schema AND s.tablename = :name AND s.attname = a.attname AND NOT s.inherited))
FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass(:quoted)
""")
_SLOTS = text("""
SELECT slot_name, active FROM pg_catalog.pg_replication_slots
WHERE slot_type = 'logical' AND database = pg_catalog.current_database() ORDER BY 1
""")
_WITH_MAX = ("date", "timestamp with time zone", "timestamp without time zone", "smallint", "integer", "bigint")


def highest_key(connection: Connection, table: QualifiedName, key: PartitionKey) -> KeyValue:
    """The highest value of the key's first column; read from an index when one begins with it, else by a scan."""
    # Without the qualifier ORDER BY would mean the text of that name, and 99 would be more than 100.
    column = f"t.{quote(key.columns[0])}"
    sql = (
        f"SELECT CAST({column} AS text) FROM {table.quoted} t WHERE {column} IS NOT NULL ORDER BY {column} DESC LIMIT 1"
    )
    if _has_max(key):  # a parallel scan, three times as fast
        sql = f"SELECT CAST(max({column}) AS text) FROM {table.quoted} t"
    return _value(connection.execute(verbatim(sql)).scalar(), key)


def null_keys(connection: Connection, table: QualifiedName, columns: tuple[str, ...]) -> int:
    """How many rows have NULL in one of *columns*; without any, nothing is asked."""
    if not columns:
        return 0
    return int(connection.execute(verbatim(f"SELECT count(*) FROM {table.quoted} WHERE {_null(columns)}")).scalar_one())


@dataclass(frozen=True, slots=True)
class Beyond:
    """
    What lies beyond an end.

    Args:
        nulls: Rows whose key is NULL.
        rows: Rows whose key is the end, or above it.
        highest: Of those; None when there are none.
    """

    nulls: int
    rows: int
    highest: KeyValue = None


def beyond(
    connection: Connection, table: QualifiedName, key: PartitionKey, nullable: tuple[str, ...], end: KeyValue | None
) -> Beyond:
    """
    What lies beyond *end* in the key's first column: one scan, or less with an index.

    Args:
        nullable: The key's columns that may be NULL.
        end: None looks at every row.
    """
    column = f"t.{quote(key.columns[0])}"
    null = _null(nullable)
    above = _from(column, end, key)
    # An index answers an OR of conditions on its column, and no CASE, NOT or IS NOT TRUE around them.
    where = "" if end is None else f" WHERE {null} OR {above}"
    counted = f"count(*) FILTER (WHERE {null}), count(*) FILTER (WHERE {above})"
    highest = f"CAST(max({column}) AS text)" if _has_max(key) else "NULL"
    asked = verbatim(f"SELECT {counted}, {highest} FROM {table.quoted} t{where}")
    nulls, rows, shown = connection.execute(asked).one()
    if not rows:
        return Beyond(nulls, 0)
    return Beyond(nulls, rows, _value(shown, key) if _has_max(key) else highest_key(connection, table, key))


def _null(columns: tuple[str, ...]) -> str:
    return " OR ".join(f"{quote(name)} IS NULL" for name in columns) or "false"


def _from(column: str, end: KeyValue | None, key: PartitionKey) -> str:
    if end is None:
        return f"{column} IS NOT NULL"
    return "false" if isinstance(end, Extreme) and end.unbounded else f"{column} >= {literal(end, key.types[0])}"


def _has_max(key: PartitionKey) -> bool:
    return key.types[0].sql in _WITH_MAX


def _value(shown: str | None, key: PartitionKey) -> KeyValue:
    return None if shown is None else value_of(shown, key.types[0])


def distinct_values(connection: Connection, table: QualifiedName, key: PartitionKey) -> frozenset[KeyValue]:
    """The values of a LIST key, the first thousand of them."""
    column = quote(key.columns[0])
    rows = connection.execute(verbatim(f"SELECT DISTINCT CAST({column} AS text) FROM {table.quoted} LIMIT {VALUES}"))
    return frozenset(None if row[0] is None else value_of(row[0], key.types[0]) for row in rows)


def profile(connection: Connection, table: QualifiedName, key: PartitionKey, bound: Bound) -> Profile:
    """Counts the rows that *bound* does not take: one scan, or less with an index."""
    parts = [quote(name) for name in key.columns]
    inside = check_predicate(bound, parts, key.types)
    null = " OR ".join(f"{part} IS NULL" for part in parts)
    shown = ", ".join(f"CAST({part} AS text)" for part in parts)
    counted = verbatim(
        f"SELECT count(*) FILTER (WHERE {null}), count(*) FROM {table.quoted} WHERE ({inside}) IS NOT TRUE"
    )
    nulls, outside = connection.execute(counted).one()
    if not outside:
        return Profile()
    where = f"({inside}) IS NOT TRUE AND NOT ({null})"
    sample = verbatim(f"SELECT concat_ws(', ', {shown}) FROM {table.quoted} WHERE {where} LIMIT {_SAMPLE}")
    return Profile(nulls, outside - nulls, tuple(connection.execute(sample).scalars()))


def analyzed(connection: Connection, table: QualifiedName) -> bool:
    """See `Profile.analyzed`."""
    names = {"schema": table.schema, "name": table.name, "quoted": table.quoted}
    return bool(connection.execute(_ANALYZED, names).scalar())


def slots(connection: Connection, *, active: bool = False) -> tuple[str, ...]:
    """See `Profile.slots`; only those in use, if *active*."""
    return tuple(name for name, used in connection.execute(_SLOTS) if used or not active)


def without_match(connection: Connection, table: QualifiedName, form: Again) -> int:
    """
    How many rows of the referencing table would break *form*: one scan of it. A row with NULL in the columns that refer
    already refers to nothing; one with NULL in the others alone would not be looked at any more.
    """
    pairs = list(zip(form.columns, form.referenced, strict=True))
    refers = " AND ".join(f"r.{quote(name)} IS NOT NULL" for name in form.key.columns)
    same = " AND ".join(f"t.{quote(referenced)} = r.{quote(name)}" for name, referenced in pairs)
    sql = (
        f"SELECT count(*) FROM {form.key.table.quoted} r "
        f"WHERE {refers} AND NOT EXISTS (SELECT FROM {table.quoted} t WHERE {same})"
    )
    found: int = connection.execute(verbatim(sql)).scalar_one()
    return found


def reach(
    connection: Connection,
    declared: DeclaredTable,
    definition: TableDefinition,
    context: Context,
    lead: timedelta,
    boundary: Any,
) -> tuple[RangeBound | ListBound | Refusal, Profile]:
    """
    The bound of the present rows, and the rows that it does not take.

    Args:
        lead: As of `range_history`.
        boundary: The user's own end, or None.

    Raises:
        TypeError: *declared* is partitioned by HASH, which is refused before.
    """
    level = declared.level
    if isinstance(level, RangeLevel):
        end = None if boundary is None else level.axis.parse(boundary)
        history, fits = _Rows(connection, declared, level, definition).range(context, lead, end)
        return history, _outside(connection, declared, history, fits)
    if not isinstance(level, ListLevel):
        raise TypeError(level)
    values = distinct_values(connection, declared.name, level.key)
    found = list_history(level, context, values, declared.name)
    if isinstance(found, Refusal):
        return found, Profile()
    # Fewer than were asked for: these are all, and the label holds every one.
    return found, _outside(connection, declared, found, len(values) < VALUES)


def _outside(connection: Connection, declared: DeclaredTable, history: Bound, fits: bool) -> Profile:
    """Only a conversion that is refused pays for the exact numbers."""
    return Profile() if fits else profile(connection, declared.name, declared.level.key, history)


class _Rows:
    """The rows of one table under a RANGE key."""

    def __init__(
        self, connection: Connection, declared: DeclaredTable, level: RangeLevel, definition: TableDefinition
    ) -> None:
        self.connection, self.table, self.level, self.key = connection, declared.name, level, level.key
        self.nullable = tuple(name for name in level.key.columns if not definition.column(name).not_null)
        self.indexed = any(map(self._leads, definition.indexes))

    def range(self, context: Context, lead: timedelta, end: Position | None) -> tuple[RangeBound, bool]:
        """The bound, and whether it is known to take every row."""
        if end is not None or (isinstance(self.level.axis, TimeAxis) and not self.indexed):
            return self._proposed(context, lead, end)
        return self._measured(context, lead)

    def _proposed(self, context: Context, lead: timedelta, end: Position | None) -> tuple[RangeBound, bool]:
        """A bound that does not depend on the rows; above them, where some lie beyond and it is ours to choose."""
        history = range_history(self.level, context, None, lead, end)
        found = beyond(self.connection, self.table, self.key, self.nullable, history.upper[0])
        if not found.rows or end is not None:
            return history, not found.rows and not found.nulls
        return self._above(context, lead, found.highest, found.nulls)

    def _measured(self, context: Context, lead: timedelta) -> tuple[RangeBound, bool]:
        """The highest key first: an index tells it at once, and an integer has no clock to propose a bound from."""
        if self.indexed:
            highest = highest_key(self.connection, self.table, self.key)
            nulls = null_keys(self.connection, self.table, self.nullable)
        else:
            found = beyond(self.connection, self.table, self.key, self.nullable, None)
            highest, nulls = found.highest, found.nulls
        return self._above(context, lead, highest, nulls)

    def _above(self, context: Context, lead: timedelta, highest: KeyValue, nulls: int) -> tuple[RangeBound, bool]:
        # An infinite key, or one that the codec can't place, is above every bound.
        placed = highest is None or self.level.axis.decode(highest) is not None
        return range_history(self.level, context, highest, lead, None), placed and not nulls

    def _leads(self, index: Index) -> bool:
        """Whether it tells the highest key at once."""
        first = index.columns[:1] == (self.key.columns[0],)
        return first and index.valid and not index.partial and index.tail.startswith("USING btree ")


_LEAVES = text("""
SELECT format('%I.%I', n.nspname, c.relname)
FROM pg_catalog.pg_partition_tree(CAST(:parent AS oid)) t
JOIN pg_catalog.pg_class c ON c.oid = t.relid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE t.isleaf AND t.level > 0 AND CAST(t.relid AS oid) <> CAST(:history AS oid)
ORDER BY c.oid
""")


def rows_elsewhere(connection: Connection, parent: int, history: int, limit: int) -> int:
    """
    Counts rows outside of the partition *history*, and stops above *limit*.

    Args:
        parent: The partitioned table's oid.
        history: That partition's.
    """
    found = 0
    for leaf in connection.execute(_LEAVES, {"parent": parent, "history": history}).scalars().all():
        counted = f"SELECT count(*) FROM (SELECT FROM ONLY {leaf} LIMIT {limit + 1 - found}) AS taken"
        found += execute_sql(connection, counted).scalar_one()
        if found > limit:
            break
    return found


SCAN_BYTES = 250_000_000
"""Bytes a second that VALIDATE reads and checks. Modest disks do so; a cached table goes three times as fast."""

BUILD_ROWS = 700_000
"""Rows a second that a concurrent build of a unique index takes, both scans included."""

SAFETY = 3
"""The boundary lies this many times the expected length ahead."""

_SIZE = text("""
SELECT c.reltuples, pg_catalog.pg_relation_size(c.oid), pg_catalog.pg_indexes_size(c.oid)
FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass(:name)
""")

_ROW_BYTES = 120
"""For a table that was never analyzed."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """
    Args:
        rows: As the server estimates them.
        bytes: Of the heap.
        index_bytes: Of all its indexes.
    """

    rows: int = 0
    bytes: int = 0
    index_bytes: int = 0

    def seconds(self, step: str) -> float:
        """How long the step of this id may take; the steps that do not read the table take milliseconds."""
        scan = self.bytes / SCAN_BYTES
        return {"validate": scan, "unique_index": 2 * scan + self.rows / BUILD_ROWS}.get(step, 0.0)

    @property
    def lead(self) -> timedelta:
        """How far ahead the boundary must lie, so that the cut-over comes before it."""
        return timedelta(seconds=SAFETY * (self.seconds("validate") + self.seconds("unique_index")))


def estimate(connection: Connection, table: QualifiedName) -> Estimate:
    """Of *table*, which carries its schema; nothing when it is not there."""
    row = connection.execute(_SIZE, {"name": table.quoted}).one_or_none()
    if row is None:
        return Estimate()
    rows = round(row[0]) if row[0] >= 0 else row[1] // _ROW_BYTES
    return Estimate(rows, row[1], row[2])
