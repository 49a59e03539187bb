"""How many expired rows default partitions hold; asked only where a retention deletes them."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, text

from sa_partman.catalog import Partition
from sa_partman.plan.actions import COUNTED


def count_rows(connection: Connection, wanted: Iterable[tuple[Partition, str]]) -> dict[int, int]:
    """
    Rows of each table that fulfil its condition, by its oid, up to one more than `COUNTED`; where there are none,
    nothing.

    Args:
        wanted: Tables, and conditions on their columns.
    """
    counts = [
        f"SELECT CAST({each.oid} AS bigint), count(*) FROM (SELECT FROM ONLY {each.name.quoted} WHERE {where} "
        f"LIMIT {COUNTED + 1}) AS few"
        for each, where in wanted
    ]
    rows = connection.execute(text(" UNION ALL ".join(counts).replace(":", r"\:"))) if counts else ()
    return {row[0]: row[1] for row in rows if row[1]}
