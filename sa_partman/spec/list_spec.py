"""
LIST: each partition takes some values of one column; where they come from: written in the declaration, or asked for
at each run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Self

from sa_partman.errors import DeclarationError
from sa_partman.names import label_of
from sa_partman.spec.base import Arguments, FrozenMapping, KeyItem, PartitionSpec, given

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


Labelled = tuple[tuple[str, tuple[Any, ...]], ...]
"""Labels in declared order, each with its values; None among the values is NULL."""


@dataclass(frozen=True, slots=True)
class TenantSource:
    """
    Args:
        argument: As the user wrote it, made immutable: what ``repr`` shows.
        labelled: The values, when they are literal; else empty.
        literal: False when *argument* is a ``select()`` or a callable that each run asks anew.
    """

    argument: Any
    labelled: Labelled
    literal: bool

    @property
    def at_run_time(self) -> bool:
        """Nothing is declared: partitions are asked for by name of their value, and stay."""
        return self.literal and not self.labelled


def tenant_source(argument: Any) -> TenantSource:
    """
    Reads ``{"eu": ["de", "fr"]}``, ``["de", "fr"]``, a ``select()`` or a callable.

    Raises:
        DeclarationError: A label without values, a value in two labels, or bare text.
    """
    if isinstance(argument, TenantSource):
        return argument
    if isinstance(argument, str | bytes):
        raise DeclarationError(f"values={argument!r}: write a list of values, or a mapping of labels to values")
    if isinstance(argument, Mapping):
        if len({str(label) for label in argument}) < len(argument):
            raise DeclarationError(f"values={argument!r}: two labels are the same text; give each its own")
        frozen = {str(label): _values(label, values) for label, values in argument.items()}
        return TenantSource(_Labels(frozen), _unique(tuple(frozen.items())), literal=True)
    if not callable(argument) and isinstance(argument, Iterable):
        values = tuple(map(plain_value, argument))
        return TenantSource(values, label_each(values), literal=True)
    if not callable(argument) and not hasattr(argument, "compile"):
        raise DeclarationError(
            f"values={argument!r}: write a list of values, a mapping of labels to values, a select() or a callable"
        )
    return TenantSource(argument, (), literal=False)


def label_each(values: Iterable[Any]) -> Labelled:
    """One label a value, in order."""
    return _unique(tuple((label_of(value), (value,)) for value in map(plain_value, values)))


def plain_value(value: Any) -> Any:
    """The name of a Python enum member (what SQLAlchemy's Enum stores), and any other value as it is."""
    return value.name if isinstance(value, Enum) else value


def _values(label: object, values: Any) -> tuple[Any, ...]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise DeclarationError(f"values={{{label!r}: {values!r}}}: write the values of a label as a list")
    found = tuple(map(plain_value, values))
    if not found:
        raise DeclarationError(
            f"the label {label!r} has no values, and PostgreSQL has no empty list partition; remove it"
        )
    return found


def _unique(labelled: Labelled) -> Labelled:
    seen: dict[Any, str] = {}
    for label, values in labelled:
        for value in values:
            if value in seen:
                raise DeclarationError(f"the value {value!r} is in {seen[value]!r} and in {label!r}; remove one")
            seen[value] = label
    return labelled


class _Labels(FrozenMapping):
    """Labels with their values; prints these as lists, as users write them."""

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{label!r}: {list(values)!r}" for label, values in self.items()) + "}"
