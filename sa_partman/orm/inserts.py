"""
Whether the ORM can insert many objects of a class in one statement.

Since 2.0 SQLAlchemy sends batches of rows with RETURNING and has to tell which returned row is which object. It does
so by a sentinel: an autoincrement column, a primary key whose values it has before the INSERT, or a column with
``insert_sentinel=True``. A key of two columns, as partitioning asks for, easily has none of these, and then every
object is a statement of its own.

Source: SQLAlchemy, "Insert Many Values" Behavior for INSERT statements, Configuring Sentinel Columns.
"""

from __future__ import annotations

import warnings
from weakref import WeakSet

from sqlalchemy import Column, Integer, Table

_mapped: WeakSet[Table] = WeakSet()


class UnbatchedInserts(UserWarning):
    """The ORM sends one INSERT for each new object of a partitioned class, and needs not to."""


def unbatched(table: Table) -> str:
    """
    What makes the ORM insert objects of *table* in batches again, as a sentence; empty when it does so already.

    Args:
        table: With more than one column in its primary key; others are not judged.
    """
    key = list(table.primary_key.columns)
    if len(key) < 2 or table.autoincrement_column is not None:
        return ""
    if any(getattr(column, "_insert_sentinel", False) for column in table.columns):
        return ""
    made_by_server = [column for column in key if _made_by_server(column)]
    if not made_by_server:
        return ""
    numbered = next((column for column in made_by_server if isinstance(column.type, Integer)), None)
    if numbered is not None:
        return f"add autoincrement=True to {numbered.key!r}, beside what generates it; the DDL stays the same"
    unique = next((column for column in key if column.default is not None), None)
    if unique is not None:
        return f"add insert_sentinel=True to {unique.key!r}, whose values are unique and made by the application"
    columns = ", ".join(repr(column.key) for column in made_by_server)
    return f"give {columns} a client-side default= instead of a server_default"


def warn_if_unbatched(table: Table, class_name: str) -> None:
    """
    Warns:
        UnbatchedInserts: Once for the class, with the line to write.
    """
    _mapped.add(table)
    advice = unbatched(table)
    if advice:
        warnings.warn(
            f"{class_name}: the ORM will send one INSERT for each new object, because no column of the primary key "
            f"({', '.join(column.key for column in table.primary_key.columns)}) tells returned rows apart; {advice}",
            UnbatchedInserts,
            stacklevel=2,
        )


def is_mapped(table: Table) -> bool:
    """Whether a class is mapped to *table*; elsewhere nothing is said about inserts."""
    return table in _mapped


def _made_by_server(column: Column[object]) -> bool:
    from_sequence = column.default is not None and column.default.is_sequence
    return column.server_default is not None or column.identity is not None or from_sequence
