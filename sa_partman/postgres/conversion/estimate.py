"""What a conversion will cost, before it begins: rows, bytes, seconds. Rough on purpose, and read from the catalog."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, text

from sa_partman.names import QualifiedName

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
