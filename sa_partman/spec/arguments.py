"""The arguments of a declaration: its ``repr()`` is the Python that makes it again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Arguments:
    """Positional and keyword arguments; keywords that have their default are left out."""

    positional: tuple[Any, ...]
    keywords: tuple[tuple[str, Any], ...]

    def call(self, name: str) -> str:
        parts = [readable(value) for value in self.positional]
        parts += [f"{key}={readable(value)}" for key, value in self.keywords]
        return f"{name}({', '.join(parts)})"


_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def readable(value: object) -> str:
    """``repr(value)``; where that is no Python: the SQL of a ``select()``, the name of a callable, else the class."""
    said = repr(value)
    if not _ADDRESS.search(said):
        return said
    speaks = type(value).__str__ is not object.__str__
    return f"<{' '.join(str(value).split())}>" if speaks else _ADDRESS.sub("", said)


def is_whole(value: object) -> bool:
    """A number without a fraction; ``True`` is none."""
    return isinstance(value, int) and not isinstance(value, bool)


def given(defaults: dict[str, Any], values: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Those of *values*, in order, that differ from *defaults*."""
    return tuple((key, value) for key, value in values.items() if value != defaults[key])
