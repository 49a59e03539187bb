"""What rules and plans need to know of a SQLAlchemy Table: its columns, keys and indexes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Column, Enum, Index, Integer, Table, TypeDecorator, UniqueConstraint
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.elements import UnaryExpression
from sqlalchemy.types import NullType, TypeEngine

from sa_partman.compare.shape import Columns, LostIndex, key_in_order, lost_indexes
from sa_partman.key import KeyType
from sa_partman.spec.validate import ColumnFacts, ModelFacts

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_NOT_YET = KeyType.of("unknown")
_COLLATION = re.compile(r' COLLATE "(?:[^"]|"")+"')


def facts_of(table: Table) -> ModelFacts:
    """*table* as the rules see it; columns by ``Column.key``."""
    return ModelFacts(
        name=table.fullname,
        columns={column.key: _column(column) for column in table.columns},
        primary_key=tuple(column.key for column in table.primary_key.columns),
        uniques=tuple(_uniques(table)),
    )


def key_type(column: Column[object]) -> KeyType:
    """The type that PostgreSQL gives *column*; one that takes its type from a foreign key may not know it yet."""
    if isinstance(column.type, NullType):
        return _NOT_YET
    declared, native = column.type, _native(column.type)
    if isinstance(native, postgresql.DOMAIN):
        declared, native = native.data_type, _native(native.data_type)
    # Not the native type's own name: a driver's implementation of Text calls itself VARCHAR.
    sql = _COLLATION.sub("", declared.compile(dialect=_DIALECT))
    if isinstance(native, Enum) and native.native_enum:
        return KeyType.of(sql, is_enum=True)
    return KeyType.of(sql.lower())


def enum_of(column: Column[Any]) -> Enum | None:
    """The enum that PostgreSQL has for *column*, if it has one."""
    native = _native(column.type)
    return native if isinstance(native, Enum) and native.native_enum else None


def _native(declared: TypeEngine[Any]) -> TypeEngine[Any]:
    """What a variant or a TypeDecorator comes to on PostgreSQL."""
    found = declared.dialect_impl(_DIALECT)
    return found.load_dialect_impl(_DIALECT) if isinstance(found, TypeDecorator) else found


def _column(column: Column[object]) -> ColumnFacts:
    return ColumnFacts(
        key_type(column),
        bool(column.nullable),
        loses_generation=_loses_generation(column),
        generated=column.computed is not None,
        labels=tuple(native.enums) if isinstance(native := _native(column.type), Enum) else None,
    )


def _loses_generation(column: Column[object]) -> bool:
    return (
        isinstance(_native(column.type), Integer)
        and column.autoincrement == "auto"
        and column.identity is None
        and column.default is None
        and column.server_default is None
        and not column.foreign_keys
    )


def _uniques(table: Table) -> Iterator[tuple[str, tuple[str, ...]]]:
    for constraint in sorted(table.constraints, key=lambda each: str(each.name)):
        if isinstance(constraint, UniqueConstraint) and _on_postgresql(constraint):
            yield _called("unique constraint", constraint.name), tuple(each.key for each in constraint.columns)
    for index in sorted(table.indexes, key=lambda each: str(each.name)):
        if index.unique and _on_postgresql(index):
            yield _called("unique index", index.name), tuple(each.key for each in index.columns)


def _on_postgresql(item: Any) -> bool:
    """
    Whether ``ddl_if()`` surely lets PostgreSQL have it.

    What ``callable_=`` says is known when the DDL runs, not when the class is mapped; what it lets through without the
    key, PostgreSQL refuses then.
    """
    condition = getattr(item, "_ddl_if", None)
    if condition is None:
        return True
    named = condition.dialect
    listed = named is None or _DIALECT.name in ((named,) if isinstance(named, str) else tuple(named))
    return listed and condition.callable_ is None


def _called(what: str, name: object) -> str:
    return f"{what} {name!s}" if isinstance(name, str) else what


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
