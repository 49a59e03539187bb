"""What the rows of a table that is to be converted say of its partition key."""

from __future__ import annotations

from sqlalchemy import Connection, TextClause, text

from sa_partman.bounds.bound import Bound
from sa_partman.bounds.text import check_predicate, value_of
from sa_partman.bounds.values import KeyValue
from sa_partman.key import PartitionKey
from sa_partman.names import QualifiedName, quote
from sa_partman.plan.conversion.request import Profile

_SAMPLE = 5
_VALUES = 1_000


def highest_key(connection: Connection, table: QualifiedName, key: PartitionKey) -> KeyValue:
    """The highest value of the key's first column; read from an index when one begins with it, else by a scan."""
    column = quote(key.columns[0])
    sql = f"SELECT CAST({column} AS text) FROM {table.quoted} WHERE {column} IS NOT NULL ORDER BY {column} DESC LIMIT 1"
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


def _sql(statement: str) -> TextClause:
    """``text()`` takes ``:name`` for a parameter."""
    return text(statement.replace(":", r"\:"))
