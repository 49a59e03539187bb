"""What the declaration's rules need to know of a SQLAlchemy Table."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Column, Enum, Integer, Table, UniqueConstraint
from sqlalchemy.dialects import postgresql

from sa_partman.key import KeyType
from sa_partman.spec.validate import ColumnFacts, TableFacts

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


def facts_of(table: Table) -> TableFacts:
    """*table* as the rules see it; columns by ``Column.key``."""
    return TableFacts(
        name=table.fullname,
        columns={column.key: _column(column) for column in table.columns},
        primary_key=tuple(column.key for column in table.primary_key.columns),
        uniques=tuple(_uniques(table)),
    )


def key_type(column: Column[object]) -> KeyType:
    """The type that PostgreSQL gives *column*."""
    sql = column.type.compile(dialect=_DIALECT)
    native = column.type.dialect_impl(_DIALECT)
    if isinstance(native, Enum) and native.native_enum:
        return KeyType.of(sql, is_enum=True)
    return KeyType.of(sql.lower())


def _column(column: Column[object]) -> ColumnFacts:
    return ColumnFacts(key_type(column), bool(column.nullable), _loses_generation(column))


def _loses_generation(column: Column[object]) -> bool:
    return (
        isinstance(column.type.dialect_impl(_DIALECT), Integer)
        and column.autoincrement == "auto"
        and column.identity is None
        and column.default is None
        and column.server_default is None
        and not column.foreign_keys
    )


def _uniques(table: Table) -> Iterator[tuple[str, tuple[str, ...]]]:
    for constraint in sorted(table.constraints, key=lambda each: str(each.name)):
        if isinstance(constraint, UniqueConstraint):
            yield _called("unique constraint", constraint.name), tuple(each.key for each in constraint.columns)
    for index in sorted(table.indexes, key=lambda each: str(each.name)):
        if index.unique:
            yield _called("unique index", index.name), tuple(each.key for each in index.columns)


def _called(what: str, name: object) -> str:
    return f"{what} {name!s}" if isinstance(name, str) else what
