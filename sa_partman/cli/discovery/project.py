"""``[tool.sa-partman]`` in the pyproject.toml of the working directory."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sa_partman.errors import ConfigurationError

FILE = Path("pyproject.toml")
KEYS = ("metadata", "url")


@dataclass(frozen=True, slots=True)
class Project:
    """What pyproject.toml says; None where it says nothing."""

    metadata: str | None = None
    url: str | None = field(default=None, repr=False)


def read_tool(name: str, file: Path = FILE) -> dict[str, Any] | None:
    """
    The table ``[tool.<name>]``; None when there is none, or no file.

    Raises:
        ConfigurationError: The file is no TOML.
    """
    if not file.is_file():
        return None
    try:
        table: dict[str, Any] | None = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get(name)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{file}: {error}") from error
    return table


def read_project(file: Path = FILE) -> Project:
    """
    Raises:
        ConfigurationError: A key is unknown, or its value is no text.
    """
    table = read_tool("sa-partman", file) or {}
    for key, value in table.items():
        if key not in KEYS:
            raise ConfigurationError(f"{file}: [tool.sa-partman] knows {' and '.join(KEYS)}, not {key!r}")
        if not isinstance(value, str):
            raise ConfigurationError(f"{file}: [tool.sa-partman] {key} is a text, not {value!r}")
    return Project(**table)
