"""Primary keys and unique indexes of tables, read in one query."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

_KEYS = text("""
SELECT x.indrelid, i.relname, x.indisprimary, ARRAY(
    SELECT CAST(a.attname AS text) FROM unnest(CAST(x.indkey AS int2[])) WITH ORDINALITY AS u(attnum, place)
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = u.attnum AND a.attnum > 0
    WHERE u.place <= x.indnkeyatts ORDER BY u.place)
FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
WHERE x.indisunique AND x.indrelid = ANY (CAST(:oids AS oid[])) ORDER BY NOT x.indisprimary, i.relname
""")


@dataclass(frozen=True, slots=True)
class UniqueKey:
    """
    Args:
        columns: In order; an expression is None.
        primary: It is that of the primary key.
    """

    name: str
    columns: tuple[str | None, ...]
    primary: bool


def unique_keys(connection: Connection, oids: Sequence[int]) -> dict[int, tuple[UniqueKey, ...]]:
    """The unique indexes of each table that has one, the primary key's first."""
    found: dict[int, list[UniqueKey]] = defaultdict(list)
    for oid, name, primary, columns in connection.execute(_KEYS, {"oids": list(oids)}) if oids else ():
        found[oid].append(UniqueKey(name, tuple(columns), primary))
    return {oid: tuple(keys) for oid, keys in found.items()}


def primary_key(keys: Sequence[UniqueKey]) -> tuple[str, ...]:
    """The columns of the primary key among *keys*; empty when there is none."""
    return next((tuple(map(str, each.columns)) for each in keys if each.primary), ())
