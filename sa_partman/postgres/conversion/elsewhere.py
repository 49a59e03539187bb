"""How many rows are in other partitions than the history; it is not read for that."""

from __future__ import annotations

from sqlalchemy import Connection, text

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
        found += connection.exec_driver_sql(counted.replace("%", "%%")).scalar_one()
        if found > limit:
            break
    return found
