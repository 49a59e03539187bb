"""What the rows of a table that is to be converted say of its partition key."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, TextClause, text

from sa_partman.bounds.bound import Bound, Extreme, KeyValue
from sa_partman.bounds.text import check_predicate, literal, value_of
from sa_partman.key import PartitionKey
from sa_partman.names import QualifiedName, quote
from sa_partman.plan.conversion.inbound import Again
from sa_partman.plan.conversion.request import Profile

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
    return _value(connection.execute(_sql(sql)).scalar(), key)


def null_keys(connection: Connection, table: QualifiedName, columns: tuple[str, ...]) -> int:
    """How many rows have NULL in one of *columns*; without any, nothing is asked."""
    if not columns:
        return 0
    return int(connection.execute(_sql(f"SELECT count(*) FROM {table.quoted} WHERE {_null(columns)}")).scalar_one())


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
    asked = _sql(f"SELECT {counted}, {highest} FROM {table.quoted} t{where}")
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
    rows = connection.execute(_sql(f"SELECT DISTINCT CAST({column} AS text) FROM {table.quoted} LIMIT {VALUES}"))
    return frozenset(None if row[0] is None else value_of(row[0], key.types[0]) for row in rows)


def profile(connection: Connection, table: QualifiedName, key: PartitionKey, bound: Bound) -> Profile:
    """Counts the rows that *bound* does not take: one scan, or less with an index."""
    parts = [quote(name) for name in key.columns]
    inside = check_predicate(bound, parts, key.types)
    null = " OR ".join(f"{part} IS NULL" for part in parts)
    shown = ", ".join(f"CAST({part} AS text)" for part in parts)
    counted = _sql(f"SELECT count(*) FILTER (WHERE {null}), count(*) FROM {table.quoted} WHERE ({inside}) IS NOT TRUE")
    nulls, outside = connection.execute(counted).one()
    if not outside:
        return Profile()
    where = f"({inside}) IS NOT TRUE AND NOT ({null})"
    sample = _sql(f"SELECT concat_ws(', ', {shown}) FROM {table.quoted} WHERE {where} LIMIT {_SAMPLE}")
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
    found: int = connection.execute(_sql(sql)).scalar_one()
    return found


def _sql(statement: str) -> TextClause:
    """``text()`` takes ``:name`` for a parameter."""
    return text(statement.replace(":", r"\:"))
