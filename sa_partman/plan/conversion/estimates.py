"""
What the planner knows of the rows: the partitioned table inherits it from the partition that holds them all.

Right after the cut-over the statistics of the table and of its history are the same, and PostgreSQL 18 can copy them;
before, or where there are none to copy, ANALYZE reads a sample of the rows again.

Source: PostgreSQL 18, Statistics Manipulation Functions; ``pg_dump --statistics`` writes the same calls.
"""

from __future__ import annotations

from sa_partman.names import QualifiedName
from sa_partman.plan.conversion.settings import literal

SINCE = 18
"""The first version of PostgreSQL that takes statistics."""

_SCALARS = (
    "null_frac",
    "avg_width",
    "n_distinct",
    "most_common_freqs",
    "correlation",
    "most_common_elem_freqs",
    "elem_count_histogram",
    "range_empty_frac",
)
# Of the column's own type, or of its elements': they travel as text.
_VALUES = (
    "most_common_vals",
    "histogram_bounds",
    "most_common_elems",
    "range_length_histogram",
    "range_bounds_histogram",
)


def copied(history: QualifiedName, table: QualifiedName) -> tuple[str, ...]:
    """Statements that give *table* the statistics of *history*, its only partition with rows."""
    taken = [f"'{name}', s.{name}" for name in _SCALARS] + [f"'{name}', CAST(s.{name} AS text)" for name in _VALUES]
    columns = (
        f"SELECT pg_catalog.pg_restore_attribute_stats({_relation(table)}, 'attname', CAST(s.attname AS text), "
        f"'inherited', true, {', '.join(taken)}) FROM pg_catalog.pg_stats s "
        f"WHERE s.schemaname = {literal(str(history.schema))} AND s.tablename = {literal(history.name)} "
        f"AND NOT s.inherited"
    )
    rows = (
        f"SELECT pg_catalog.pg_restore_relation_stats({_relation(table)}, 'relpages', CAST(-1 AS int), "
        f"'reltuples', c.reltuples) FROM pg_catalog.pg_class c "
        f"WHERE c.oid = CAST({literal(history.quoted)} AS regclass)"
    )
    return columns, rows


def _relation(table: QualifiedName) -> str:
    return f"'schemaname', {literal(str(table.schema))}, 'relname', {literal(table.name)}"
