"""
The options of a column: those that somebody set, and those that the server keeps there for itself.

PostgreSQL names the ones that ALTER TABLE takes; whatever else stands in ``pg_attribute.attoptions`` is the server's:
Debian's 15.20 stamps every column of every new relation, ignores it when it is set or reset, and dumps without it.

Source: PostgreSQL, ALTER TABLE, ``attribute_option``: the same two since 9.0.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, text

SETTABLE = ("n_distinct", "n_distinct_inherited")
"""What ``ALTER COLUMN ... SET (...)`` takes, from 14 to 19."""

_SETTABLE = ", ".join(f"'{name}'" for name in SETTABLE)
_OPTIONS = "SELECT o FROM unnest({column}.attoptions) AS o WHERE split_part(o, '=', 1) {which} ({names})"


def set_options(column: str) -> str:
    """SQL for the sorted options that somebody set on *column*, an alias of ``pg_attribute``; empty without any."""
    return f"ARRAY({_OPTIONS.format(column=column, which='IN', names=_SETTABLE)} ORDER BY o)"


_KEPT = text(f"""
SELECT DISTINCT split_part(k.o, '=', 1), split_part(current_setting('server_version'), ' ', 1)
FROM pg_attribute a CROSS JOIN LATERAL ({_OPTIONS.format(column="a", which="NOT IN", names=_SETTABLE)}) k
WHERE a.attrelid = ANY (CAST(:oids AS oid[])) AND a.attnum > 0 AND a.attoptions IS NOT NULL ORDER BY 1
""")


def kept_options(connection: Connection, relations: Iterable[int]) -> tuple[tuple[str, ...], str]:
    """
    The names of options that the server keeps for itself in columns of *relations*, and its version.

    Args:
        connection: In a transaction that `pin` pinned.
        relations: Their oids.
    """
    rows = connection.execute(_KEPT, {"oids": list(relations)}).all()
    return tuple(name for name, _ in rows), next((version for _, version in rows), "")
