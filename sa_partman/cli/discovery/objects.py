"""``module:attr`` -> the MetaData behind it."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable
from typing import Any

from sqlalchemy import MetaData

from sa_partman.errors import ConfigurationError

USUAL = ("metadata", "Base", "db", "SQLModel", "target_metadata")
"""Looked for when no attribute is named."""

Found = MetaData | tuple[MetaData, ...]


def imported(target: str, source: str) -> Found:
    """
    Args:
        target: ``package.module:attribute``, or a module alone.
        source: Where it was said, for messages.

    Raises:
        ConfigurationError: It can't be imported, or is nothing that has a MetaData.
    """
    name, _, attributes = target.partition(":")
    if not all(part.isidentifier() for part in name.split(".")):
        raise ConfigurationError(f"{source}={target}: {name!r} is no module's name; write package.module:Base, no path")
    module = _module(name, f"{source}={target}")
    for path in (attributes,) if attributes else USUAL:
        found = metadata_of(_follow(module, path))
        if found is not None:
            return found
    if attributes and _follow(module, attributes) is None:
        raise ConfigurationError(f"{source}={target}: the module {name} has no {attributes}")
    what = f"{attributes} is neither" if attributes else f"none of {', '.join(USUAL)} there is"
    raise ConfigurationError(f"{source}={target}: {what} a MetaData, a declarative Base, nor anything with .metadata")


def metadata_of(thing: Any) -> Found | None:
    """*thing* itself, its ``.metadata`` (a declarative Base, SQLModel, Flask-SQLAlchemy's db), or several of them."""
    if isinstance(thing, MetaData):
        return thing
    inner = getattr(thing, "metadata", None)
    if isinstance(inner, MetaData):
        return inner
    if isinstance(thing, Iterable) and not isinstance(thing, str | bytes | type):
        found = [metadata_of(each) for each in thing]
        if found and all(isinstance(each, MetaData) for each in found):
            return tuple(each for each in found if isinstance(each, MetaData))
    return None


def _follow(thing: Any, path: str) -> Any:
    for name in path.split("."):
        thing = getattr(thing, name, None)
    return thing


def _module(name: str, said: str) -> Any:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            outer, _, last = name.rpartition(".")
            colon = f"; an attribute stands after a colon: {outer}:{last}" if outer in sys.modules else ""
            raise ConfigurationError(
                f"{said}: there is no module {error.name} in {os.getcwd()} or installed{colon}"
            ) from error
        raise _failed(said, name, error) from error
    except Exception as error:
        raise _failed(said, name, error) from error


def _failed(said: str, name: str, error: Exception) -> ConfigurationError:
    return ConfigurationError(f"{said}: importing {name} failed: {type(error).__name__}: {error}")
