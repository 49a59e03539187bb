"""In which schemas each declared table is maintained: one, or many with the same tables in them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, Executable
from sqlalchemy.exc import DBAPIError

from sa_partman.errors import CatalogError, ConfigurationError
from sa_partman.names import QualifiedName
from sa_partman.postgres.connect import connected
from sa_partman.postgres.sqlstate import first_line
from sa_partman.spec.declared import DeclaredTable

SchemaMap = Mapping[str | None, str | None]
"""As SQLAlchemy's ``schema_translate_map``: the schema of a ``Table``, and the real one."""

Given = str | SchemaMap
SchemaSource = Given | Iterable[Given] | Executable | Callable[..., Iterable[Given]]
"""Names, each for the tables without a schema; or maps; or what gives them at each run."""

_MAP = "schema_translate_map"


@dataclass(frozen=True, slots=True)
class Placed:
    """
    A declared table in one schema.

    Args:
        declared: Its name carries that schema.
        written: Its name in the model.
        schemas: What else is where.
    """

    declared: DeclaredTable
    written: QualifiedName
    schemas: SchemaMap


@dataclass(frozen=True, slots=True)
class Schemas:
    """
    Args:
        base: What the engine's ``schema_translate_map`` says.
        source: None: every table is in one schema.
    """

    base: SchemaMap = field(default_factory=dict)
    source: SchemaSource | None = None

    @classmethod
    def of(cls, engine: Engine, source: SchemaSource | None) -> Schemas:
        return cls(dict(engine.get_execution_options().get(_MAP) or {}), source)

    def place(self, engine: Engine, tables: Iterable[DeclaredTable]) -> tuple[Placed, ...]:
        """
        *tables* in their order, each once for every schema that it is in.

        Raises:
            CatalogError: The schemas can't be asked for.
            ConfigurationError: What was given names no schemas.
        """
        maps = tuple(self._maps(engine))
        return tuple(each for table in tables for each in self._in_each(table, maps))

    def _in_each(self, table: DeclaredTable, maps: tuple[SchemaMap, ...]) -> Iterator[Placed]:
        name = table.name
        concerned = [each for each in maps if name.schema in each]
        for schemas in concerned or ([] if self._divides(name, maps) else [self.base]):
            real = QualifiedName(schemas.get(name.schema, name.schema), name.name)
            yield Placed(table if real == name else table.renamed(real), name, schemas)

    def _divides(self, name: QualifiedName, maps: tuple[SchemaMap, ...]) -> bool:
        """Whether schemas were asked for, none was named, and the table belongs into such."""
        return self.source is not None and not maps and name.schema is None

    def _maps(self, engine: Engine) -> Iterator[SchemaMap]:
        seen: set[tuple[tuple[str | None, str | None], ...]] = set()
        for each in () if self.source is None else _asked(engine, self.source, self.base):
            own: SchemaMap = {None: each} if isinstance(each, str) else each
            found = tuple(sorted({**self.base, **own}.items(), key=str))
            if found not in seen:
                seen.add(found)
                yield dict(found)


def untranslated(engine: Engine) -> Engine:
    """*engine* without its ``schema_translate_map``: our names are the real ones, and no name is translated twice."""
    return engine.execution_options(**{_MAP: None}) if engine.get_execution_options().get(_MAP) else engine


def _asked(engine: Engine, source: SchemaSource, base: SchemaMap) -> Iterable[Given]:
    answer: Any = source
    if isinstance(source, Executable) or (callable(source) and not isinstance(source, Mapping)):
        try:
            with connected(engine) as connection:
                answer = _answer(connection.execution_options(**{_MAP: base or None}), source)
        except DBAPIError as error:
            raise CatalogError(
                f"schemas=: the server refused: {first_line(error)}; nothing was changed. Fix the statement or function"
            ) from error
    given = [answer] if isinstance(answer, str | Mapping) else answer
    if not isinstance(given, list | tuple | set | frozenset):
        raise ConfigurationError(f"schemas= are names or maps of names, and {given!r} is neither")
    for each in given:
        if not isinstance(each, str | Mapping) or not each:
            raise ConfigurationError(f"schemas= holds {each!r}, which is no name of a schema")
    return given


def _answer(connection: Connection, source: Any) -> Any:
    if isinstance(source, Executable):
        return list(connection.execute(source).scalars())
    answer = source(connection) if inspect.signature(source).parameters else source()
    return answer if isinstance(answer, str | Mapping) else list(answer)
