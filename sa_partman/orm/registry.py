"""
The declarations of a MetaData: read off classes as they are mapped, and kept in ``Table.info``, which
``to_metadata()`` and pickle copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any, ClassVar

from sqlalchemy import MetaData, Table, event, inspect
from sqlalchemy.orm import Mapper
from sqlalchemy.schema import SchemaItem

from sa_partman.errors import DeclarationError
from sa_partman.names import QualifiedName
from sa_partman.orm.facts import facts_of, key_type
from sa_partman.orm.inserts import warn_if_unbatched
from sa_partman.plan.naming import check_names
from sa_partman.spec.base import PartitionSpec
from sa_partman.spec.declared import ColumnType, DeclaredTable, bind
from sa_partman.spec.hash_spec import HashSpec
from sa_partman.spec.list_spec import ListSpec
from sa_partman.spec.range_spec import RangeSpec
from sa_partman.spec.validate import validate


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


def _checked(table: Table, spec: PartitionSpec) -> DeclaredTable:
    validate(spec, facts_of(table))
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
    Every declared table, referenced ones first, each rule checked again (constraints may have come later).

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
