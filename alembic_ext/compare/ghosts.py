"""
Ghost foreign keys: a key to a partitioned table has one more row in the catalog for each of its partitions.

SQLAlchemy would read them all, and 4,000 take seconds. The few real keys of the tables that may have ghosts are read
here, in one query that looks at no ghost, and answered in its place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

# A ghost descends from a key of the same table, an inherited key from one of another: of the table's own parent. Tables
# have no inherited keys unless they are partitions, so that for all others the parent need not be looked up.
_REAL_KEYS = text("""
WITH real AS MATERIALIZED (
    SELECT f.oid, f.conname, f.conrelid, f.confrelid, f.conkey, f.confkey, f.confupdtype, f.confdeltype,
        f.confmatchtype, f.condeferrable, f.condeferred
    FROM pg_catalog.pg_constraint f
    WHERE f.contype = 'f' AND (f.conparentid = 0 OR f.conrelid = ANY (CAST(:partitions AS oid[])) AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_constraint p WHERE p.oid = f.conparentid AND p.conrelid = f.conrelid))
), haunted AS MATERIALIZED (
    SELECT DISTINCT f.conrelid FROM real f JOIN pg_catalog.pg_class r ON r.oid = f.confrelid WHERE r.relkind = 'p'
)
SELECT n.nspname, c.relname, pg_catalog.pg_table_is_visible(c.oid), CAST(jsonb_agg(jsonb_build_object(
    'name', f.conname,
    'columns', ARRAY(
        SELECT a.attname FROM unnest(f.conkey) WITH ORDINALITY AS u(attnum, place)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = u.attnum ORDER BY u.place),
    'schema', m.nspname,
    'table', r.relname,
    'visible', pg_catalog.pg_table_is_visible(f.confrelid),
    'referred', ARRAY(
        SELECT a.attname FROM unnest(f.confkey) WITH ORDINALITY AS u(attnum, place)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = u.attnum ORDER BY u.place),
    'definition', pg_catalog.pg_get_constraintdef(f.oid, true),
    'onupdate', f.confupdtype,
    'ondelete', f.confdeltype,
    'match', f.confmatchtype,
    'deferrable', f.condeferrable,
    'deferred', f.condeferred,
    'comment', pg_catalog.obj_description(f.oid, 'pg_constraint')
) ORDER BY f.conname) AS text)
FROM haunted h JOIN real f ON f.conrelid = h.conrelid
JOIN pg_catalog.pg_class c ON c.oid = f.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class r ON r.oid = f.confrelid JOIN pg_catalog.pg_namespace m ON m.oid = r.relnamespace
GROUP BY n.nspname, c.relname, c.oid
""")

_ACTIONS = {"r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
_MATCHES = {"f": "FULL", "p": "PARTIAL"}


@dataclass(frozen=True, slots=True)
class RealKey:
    """
    A foreign key that stands for itself.

    Args:
        row: What the query says of it.
    """

    row: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.row["name"])

    def reflected(self, schema: str | None, default_schema: str | None, *, ignore_search_path: bool) -> dict[str, Any]:
        """
        As ``Inspector.get_foreign_keys()`` says it.

        Args:
            schema: Of the table, as it was asked for.
            ignore_search_path: SQLAlchemy's ``postgresql_ignore_search_path``.
        """
        row = self.row
        return {
            "name": row["name"],
            "constrained_columns": list(row["columns"]),
            "referred_schema": self._referred_schema(schema, default_schema, ignore_search_path=ignore_search_path),
            "referred_table": row["table"],
            "referred_columns": list(row["referred"]),
            "options": self._options(),
            "comment": row["comment"],
        }

    def _referred_schema(
        self, schema: str | None, default_schema: str | None, *, ignore_search_path: bool
    ) -> str | None:
        real: str = self.row["schema"]
        if ignore_search_path:
            return schema if real == default_schema else real
        if not self.row["visible"]:
            return real
        return schema if schema == real else None

    def _options(self) -> dict[str, Any]:
        row = self.row
        deleting = _ACTIONS.get(row["ondelete"])
        # SET NULL and SET DEFAULT may name columns; only the definition tells which.
        _, found, named = str(row["definition"]).rpartition(f" ON DELETE {deleting} (")
        if deleting in ("SET NULL", "SET DEFAULT") and found:
            deleting = f"{deleting} ({named.partition(')')[0]})"
        options = {
            "onupdate": _ACTIONS.get(row["onupdate"]),
            "ondelete": deleting,
            "initially": "DEFERRED" if row["deferred"] else None,
            "deferrable": row["deferrable"] or None,
            "match": _MATCHES.get(row["match"]),
        }
        return {key: value for key, value in options.items() if value is not None}


def real_keys_of(
    connection: Connection, partitions: Sequence[int]
) -> Iterator[tuple[str, str, bool, tuple[RealKey, ...]]]:
    """
    Schema, name, whether the search path finds it, and the real keys, of each table that refers to a partitioned one.

    Args:
        partitions: Oids of the partitions that are asked about too; only of these are inherited keys told.
    """
    for schema, name, visible, keys in connection.execute(_REAL_KEYS, {"partitions": list(partitions)}):
        yield schema, name, visible, tuple(RealKey(key) for key in json.loads(keys))
