"""Where values come from: written in the declaration, or asked for at each run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sa_partman.errors import DeclarationError
from sa_partman.names import label_of

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
        frozen = {str(label): _values(label, values) for label, values in argument.items()}
        return TenantSource(_FrozenMapping(frozen), _unique(tuple(frozen.items())), literal=True)
    if not callable(argument) and isinstance(argument, Iterable):
        values = tuple(argument)
        return TenantSource(values, label_each(values), literal=True)
    return TenantSource(argument, (), literal=False)


def label_each(values: Iterable[Any]) -> Labelled:
    """One label a value, in order."""
    return _unique(tuple((label_of(plain_value(value)), (value,)) for value in values))


def plain_value(value: Any) -> Any:
    """The name of a Python enum member (what SQLAlchemy's Enum stores), and any other value as it is."""
    return value.name if isinstance(value, Enum) else value


def _values(label: object, values: Any) -> tuple[Any, ...]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise DeclarationError(f"values={{{label!r}: {values!r}}}: write the values of a label as a list")
    found = tuple(values)
    if not found:
        raise DeclarationError(f"the label {label!r} has no values; PostgreSQL has no empty list partition")
    return found


def _unique(labelled: Labelled) -> Labelled:
    seen: dict[Any, str] = {}
    for label, values in labelled:
        for value in values:
            if value in seen:
                raise DeclarationError(f"the value {value!r} stands in {seen[value]!r} and again in {label!r}")
            seen[value] = label
    return labelled


class _FrozenMapping(dict[str, tuple[Any, ...]]):
    """A mapping that hashes, for immutable declarations; its ``repr`` is a plain dict with lists."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self.items()))

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{label!r}: {list(values)!r}" for label, values in self.items()) + "}"

    def _immutable(self, *_: object, **__: object) -> Any:
        raise TypeError("a declaration is immutable; make a new one")

    __setitem__ = __delitem__ = update = pop = popitem = clear = setdefault = __ior__ = _immutable
