"""LIST: each partition takes some values of one column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from sa_partman.errors import DeclarationError
from sa_partman.spec.arguments import Arguments, given
from sa_partman.spec.base import KeyItem, PartitionSpec
from sa_partman.spec.tenants import TenantSource, tenant_source

_DEFAULTS: dict[str, Any] = {
    "values": (),
    "default": False,
    "name": None,
    "unlogged": False,
    "subpartition": None,
}


@dataclass(frozen=True, init=False, repr=False)
class ListSpec(PartitionSpec):
    """
    A partition for each label.

    Args:
        key: One column; LIST has no more.
        values: ``{"eu": ["de", "fr"], "us": ["us"]}``; or a list, which labels each value by itself; or a ``select()``
            or a callable, whose values are tenants: a new one gets its partition at the next run. None among the
            values is NULL. Without values, partitions are made at run time only.
        default: Keep a default partition for values that stand nowhere.
        name: Template for the names of partitions, such as ``"{table}__{label}"``.
        unlogged: Make the partitions UNLOGGED.
        subpartition: How each partition is partitioned itself.
    """

    values: TenantSource

    strategy = "LIST"

    def __init__(
        self,
        *key: KeyItem,
        values: Any = (),
        default: bool = False,
        name: str | None = None,
        unlogged: bool = False,
        subpartition: PartitionSpec | None = None,
    ) -> None:
        self._init_base(key, default, name, unlogged, subpartition)
        if len(key) != 1:
            raise DeclarationError(
                f"{type(self).__name__}{key!r}: LIST has exactly one key column; nest levels instead"
            )
        self._set(values=tenant_source(values))
        if default and any(label == "default" for label, _ in self.values.labelled):
            raise DeclarationError(
                f"{type(self).__name__}{key!r}: the label 'default' is the default partition's own name; "
                f"give the label another"
            )

    def arguments(self) -> Arguments:
        values = {name: getattr(self, name) for name in _DEFAULTS}
        values["values"] = self.values.argument
        return Arguments(self.key, given(_DEFAULTS, values))

    def structural(self) -> Self:
        below = None if self.subpartition is None else self.subpartition.structural()
        return self.with_(values=self.values.argument if self.values.literal else (), subpartition=below)
