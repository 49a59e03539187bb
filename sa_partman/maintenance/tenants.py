"""Branches asked for at run time: what a caller or a command line says -> values of the key's types."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sa_partman.bounds.text import value_of
from sa_partman.compare.context import Path
from sa_partman.errors import DeclarationError
from sa_partman.spec.declared import DeclaredTable, Level, ListLevel, RangeLevel, fitted


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
        DeclarationError: A value is none of that type, or there are more values than levels.
    """
    takers = [level for level in declared.levels() if _takes(level)]
    given = tuple(paths)
    for path in given:
        if len(path) > len(takers):
            raise DeclarationError(
                f"{declared.name} takes {len(takers)} tenants, one for each of its levels that has them, and {path!r} "
                f"has more; nothing was changed"
            )
    return tuple(
        tuple(_value(declared, each, level) for each, level in zip(path, takers, strict=False)) for path in given
    )


def _value(declared: DeclaredTable, value: Any, level: Level) -> Any:
    type = level.key.types[0]
    try:
        read = value_of(value, type) if isinstance(value, str) else value
        return fitted(read, type, null=isinstance(level, ListLevel))
    except ValueError:
        raise DeclarationError(
            f"{declared.name}: the tenant {value!r} is not of type {type.sql}; nothing was changed"
        ) from None


def _takes(level: Level) -> bool:
    return isinstance(level, ListLevel) or (isinstance(level, RangeLevel) and level.spec.tenants is not None)
