"""What a converter and a rewriter share: the right to be the only one at work on a table, what is stored, records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from shlex import quote as in_shell
from typing import ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, MetaData, Table
from sqlalchemy.exc import DBAPIError

from sa_partman.engine.budget import LockPolicy
from sa_partman.engine.conversion import ConversionRun, Report, read_committed
from sa_partman.engine.exclusion import Exclusion, only_converter
from sa_partman.engine.progress import OnProgress
from sa_partman.engine.running import Running, new_name
from sa_partman.engine.waits import OnWait, Waits
from sa_partman.errors import DeclarationError, ExecutionError, Refused
from sa_partman.maintenance.audit import Audit, Record
from sa_partman.maintenance.converting import Recorded
from sa_partman.maintenance.settings import Clock, Hooks, clock, hooks_of
from sa_partman.names import QualifiedName
from sa_partman.orm.registry import declared_tables
from sa_partman.ports import Hook, Sleeping, Waiting
from sa_partman.postgres import journal
from sa_partman.postgres.audit import CONVERSION_RUN
from sa_partman.postgres.conversion.whereabouts import (
    finished_of,
    no_rewrite,
    nothing_in_progress,
    unfinished_of,
    whereabouts,
)
from sa_partman.postgres.journal import Conversion
from sa_partman.postgres.session import connected, limit_idling, pin
from sa_partman.postgres.sqlstate import first_line
from sa_partman.postgres.view import CATALOG_LOCK_TIMEOUT
from sa_partman.spec.declared import DeclaredTable


def silent(*_: object) -> None:
    """Reports nothing."""


P = ParamSpec("P")
T = TypeVar("T")
W = TypeVar("W", bound="TableWorker")


def in_our_words(verb: Callable[P, T]) -> Callable[P, T]:
    """Errors of the server that no step tells of become ours, in a method that takes *table* first."""

    @wraps(verb)
    def told(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return verb(*args, **kwargs)
        except DBAPIError as error:
            worker = args[0]
            table = str(kwargs["table"] if "table" in kwargs else args[1])
            command = worker.command if isinstance(worker, TableWorker) else "sa-partman convert"
            raise ExecutionError(
                f"{table}: the server refused: {first_line(error)}; what was done before stays. How far it is: "
                f"{command} {in_shell(table)} --state"
            ) from error

    return told


class TableWorker:
    """Long work on one table at a time; see `Converter` for the arguments."""

    command = "sa-partman convert"
    """What its messages tell people to type."""

    rewrites = False
    """Whether it moves rows between partitions, so that it goes on with that, and with nothing else."""

    def __init__(
        self,
        engine: Engine,
        metadata: MetaData | Iterable[MetaData],
        *,
        now: datetime | Callable[[], datetime] | None = None,
        hooks: Iterable[Hook] = (),
        lock: LockPolicy | None = None,
        audit: bool | str = False,
        on_wait: OnWait | None = None,
        hook_timeout: float = 30.0,
    ) -> None:
        self.engine, self.metadata = read_committed(engine), metadata
        self.lock, self.audit = lock or LockPolicy(), audit
        self._now: Clock | None = clock(now)
        self._waiting: Waiting = Sleeping()
        self._hooks, self._on_wait = Hooks(hooks_of(hooks), hook_timeout, self._waiting), on_wait

    @in_our_words
    def state(self, table: str) -> Conversion | None:
        """The youngest work on *table* as it is stored; None when there never was any."""
        name = self._name(table)
        with connected(self.engine) as connection:
            pin(connection, CATALOG_LOCK_TIMEOUT)
            found = unfinished_of(connection, name) or journal.last(connection, name)
            return None if found is None else journal.measured(connection, found)

    # -- inside --------------------------------------------------------------------------------------------------

    def _as(self, kind: type[W]) -> W:
        """A worker of another *kind* with all that this one was given."""
        other = kind.__new__(kind)
        other.__dict__.update(self.__dict__)
        return other

    @contextmanager
    def _only(self, name: QualifiedName) -> Iterator[Job]:
        """The right to be the only converter of the table, and who is told what the block waits for."""
        waits = Waits(CONVERSION_RUN + new_name(), self._on_wait)
        with only_converter(self.engine, name, self.lock.lease) as exclusion, waits.watched(self.engine):
            yield Job(self, exclusion, waits)

    @contextmanager
    def _storing(self) -> Iterator[Connection]:
        """
        A transaction that changes what is stored, for which all others wait: frozen for the lease of a step, it is
        ended by the server.
        """
        with connected(self.engine) as connection:
            pin(connection, self.lock.lock_timeout).require_writable()
            limit_idling(connection, self.lock.step_lease)
            yield connection

    def _require_none_running(self, name: QualifiedName) -> None:
        with connected(self.engine) as connection:
            pin(connection, CATALOG_LOCK_TIMEOUT)
            running = unfinished_of(connection, name)
            forgotten = journal.lost(connection, name) if running is None else None
            place = None if running is None else whereabouts(connection, running)
        if forgotten is not None:
            raise Refused(f"{forgotten.message}; nothing was changed: {forgotten.remedy}")
        if running is None or place is None:
            return
        if not place.in_place:
            raise Refused(place.elsewhere)
        found = running.unfinished
        raise Refused(f"{found.message}; nothing was changed: {found.remedy}")

    def _unfinished(self, name: QualifiedName) -> Conversion:
        with connected(self.engine) as connection:
            pin(connection, CATALOG_LOCK_TIMEOUT)
            conversion = unfinished_of(connection, name)
            if conversion is None:
                raise (no_rewrite if self.rewrites else nothing_in_progress)(connection, name)
        if conversion.rewrites != self.rewrites:
            found = conversion.unfinished
            raise Refused(f"{found.message}; nothing was changed: {found.remedy}")
        return conversion

    def _stored(self, conversion: Conversion) -> Conversion:
        with connected(self.engine) as connection:
            pin(connection, CATALOG_LOCK_TIMEOUT)
            return journal.measured(connection, journal.get(connection, conversion.id))

    def _name(self, table: str) -> QualifiedName:
        try:
            _, declared = self._declared(table)
        except DeclarationError:
            # What has begun is ended by name, also when the model is plain again.
            schema, _, name = table.rpartition(".")
            with connected(self.engine) as connection:
                session = pin(connection, CATALOG_LOCK_TIMEOUT)
                asked = QualifiedName(schema or session.default_schema, name)
                known = unfinished_of(connection, asked) or finished_of(connection, asked)
                if known is None and journal.last(connection, asked) is None:
                    raise
            return asked
        return declared.name

    def _declared(self, table: str) -> tuple[Table, DeclaredTable]:
        """*table* may also be written with the schema that the search path finds it in, as our messages do."""
        with connected(self.engine) as connection:
            default = pin(connection, CATALOG_LOCK_TIMEOUT).default_schema
        pairs = declared_tables(self.metadata)
        named = [pair for pair in pairs if pair[0].schema is None and table == f"{default}.{pair[0].name}"]
        model, declared = (named or declared_tables(self.metadata, [table]))[0]
        if declared.name.schema is None:
            declared = declared.renamed(QualifiedName(default, declared.name.name))
        return model, declared


@dataclass(frozen=True, slots=True)
class Job:
    """What one method of *worker* does, as the only one for its table."""

    worker: TableWorker
    exclusion: Exclusion
    waits: Waits

    def recorded(self, table: QualifiedName, purpose: str) -> Recorded:
        worker = self.worker
        with connected(worker.engine) as connection:
            session = pin(connection, CATALOG_LOCK_TIMEOUT)
        audit = Audit.of(worker.engine, worker.audit, session)
        return Recorded(Record(self.waits.run, audit), worker._hooks, table, purpose)

    def running(self) -> Running:
        worker = self.worker
        return Running(worker.engine, worker.lock, worker._waiting, self.exclusion, self.waits.run, self.waits)

    def run_of(self, recorded: Recorded, report: Report, progress: OnProgress | None = None) -> ConversionRun:
        return ConversionRun(self.running(), report=report, progress=progress, ask=recorded.ask, around=recorded.around)
