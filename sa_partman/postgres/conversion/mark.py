"""What a table looked like when its conversion was planned: somebody else's change shows at the cut-over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, text

from sa_partman.ddl.stored import statements_of
from sa_partman.names import QualifiedName, quote
from sa_partman.plan.steps import Step
from sa_partman.postgres.conversion.anatomy import read_anatomy
from sa_partman.postgres.conversion.plan import mark_of

_COLUMNS = text("""
SELECT a.attname, a.attnotnull, pg_get_expr(d.adbin, d.adrelid), CAST(CAST(a.attcollation AS regcollation) AS text),
    a.attstorage, a.attcompression
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = :oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
""")

# What changes without a lock that a SHARE UPDATE EXCLUSIVE one keeps out: grants, views, functions.
_LOOSE = text("""
SELECT CAST(c.relacl AS text), ARRAY(SELECT CAST(attacl AS text) FROM pg_attribute WHERE attrelid = c.oid),
    (SELECT count(*) FROM pg_depend WHERE refclassid = CAST('pg_class' AS regclass) AND refobjid = c.oid)
FROM pg_class c WHERE c.oid = to_regclass(:name)
""")


@dataclass(frozen=True, slots=True)
class Marks:
    """
    Two fingerprints of one look at a table.

    Args:
        plan: As the plan's author sees it.
        full: What is stored, and compared before the swap.
    """

    plan: str
    full: str


def marks(connection: Connection, table: QualifiedName, steps: tuple[Step, ...]) -> Marks | None:
    """
    The fingerprints of *table*; None when it is not there.

    Args:
        steps: Of the conversion: what they change themselves does not count.
    """
    anatomy = read_anatomy(connection, table)
    if anatomy is None:
        return None
    ours, seen = _made_not_null(steps), mark_of(anatomy)
    columns = [_column(row, ours) for row in connection.execute(_COLUMNS, {"oid": anatomy.oid})]
    return Marks(seen, mark_of(anatomy, columns))


def full_mark(connection: Connection, table: QualifiedName, steps: tuple[Step, ...]) -> str | None:
    """What `marks` stores of *table* now; None when it is not there."""
    found = marks(connection, table, steps)
    return None if found is None else found.full


def loose_mark(connection: Connection, table: QualifiedName) -> tuple[Any, ...]:
    """What a lock on the table does not keep others from changing; quick to read."""
    return tuple(connection.execute(_LOOSE, {"name": table.quoted}).one())


def _made_not_null(steps: tuple[Step, ...]) -> str:
    return " ".join(sql for step in steps if step.id == "not_null" for sql in statements_of(step.actions))


def _column(row: Row[Any], ours: str) -> tuple[Any, ...]:
    name = row.attname
    return (name, row.attnotnull or f"ALTER COLUMN {quote(name)} SET NOT NULL" in ours, *row[2:])
