"""Branches asked for at run time: what a caller or a command line says -> values of the key's types."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sa_partman.bounds.text import value_of
from sa_partman.compare.situation import Path
from sa_partman.errors import DeclarationError
from sa_partman.key import KeyType
from sa_partman.spec.declared import DeclaredTable, Level, ListLevel, RangeLevel


def paths_of(tenants: Iterable[Any]) -> tuple[tuple[Any, ...], ...]:
    """Each as a tuple of values from the top level down."""
    return tuple(each if isinstance(each, tuple) else (each,) for each in tenants)


def takes_paths(declared: DeclaredTable) -> bool:
    """Whether the table's first level has tenants or list values."""
    return _takes(declared.level)


def typed(declared: DeclaredTable, paths: Iterable[tuple[Any, ...]]) -> tuple[Path, ...]:
    """
    *paths* with text read as the key's type: a command line knows nothing else.

    Raises:
        DeclarationError: A text is no value of that type.
    """
    types = [level.key.parts[0].type for level in declared.levels() if _takes(level)]
    return tuple(tuple(_value(declared, each, type) for each, type in zip(path, types, strict=False)) for path in paths)


def _value(declared: DeclaredTable, value: Any, type: KeyType) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return value_of(value, type)
    except ValueError:
        raise DeclarationError(f"{declared.name}: the tenant {value!r} is no {type.sql}; nothing was changed") from None


def _takes(level: Level) -> bool:
    return isinstance(level, ListLevel) or (isinstance(level, RangeLevel) and level.spec.tenants is not None)
