"""The declarations that users write: the pure specs, as SchemaItems that a Table accepts among its arguments."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table
from sqlalchemy.schema import SchemaItem

from sa_partman.orm.registry import remember
from sa_partman.spec.hash_spec import HashSpec
from sa_partman.spec.list_spec import ListSpec
from sa_partman.spec.range_spec import RangeSpec


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
