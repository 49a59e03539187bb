"""Rows that wait in a default partition may be older than what a new partition's own partitions begin with."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, text

from sa_partman.bounds.bound import Bound
from sa_partman.bounds.text import check_predicate, value_of
from sa_partman.key import PartitionKey
from sa_partman.names import QualifiedName
from sa_partman.spec.declared import Level, RangeLevel


def from_lowest(connection: Connection, level: Level, default: QualifiedName, bound: Bound, key: PartitionKey) -> Level:
    """*level*, which begins with the lowest row that *bound* takes out of *default*, when that is early."""
    predicate = check_predicate(bound, tuple(part.sql for part in key.parts), key.types)
    if not isinstance(level, RangeLevel) or level.spec.tenants is not None or predicate is None:
        return level
    part = level.key.parts[level.place]
    column = part.sql
    sql = f"SELECT CAST({column} AS text) FROM {default.quoted} WHERE {predicate} ORDER BY {column} LIMIT 1"
    shown = connection.execute(text(sql.replace(":", r"\:"))).scalar()
    position = None if shown is None else level.axis.decode(value_of(shown, part.type))
    if position is None:
        return level
    start = position if isinstance(position, int) else position.isoformat()
    if level.spec.start is not None and level.axis.parse(level.spec.start) <= position:
        return level
    return replace(level, spec=level.spec.with_(start=start))
