"""Reads ``__partition__`` off classes as they are mapped."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import MetaData, Table, event, inspect
from sqlalchemy.orm import Mapper

from sa_partman.errors import DeclarationError
from sa_partman.orm.inserts import warn_if_unbatched
from sa_partman.orm.registry import remember, settle, spec_of
from sa_partman.spec.base import PartitionSpec

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
            return _checked(class_, getattr(class_, _ATTRIBUTE))
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


def _checked(class_: type, value: object) -> PartitionSpec | None:
    if value is None or isinstance(value, PartitionSpec):
        return value
    raise DeclarationError(
        f"{class_.__name__}.__partition__ is {value!r}; write PartitionByRange(...), PartitionByList(...) "
        f"or PartitionByHash(...)"
    )
