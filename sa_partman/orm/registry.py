"""The declarations of a MetaData: kept in ``Table.info``, so that they survive ``to_metadata()`` and pickle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any

from sqlalchemy import MetaData, Table

from sa_partman.errors import DeclarationError
from sa_partman.names import QualifiedName
from sa_partman.orm.facts import facts_of, key_type
from sa_partman.orm.inserts import warn_if_unbatched
from sa_partman.plan.naming import check_names
from sa_partman.spec.base import PartitionSpec
from sa_partman.spec.declared import ColumnType, DeclaredTable, bind
from sa_partman.spec.validate import validate

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
