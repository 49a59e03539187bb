"""What the rows of a table that is to be converted say of its partition key."""

from __future__ import annotations

from sqlalchemy import Connection, TextClause, text

from sa_partman.bounds.bound import Bound
from sa_partman.bounds.text import check_predicate, value_of
from sa_partman.bounds.values import KeyValue
from sa_partman.key import PartitionKey
from sa_partman.names import QualifiedName, quote
from sa_partman.plan.conversion.inbound import Again
from sa_partman.plan.conversion.request import Profile

_SAMPLE = 5
_VALUES = 1_000
_WITH_MAX = ("date", "timestamp with time zone", "timestamp without time zone", "smallint", "integer", "bigint")


def highest_key(connection: Connection, table: QualifiedName, key: PartitionKey) -> KeyValue:
    """The highest value of the key's first column; read from an index when one begins with it, else by a scan."""
    # Without the qualifier ORDER BY would mean the text of that name, and 99 would be more than 100.
    column = f"t.{quote(key.columns[0])}"
    sql = (
        f"SELECT CAST({column} AS text) FROM {table.quoted} t WHERE {column} IS NOT NULL ORDER BY {column} DESC LIMIT 1"
    )
    if key.types[0].sql in _WITH_MAX:  # a parallel scan, three times as fast
        sql = f"SELECT CAST(max({column}) AS text) FROM {table.quoted} t"
    shown = connection.execute(_sql(sql)).scalar()
    return None if shown is None else value_of(shown, key.types[0])


def distinct_values(connection: Connection, table: QualifiedName, key: PartitionKey) -> frozenset[KeyValue]:
    """The values of a LIST key, the first thousand of them."""
    column = quote(key.columns[0])
    rows = connection.execute(_sql(f"SELECT DISTINCT CAST({column} AS text) FROM {table.quoted} LIMIT {_VALUES}"))
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
    sample = _sql(f"SELECT concat_ws(', ', {shown}) FROM {table.quoted} WHERE ({inside}) IS NOT TRUE LIMIT {_SAMPLE}")
    return Profile(nulls, outside - nulls, tuple(connection.execute(sample).scalars()))


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
