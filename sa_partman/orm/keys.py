"""What a model says of its keys: the order of the primary key, and the indexes beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import Column, Index, Table, UniqueConstraint
from sqlalchemy.sql.elements import UnaryExpression

from sa_partman.compare.lookups import Columns, LostIndex, key_in_order, lost_indexes

_SEARCHED = (None, False, "btree", "hash")


def primary_key_of(table: Table, present: tuple[str, ...]) -> tuple[str, ...]:
    """
    The columns of the primary key that *table* is to have in the database.

    Columns with ``primary_key=True`` come in the order of the classes that they are written in, which says nothing of
    the key; a ``PrimaryKeyConstraint`` over named columns says its order.

    Args:
        present: The key's columns in the database; empty when there is none.
    """
    wanted = tuple(str(column.name) for column in table.primary_key.columns)
    return wanted if _is_written(table) else key_in_order(wanted, present)


def _is_written(table: Table) -> bool:
    """Whether the columns of the primary key were given to a constraint by name."""
    return bool(getattr(table.primary_key, "_pending_colargs", ()))


def lost_by(table: Table, present: tuple[str, ...], unique: Iterable[tuple[str, Columns]]) -> tuple[LostIndex, ...]:
    """
    The indexes that are lost when the table gets the keys of its model.

    Args:
        present: The primary key's columns in the database; empty when there is none.
        unique: The unique indexes that the database has, the primary key's too, by name.
    """
    named = {each.name for each in table.constraints if each is not table.primary_key}
    named |= {each.name for each in table.indexes}
    gone = (each for each in unique if each[0] not in named)
    return lost_indexes(gone, (primary_key_of(table, present), *_searched(table)))


def _searched(table: Table) -> Iterator[Columns]:
    """The columns of every index of the model, primary key aside, that can be searched for one value of them."""
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield tuple(str(column.name) for column in constraint.columns)
    for index in table.indexes:
        options = index.dialect_options["postgresql"]
        if options.get("where") is None and options.get("using") in _SEARCHED:
            yield tuple(_columns(index))


def _columns(index: Index) -> Iterator[str | None]:
    for expression in index.expressions:
        inner = expression.element if isinstance(expression, UnaryExpression) else expression
        yield str(inner.name) if isinstance(inner, Column) else None
