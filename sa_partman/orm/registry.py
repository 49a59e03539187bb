"""
The declarations of a MetaData: read off classes as they are mapped, checked against their tables, kept in
``Table.info``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from sqlalchemy import Column, Enum, Index, Integer, MetaData, Table, TypeDecorator, UniqueConstraint, event, inspect
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Mapper
from sqlalchemy.schema import SchemaItem
from sqlalchemy.sql.elements import UnaryExpression
from sqlalchemy.types import NullType, TypeEngine

from sa_partman.errors import DeclarationError
from sa_partman.key import KeyType
from sa_partman.names import QualifiedName
from sa_partman.orm.inserts import warn_if_unbatched
from sa_partman.plan.provision import check_names
from sa_partman.spec.base import PartitionSpec
from sa_partman.spec.declared import ColumnType, DeclaredTable, bind
from sa_partman.spec.hash_spec import HashSpec
from sa_partman.spec.list_spec import ListSpec
from sa_partman.spec.range_spec import RangeSpec
from sa_partman.spec.validate import ColumnFacts, ModelFacts, validate
from sa_partman.table.definition import Columns, LostIndex, key_in_order, lost_indexes

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


class _Declaration(SchemaItem):
    """Lets a spec stand in ``Table(...)`` and in ``__table_args__``."""

    def _set_parent(self, parent: Any, **_: Any) -> None:
        if not isinstance(parent, Table):
            raise TypeError(
                f"{type(self).__name__} belongs to a Table, not to {parent!r}; write it into Table(...), or as "
                f"__partition__ of a mapped class"
            )
        remember(parent, self)  # type: ignore[arg-type]


class PartitionByRange(RangeSpec, _Declaration):
    __doc__ = RangeSpec.__doc__


class PartitionByList(ListSpec, _Declaration):
    __doc__ = ListSpec.__doc__


class PartitionByHash(HashSpec, _Declaration):
    __doc__ = HashSpec.__doc__


INFO_KEY = "sa_partman"
PARTITION_BY = "postgresql_partition_by"


def remember(table: Table, spec: PartitionSpec) -> None:
    """
    Notes *spec* on *table*, whose columns may not be there yet.

    Raises:
        DeclarationError: *table* has another declaration already, or an ``info`` that holds none.
    """
    info: object = table.info
    if not isinstance(info, MutableMapping):
        raise DeclarationError(
            f"{table.fullname}: its info is {info!r}; a declaration is kept there, so make it a dictionary"
        )
    known = info.get(INFO_KEY)
    if known is not None and known != spec:
        raise DeclarationError(f"{table.fullname}: declared twice, as {known!r} and as {spec!r}; remove one")
    info[INFO_KEY] = spec


def settle(table: Table) -> None:
    """
    Checks the declaration of *table*, which is complete now, and makes CREATE TABLE say PARTITION BY.

    Raises:
        DeclarationError: See `validate`; or *table* says PARTITION BY otherwise already.
    """
    spec = spec_of(table)
    if spec is None:
        return
    checked = _checked(table, spec)
    wanted = checked.level.partition_by
    written = table.dialect_options["postgresql"].get("partition_by")
    if written is not None and _words(written) != _words(wanted):
        raise DeclarationError(
            f"{table.fullname}: postgresql_partition_by={written!r} contradicts {spec!r}; remove "
            f"postgresql_partition_by"
        )
    table.dialect_kwargs[PARTITION_BY] = wanted


_VALID: WeakKeyDictionary[Table, tuple[PartitionSpec, ModelFacts]] = WeakKeyDictionary()
"""What the rules were last asked about a table, and had nothing against."""


def _checked(table: Table, spec: PartitionSpec) -> DeclaredTable:
    facts = facts_of(table)
    if _VALID.get(table) != (spec, facts):
        validate(spec, facts)
        _VALID[table] = (spec, facts)
    bound = declared(table)
    check_names(bound)
    return bound


def _words(text: str) -> str:
    return "".join(text.lower().split())


def spec_of(table: Table) -> PartitionSpec | None:
    """The declaration of *table*, or None."""
    info: object = table.info  # whatever the user keeps there: SQLAlchemy takes a text as well
    spec = info.get(INFO_KEY) if isinstance(info, Mapping) else None
    return spec if isinstance(spec, PartitionSpec) else None


def declared(table: Table) -> DeclaredTable:
    """The declaration of *table*, which must have one, bound to its types."""
    spec = spec_of(table)
    assert spec is not None, table.fullname
    columns = {column.key: ColumnType(column.name, key_type(column)) for column in table.columns}
    return bind(QualifiedName(table.schema, table.name), spec, columns)


def declared_tables(
    metadata: MetaData | Iterable[MetaData], tables: Iterable[str] | None = None
) -> tuple[tuple[Table, DeclaredTable], ...]:
    """
    Every declared table, referenced ones first, each rule checked again where a constraint or column came later.

    Args:
        tables: Names, with or without schema, to narrow to.

    Raises:
        DeclarationError: A rule is broken, or one of *tables* is not declared, or is no name.
    """
    found: list[tuple[Table, DeclaredTable]] = []
    for table in _sorted(metadata):
        spec = spec_of(table)
        if spec is not None:
            found.append((table, _checked(table, spec)))
    return tuple(found) if tables is None else _narrowed(found, _names(tables))


def _names(tables: Iterable[str]) -> tuple[str, ...]:
    names = (tables,) if isinstance(tables, str) else tuple(tables)
    for each in names:
        if not isinstance(each, str):
            raise DeclarationError(f"tables= takes names of tables, and got {each!r}")
    return names


def _sorted(metadata: MetaData | Iterable[MetaData]) -> Iterator[Table]:
    for each in (metadata,) if isinstance(metadata, MetaData) else metadata:
        yield from each.sorted_tables


def _narrowed(
    found: list[tuple[Table, DeclaredTable]], names: tuple[str, ...]
) -> tuple[tuple[Table, DeclaredTable], ...]:
    chosen = [pair for pair in found if pair[0].fullname in names or pair[0].name in names]
    known = {name for table, _ in chosen for name in (table.fullname, table.name)}
    missing = [name for name in names if name not in known]
    if missing:
        listed = ", ".join(table.fullname for table, _ in found) or "none"
        raise DeclarationError(f"{', '.join(missing)}: not declared as partitioned; declared are: {listed}")
    return tuple(chosen)


def partition_by(target: Any, spec: PartitionSpec) -> Any:
    """
    Declares *target*, a ``Table`` or a mapped class that exists already, as partitioned by *spec*.

    Returns:
        *target*.

    Raises:
        DeclarationError: The declaration does not fit the table: its columns, their types, its primary key or unique
            constraints; or it has another declaration already.
    """
    table = target if isinstance(target, Table) else getattr(target, "__table__", None)
    if not isinstance(table, Table):
        raise DeclarationError(f"partition_by() takes a Table or a mapped class, not {target!r}")
    remember(table, spec)
    settle(table)
    if isinstance(target, type):
        warn_if_unbatched(table, target.__name__)
    return target


_ATTRIBUTE = "__partition__"


class Partitioned:
    """Mixin for a model whose table is partitioned as ``__partition__`` says."""

    __partition__: ClassVar[PartitionSpec]


@event.listens_for(Table, "after_parent_attach")
def _on_table(table: Table, parent: Any) -> None:
    if isinstance(parent, MetaData):
        settle(table)


# instrument_class is the one hook that sees every declaration style, after the Table is complete.
@event.listens_for(Mapper, "instrument_class")
def _on_class(mapper: Mapper[Any], class_: type) -> None:
    spec = _declaration(class_)
    table = mapper.local_table
    if spec is None:
        if _ATTRIBUTE not in class_.__dict__:
            _require_another_way(class_, table)
        if isinstance(table, Table) and spec_of(table) is not None:
            warn_if_unbatched(table, class_.__name__)
        return
    if not isinstance(table, Table):
        raise DeclarationError(f"{class_.__name__}: __partition__ needs a class mapped to a table, not to {table!r}")
    if mapper.single:
        raise DeclarationError(
            f"{class_.__name__} shares the table {table.fullname} of its base class (single-table inheritance); "
            f"set __partition__ on the base class"
        )
    remember(table, spec)
    settle(table)
    warn_if_unbatched(table, class_.__name__)


def _declaration(class_: type) -> PartitionSpec | None:
    for each in class_.__mro__:
        if each is not class_ and inspect(each, raiseerr=False) is not None:
            break  # a mapped base class partitions its own table, not this one
        if _ATTRIBUTE in each.__dict__:
            return _found_spec(class_, getattr(class_, _ATTRIBUTE))
    return None


def _require_another_way(class_: type, table: Any) -> None:
    """A ``Partitioned`` class without ``__partition__`` has its declaration on the table, or on a mapped base class."""
    declared = isinstance(table, Table) and spec_of(table) is not None
    if issubclass(class_, Partitioned) and not declared and not _inherits(class_):
        raise DeclarationError(
            f"{class_.__name__} is Partitioned and has no __partition__; set it, such as PartitionByHash(...)"
        )


def _inherits(class_: type) -> bool:
    return any(inspect(each, raiseerr=False) is not None for each in class_.__mro__[1:])


def _found_spec(class_: type, value: object) -> PartitionSpec | None:
    if value is None or isinstance(value, PartitionSpec):
        return value
    raise DeclarationError(
        f"{class_.__name__}.__partition__ is {value!r}; write PartitionByRange(...), PartitionByList(...) "
        f"or PartitionByHash(...)"
    )
