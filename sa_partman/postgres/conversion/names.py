"""Whether the names that a conversion takes are free."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, text

from sa_partman.names import QualifiedName
from sa_partman.plan.conversion.steps import Refusal

# A table also makes a type of its name; a constraint's name is only taken within its table.
_TAKEN = text("""
SELECT w.schema || '.' || w.name AS name, pg_describe_object(h.classid, h.objid, 0) AS holder
FROM unnest(CAST(:schemas AS text[]), CAST(:names AS text[])) AS w(schema, name)
JOIN pg_namespace n ON n.nspname = w.schema
CROSS JOIN LATERAL (
    SELECT CAST('pg_class' AS regclass), c.oid FROM pg_class c WHERE c.relnamespace = n.oid AND c.relname = w.name
    UNION ALL
    SELECT CAST('pg_type' AS regclass), t.oid FROM pg_type t WHERE t.typnamespace = n.oid AND t.typname = w.name
        AND t.typrelid = 0 AND t.typelem = 0
    UNION ALL
    SELECT CAST('pg_constraint' AS regclass), k.oid FROM pg_constraint k WHERE k.conrelid = :oid
        AND k.conname = w.name AND k.contype NOT IN ('p', 'u', 'x')
) AS h(classid, objid)
ORDER BY 1, 2
""")

_STATISTICS = text("""
SELECT w.schema || '.' || w.name AS name, pg_describe_object(CAST('pg_statistic_ext' AS regclass), s.oid, 0) AS holder
FROM unnest(CAST(:schemas AS text[]), CAST(:names AS text[])) AS w(schema, name)
JOIN pg_namespace n ON n.nspname = w.schema
JOIN pg_statistic_ext s ON s.stxnamespace = n.oid AND s.stxname = w.name
ORDER BY 1
""")


def name_refusals(
    connection: Connection, relations: Iterable[QualifiedName], statistics: Iterable[QualifiedName], oid: int
) -> Iterator[Refusal]:
    """
    Args:
        relations: Also the names of constraints of the table.
        statistics: They have names of their own.
        oid: The table's.
    """
    for query, names in ((_TAKEN, tuple(relations)), (_STATISTICS, tuple(statistics))):
        parameters = {"schemas": [each.schema for each in names], "names": [each.name for each in names]}
        if query is _TAKEN:
            parameters |= {"oid": oid}
        for row in connection.execute(query, parameters):
            yield Refusal(f"the name {row.name}, which the conversion needs, is taken by {row.holder}", "rename that")
