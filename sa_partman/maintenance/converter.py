"""The converter: looks at a table, plans its conversion in place, runs it, resumes it, or takes it back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from functools import partial, wraps
from shlex import quote as in_shell
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, MetaData, Table
from sqlalchemy.exc import DBAPIError

from sa_partman.compare.situation import Situation
from sa_partman.engine.budget import LockPolicy
from sa_partman.engine.conversion import ConversionRun, Interrupted, Report, read_committed, run_steps, take_back
from sa_partman.engine.exclusion import Exclusion, only_converter
from sa_partman.engine.progress import OnProgress, Progress
from sa_partman.engine.running import Running, new_name
from sa_partman.engine.waits import OnWait, Waits
from sa_partman.errors import ConversionRefused, DeclarationError, ExecutionError, Refused
from sa_partman.maintenance.audit import Audit, Record
from sa_partman.maintenance.converting import Recorded
from sa_partman.maintenance.settings import Clock, Hooks, clock, hooks_of
from sa_partman.names import QualifiedName
from sa_partman.orm.registry import declared_tables, primary_key_of
from sa_partman.plan.conversion.request import Choices, ConversionPlan
from sa_partman.ports import Hook, Sleeping, Waiting
from sa_partman.postgres import journal
from sa_partman.postgres.audit import CONVERSION_RUN
from sa_partman.postgres.contents import tenants_of
from sa_partman.postgres.conversion.plan import PlannedConversion, full_mark, marks, plan_conversion, plan_undo
from sa_partman.postgres.conversion.rows import Estimate, estimate, rows_elsewhere
from sa_partman.postgres.conversion.whereabouts import (
    finished_of,
    history_of,
    nothing_in_progress,
    require_in_place,
    taken_back,
    unfinished_of,
    whereabouts,
)
from sa_partman.postgres.journal import Conversion, NewConversion
from sa_partman.postgres.session import connected, pin
from sa_partman.postgres.sqlstate import first_line
from sa_partman.postgres.view import CATALOG_LOCK_TIMEOUT
from sa_partman.spec.declared import DeclaredTable

__all__ = ["Conversion", "Converter", "Estimate", "Interrupted", "OnProgress", "Progress", "Report"]

LEAD = timedelta(hours=1)


def _silent(*_: object) -> None:
    """Reports nothing."""


P = ParamSpec("P")
T = TypeVar("T")


def _ours(verb: Callable[P, T]) -> Callable[P, T]:
    """Errors of the server that no step tells of become ours, in a method that takes *table* first."""

    @wraps(verb)
    def told(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return verb(*args, **kwargs)
        except DBAPIError as error:
            table = str(kwargs["table"] if "table" in kwargs else args[1])
            raise ExecutionError(
                f"{table}: the server refused: {first_line(error)}; what was done before stays. How far it is: "
                f"{_command(table)} --state"
            ) from error

    return told


def _command(table: object) -> str:
    return f"sa-partman convert {in_shell(str(table))}"


class Converter:
    """
    Converts tables that exist into partitioned ones, without copying a row.

    Args:
        engine: Synchronous.
        metadata: Declares what the tables are to be; one MetaData, or several.
        now: A fixed instant, or a callable, instead of the server's clock.
        hooks: Asked before every step, and told after it, as by a `Maintainer`; a conversion stops before a step that
            one of them vetoes, and `resume` goes on.
        lock: How long to wait for locks.
        audit: Keep a record of the work and of every step in the tables of `Maintainer`; text: their schema.
        on_wait: See `Maintainer`.
        hook_timeout: Seconds that one hook may take.
    """

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

    @_ours
    def plan(
        self,
        table: str,
        *,
        lead: timedelta = LEAD,
        boundary: Any = None,
        inbound: str = "refuse",
        unique: Mapping[str, str] | None = None,
    ) -> ConversionPlan:
        """
        The steps that `convert` would take, or every reason why it would not; nothing is changed.

        Args:
            lead: How long the conversion may take until the cut-over; a large table is given more.
            boundary: Where the history partition ends, instead of the first point of the grid after now + *lead*.
            inbound: What becomes of foreign keys of other tables that refer to this one and lack the partition key:
                "refuse"; "composite" makes them again with it, where the other table has it too; "drop" drops them.
            unique: What becomes of unique indexes without the key, by name: "local" or "drop".
        """
        self._require_none_running(self._declared(table)[1].name)
        return self._planned(table, lead, boundary, Choices(inbound, unique or {})).plan  # type: ignore[arg-type]

    @_ours
    def estimate(self, table: str) -> Estimate:
        """How much there is to read, and how long each step may take."""
        name = self._name(table)
        with connected(self.engine) as connection:
            pin(connection, CATALOG_LOCK_TIMEOUT)
            return estimate(connection, name)

    @_ours
    def convert(
        self,
        table: str,
        *,
        lead: timedelta = LEAD,
        boundary: Any = None,
        inbound: str = "refuse",
        unique: Mapping[str, str] | None = None,
        report: Report = _silent,
        progress: OnProgress | None = None,
    ) -> Conversion:
        """
        Converts *table*; see `plan` for the other arguments.

        Args:
            report: Called after each step.
            progress: Called from another thread while a step reads the table.

        Returns:
            The conversion as it is stored in the end, still "running" when a hook vetoed a step; one without steps when
            the table is partitioned already, as it is declared.

        Raises:
            ConversionRefused: With every reason; nothing was changed.
            MaintainerBusy: Another process converts it.
            ExecutionError: A step failed; the ones before it stay: `resume` or `abort`.
            Interrupted: Ctrl-C; as above.
        """
        name = self._name(table)
        with self._only(name) as job:
            self._require_none_running(name)
            planned = self._planned(table, lead, boundary, Choices(inbound, unique or {}))  # type: ignore[arg-type]
            if planned.plan.refusals:
                raise ConversionRefused(str(name), map(str, planned.plan.refusals))
            if not planned.plan.steps:
                recorded = job.recorded(name, "convert")
                with recorded.run(0):
                    pass
                return replace(_nothing_to_do(planned), findings=recorded.findings)
            return self._run(job, self._begin(job, planned, "convert"), report, progress)

    @_ours
    def resume(self, table: str, *, report: Report = _silent, progress: OnProgress | None = None) -> Conversion:
        """
        Goes on where an interrupted conversion, or an interrupted undo, stopped.

        Raises:
            Refused: There is none.
        """
        name = self._name(table)
        with self._only(name) as job:
            conversion = self._unfinished(name)
            with connected(self.engine) as connection:
                pin(connection, CATALOG_LOCK_TIMEOUT)
                require_in_place(connection, conversion)
            return self._run(job, conversion, report, progress)

    @_ours
    def abort(self, table: str, *, report: Report = _silent) -> Conversion:
        """
        Takes back every step of an unfinished conversion or undo: the table is what it was, whatever it is called
        now. Where it was dropped, what was built beside it goes, and the conversion is over.

        Raises:
            Refused: There is none, or it is cut over already: then `undo`.
        """
        name = self._name(table)
        with self._only(name) as job:
            conversion = self._unfinished(name)
            with connected(self.engine) as connection:
                pin(connection, CATALOG_LOCK_TIMEOUT)
                place = whereabouts(connection, conversion)
            if conversion.cut_over and place.now is not None:
                way = " --undo" if conversion.kind == "convert" else ""
                raise Refused(
                    f"{name} is cut over already; nothing was changed. Finish it: {_command(name)} --resume; then take "
                    f"it back: {_command(name)}{way}"
                )
            back, recorded = taken_back(place), job.recorded(name, "abort")
            with recorded.run(back.done):
                take_back(job.run_of(recorded, report), back)
            return replace(self._stored(conversion), findings=recorded.findings)

    @_ours
    def undo(
        self,
        table: str,
        *,
        max_rows: int = 100_000,
        report: Report = _silent,
        progress: OnProgress | None = None,
    ) -> Conversion:
        """
        Makes a converted table plain again: its history partition takes its name back, and rows that came into other
        partitions since are moved into it.

        Args:
            max_rows: More rows than this are not moved inside the swap.

        Raises:
            Refused: It was not converted in place, or its history is gone; nothing was changed.
            ConversionRefused: With every reason; nothing was changed.
        """
        name = self._name(table)
        with self._only(name) as job:
            self._require_none_running(name)
            with connected(self.engine) as connection:
                pin(connection, CATALOG_LOCK_TIMEOUT).require_writable()
                planned = plan_undo(connection, name, max_rows)
            if planned.plan.refusals:
                raise ConversionRefused(str(name), map(str, planned.plan.refusals), what="can't be made plain again")
            return self._run(job, self._begin(job, planned, "undo", max_rows), report, progress)

    @_ours
    def state(self, table: str) -> Conversion | None:
        """The youngest conversion or undo of *table* as it is stored; None when there never was one."""
        name = self._name(table)
        with connected(self.engine) as connection:
            pin(connection, CATALOG_LOCK_TIMEOUT)
            return unfinished_of(connection, name) or journal.last(connection, name)

    # -- inside --------------------------------------------------------------------------------------------------

    @contextmanager
    def _only(self, name: QualifiedName) -> Iterator[_Job]:
        """The right to be the only converter of the table, and who is told what the block waits for."""
        waits = Waits(CONVERSION_RUN + new_name(), self._on_wait)
        with only_converter(self.engine, name, self.lock.lease) as exclusion, waits.watched(self.engine):
            yield _Job(self, exclusion, waits)

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
                raise nothing_in_progress(connection, name)
        return conversion

    def _stored(self, conversion: Conversion) -> Conversion:
        with connected(self.engine) as connection:
            pin(connection, CATALOG_LOCK_TIMEOUT)
            return journal.get(connection, conversion.id)

    def _begin(self, job: _Job, planned: PlannedConversion, kind: str, max_rows: int | None = None) -> Conversion:
        with connected(self.engine) as connection:
            pin(connection, self.lock.lock_timeout).require_writable()
            job.exclusion.verify(connection)
            seen = marks(connection, planned.table, planned.plan.steps)
            if seen is None or seen.plan != planned.mark:
                raise Refused(
                    f"{planned.table} was changed while this was being planned; no step was taken. Try again."
                )
            new = replace(_new(planned, kind), fingerprint=seen.full, max_rows=max_rows)
            return journal.begin(connection, new)

    def _run(self, job: _Job, conversion: Conversion, report: Report, progress: OnProgress | None) -> Conversion:
        def recheck(connection: Connection) -> None:
            if full_mark(connection, conversion.table, conversion.steps) != conversion.fingerprint:
                raise ExecutionError(
                    f"{conversion.table} was changed since this began (a migration?); the swap was rolled back. Take "
                    f"back what was done: {_command(conversion.table)} --abort; then begin again."
                )
            if conversion.max_rows is not None:
                _require_few_rows(connection, conversion, conversion.max_rows)

        recorded = job.recorded(conversion.table, conversion.kind)
        with recorded.run(len(conversion.steps) - conversion.done):
            run_steps(replace(job.run_of(recorded, report, progress), recheck=recheck), conversion)
        return replace(self._stored(conversion), findings=recorded.findings)

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

    def _planned(self, table: str, lead: timedelta, boundary: Any, choices: Choices) -> PlannedConversion:
        model, declared = self._declared(table)
        with connected(self.engine) as connection:
            tenants = tenants_of(connection, declared)
            session = pin(connection, CATALOG_LOCK_TIMEOUT)
            lead = max(lead, estimate(connection, declared.name).lead)
            situation = Situation(session.now if self._now is None else self._now(), tenants)
            wanted = partial(primary_key_of, model)
            return plan_conversion(connection, declared, wanted, situation, choices, lead=lead, boundary=boundary)


@dataclass(frozen=True, slots=True)
class _Job:
    """What one method of *converter* does, as the only one for its table."""

    converter: Converter
    exclusion: Exclusion
    waits: Waits

    def recorded(self, table: QualifiedName, purpose: str) -> Recorded:
        converter = self.converter
        with connected(converter.engine) as connection:
            session = pin(connection, CATALOG_LOCK_TIMEOUT)
        audit = Audit.of(converter.engine, converter.audit, session)
        return Recorded(Record(self.waits.run, audit), converter._hooks, table, purpose)

    def run_of(self, recorded: Recorded, report: Report, progress: OnProgress | None = None) -> ConversionRun:
        running = Running(
            self.converter.engine,
            self.converter.lock,
            self.converter._waiting,
            self.exclusion,
            self.waits.run,
            self.waits,
        )
        return ConversionRun(running, report=report, progress=progress, ask=recorded.ask, around=recorded.around)


def _require_few_rows(connection: Connection, undo: Conversion, limit: int) -> None:
    began = finished_of(connection, undo.table, ("done",), "convert")
    found = None if began is None else history_of(connection, began, undo.table)
    if found is not None and rows_elsewhere(connection, found.parent, found.oid, limit) > limit:
        raise ExecutionError(
            f"{undo.table}: more than {limit} rows came into other partitions meanwhile; the swap was rolled back. "
            f"Take back what was done: {_command(undo.table)} --abort; then begin again with a higher limit: "
            f"{_command(undo.table)} --undo --max-rows ..."
        )


def _new(planned: PlannedConversion, kind: str) -> NewConversion:
    from sa_partman.version import __version__

    plan, key = planned.plan, planned.primary_key
    return NewConversion(
        planned.table, kind, planned.declaration, planned.mark, planned.oid, key, plan.steps, None, __version__
    )


def _nothing_to_do(planned: PlannedConversion) -> Conversion:
    new = _new(planned, "convert")
    return Conversion(**{each.name: getattr(new, each.name) for each in fields(new)}, id=0, status="done")
