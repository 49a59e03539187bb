"""How a maintainer was made: its clock, budgets and schemas; and its hooks, asked before a step and told after it."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, Executable, MetaData
from sqlalchemy.exc import DBAPIError

from sa_partman.ddl.render import step_sql
from sa_partman.engine.budget import LockPolicy
from sa_partman.engine.waits import OnWait
from sa_partman.errors import CatalogError, ConfigurationError, Veto
from sa_partman.events import StepEvent, When
from sa_partman.maintenance.results import Outcome, StepResult
from sa_partman.names import QualifiedName
from sa_partman.plan.steps import Step
from sa_partman.ports import Hook, Only, Waiting
from sa_partman.postgres.session import connected
from sa_partman.postgres.sqlstate import first_line
from sa_partman.spec.declared import DeclaredTable

Clock = Callable[[], datetime]


def clock(now: datetime | Clock | None) -> Clock | None:
    """
    Raises:
        ValueError: *now* has no time zone.
        TypeError: It is neither an instant nor a callable.
    """
    if isinstance(now, datetime):
        if now.tzinfo is None:
            raise ValueError(f"now={now!r} has no time zone; write datetime(..., tzinfo=UTC)")
        return lambda: now
    if now is not None and not callable(now):
        raise TypeError(f"now={now!r} is not a datetime, nor a callable that returns one")
    return now


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


class Report(Protocol):
    """
    Args:
        result: How the step went; it is committed, or nothing of it was changed.
        done: Steps tried so far, this one included.
        total: Steps planned; a step whose first half failed is not tried, so *done* may end below it.
    """

    def __call__(self, result: StepResult, done: int, total: int, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Settings:
    """
    Args:
        engine: Its synchronous face, also of an asynchronous one; it translates no schemas.
        now: Instead of the server's clock.
        on_wait: Told what a run waits for.
        hook_timeout: Seconds that one hook may take.
        audit: Whether runs are written to the audit tables; text: the schema of these, else the default one.
        limit: Partitions that one run removes at most.
        schemas: In which each table is maintained.
    """

    engine: Engine = field(repr=False)
    metadata: MetaData | tuple[MetaData, ...]
    now: Clock | None
    lock: LockPolicy
    report: Report | None
    hooks: tuple[Hook, ...]
    hook_timeout: float
    audit: bool | str
    limit: int | None
    waiting: Waiting
    schemas: Schemas = field(default_factory=Schemas)
    on_wait: OnWait | None = None

    def require_postgresql(self) -> None:
        """
        Asked when something is to be done: an application whose tests run on another database may have a maintainer.

        Raises:
            ConfigurationError: The engine is none of PostgreSQL.
        """
        name = self.engine.dialect.name
        if name != "postgresql":
            raise ConfigurationError(f"{name} is not PostgreSQL; only PostgreSQL has partitions to maintain")


def metadata_of(metadata: MetaData | Iterable[MetaData]) -> MetaData | tuple[MetaData, ...]:
    """
    Raises:
        TypeError: There is something else among them, such as a declarative base.
    """
    if isinstance(metadata, MetaData):
        return metadata
    inner = getattr(metadata, "metadata", None)
    if isinstance(inner, MetaData):
        raise TypeError(f"metadata={metadata!r} is not a MetaData; pass its .metadata")
    if not isinstance(metadata, Iterable):
        raise TypeError(f"metadata={metadata!r} is not a MetaData; pass one, or several")
    return tuple(_one(each) for each in metadata)


def _one(thing: MetaData) -> MetaData:
    found = metadata_of(thing)
    if not isinstance(found, MetaData):
        raise TypeError(f"metadata={thing!r} is not a MetaData; pass one, or several")
    return found


def hooks_of(hooks: Iterable[Hook]) -> tuple[Hook, ...]:
    """
    Raises:
        TypeError: It is one hook, and no list of them.
    """
    if not isinstance(hooks, Iterable):
        raise TypeError(f"hooks={hooks!r} is not a list; write hooks=[...], even for one")
    return tuple(hooks)


@dataclass(frozen=True, slots=True)
class HookRefusal:
    """
    Why a step must not be done.

    Args:
        outcome: VETOED, or FAILED when a hook could not say.
    """

    outcome: Outcome
    error: str


@dataclass(frozen=True, slots=True)
class Hooks:
    """
    Those of a maintainer or converter.

    Args:
        timeout: Seconds that one of them may take.
    """

    hooks: tuple[Hook, ...]
    timeout: float
    waiting: Waiting

    @classmethod
    def of(cls, settings: Settings) -> Hooks:
        return cls(settings.hooks, settings.hook_timeout, settings.waiting)

    def ask(self, event: StepEvent) -> HookRefusal | None:
        """None when every hook agrees; the first that does not is the last asked."""
        for hook in self._asked(event):
            try:
                agreed = self._call(hook, event)
            except Veto as veto:
                return HookRefusal(Outcome.VETOED, f"{_name(hook)}: {veto}" if str(veto) else _name(hook))
            except (Exception, SystemExit) as error:
                return HookRefusal(Outcome.FAILED, f"{_trouble(hook, error)}; nothing was changed")
            if agreed is False:
                return HookRefusal(Outcome.VETOED, _name(hook))
        return None

    def tell(self, event: StepEvent) -> list[str]:
        """What went wrong in them."""
        troubles = []
        for hook in self._asked(event):
            try:
                self._call(hook, event)
            except (Exception, SystemExit) as error:
                troubles.append(f"{_trouble(hook, error)}; the step itself was done")
        return troubles

    def before(self, step: Step, run: str) -> StepResult | None:
        """The result of a step that must not be done."""
        if not self.hooks:
            return None
        began, refusal = time.monotonic(), self.ask(_event(When.BEFORE, step, run))
        return None if refusal is None else StepResult(step, refusal.outcome, time.monotonic() - began, refusal.error)

    def after(self, result: StepResult, run: str) -> StepResult:
        """*result*, with what went wrong in a hook noted in it."""
        if not self.hooks or result.outcome is not Outcome.DONE:
            return result
        troubles = [result.error] if result.error else []
        return replace(result, error="; ".join([*troubles, *self.tell(_event(When.AFTER, result.step, run))]))

    def _asked(self, event: StepEvent) -> list[Hook]:
        return [hook for hook in self.hooks if not isinstance(hook, Only) or hook.wants(event)]

    def _call(self, hook: Hook, event: StepEvent) -> Any:
        function = hook.function if isinstance(hook, Only) else hook
        return self.waiting.call(function, event, self.timeout)


def _event(when: When, step: Step, run: str) -> StepEvent:
    return StepEvent(when, step.purpose.value, step.table, step.partition, step.bound, step_sql(step), run)


def _trouble(hook: Hook, error: BaseException) -> str:
    said = " ".join(str(error).split())
    return f"the hook {_name(hook)} failed: {type(error).__name__}{': ' + said if said else ''}"


def _name(hook: Callable[..., Any]) -> str:
    """As its author knows it."""
    if isinstance(hook, Only):
        return _name(hook.function)
    if isinstance(hook, partial):
        return _name(hook.func)
    return str(getattr(hook, "__qualname__", type(hook).__qualname__))
