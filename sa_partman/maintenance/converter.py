"""The converter: looks at a table, plans its conversion in place, runs it, resumes it, or takes it back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import timedelta
from functools import partial
from shlex import quote as in_shell
from typing import Any, Literal, Unpack, get_args

from sqlalchemy import Connection

from sa_partman.compare.context import Context
from sa_partman.engine.conversion import Interrupted, Report, run_steps, take_back
from sa_partman.engine.pace import Throttle
from sa_partman.engine.progress import OnProgress, Progress
from sa_partman.errors import ConversionRefused, ExecutionError, Refused
from sa_partman.maintenance.copier import Copier
from sa_partman.maintenance.moving import MoveOptions
from sa_partman.maintenance.working import Job, TableWorker, in_our_words, silent
from sa_partman.names import QualifiedName
from sa_partman.orm.registry import primary_key_of
from sa_partman.plan.conversion.request import Choices, ConversionPlan
from sa_partman.plan.rewrite.request import RewritePlan
from sa_partman.postgres import journal
from sa_partman.postgres.contents import tenants_of
from sa_partman.postgres.conversion.plan import PlannedConversion, full_mark, marks, plan_conversion, plan_undo
from sa_partman.postgres.conversion.rows import Estimate, estimate, rows_elsewhere
from sa_partman.postgres.conversion.whereabouts import (
    finished_of,
    history_of,
    require_in_place,
    taken_back,
    unfinished_of,
    whereabouts,
)
from sa_partman.postgres.journal import Conversion, NewConversion
from sa_partman.postgres.session import connected, pin
from sa_partman.postgres.view import CATALOG_LOCK_TIMEOUT

__all__ = ["Conversion", "Converter", "Estimate", "Interrupted", "OnProgress", "Progress", "Report"]

LEAD = timedelta(hours=1)

Strategy = Literal["in-place", "copy"]
"""How a table becomes partitioned."""


def _command(table: object) -> str:
    return f"sa-partman convert {in_shell(str(table))}"


class Converter(TableWorker):
    """
    Converts tables that exist into partitioned ones: in place, without copying a row, or by a copy of all rows.

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

    @in_our_words
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

    def plan_copy(self, table: str, *, inbound: str = "refuse", unique: Mapping[str, str] | None = None) -> RewritePlan:
        """
        The steps that `convert` would take with ``strategy="copy"``, or every reason why it would not.

        Args:
            inbound: See `plan`.
            unique: The same; but nothing can be "local".
        """
        return self._as(Copier).plan_copy(table, inbound=inbound, unique=unique)

    def plan_unpartition(self, table: str) -> RewritePlan:
        """The steps that `unpartition` would take, or every reason why it would not; nothing is changed."""
        return self._as(Copier).plan_unpartition(table)

    def unpartition(self, table: str, **options: Unpack[MoveOptions]) -> Conversion:
        """
        Makes a partitioned table plain by a copy of its rows, while the application works. The partitions are kept
        until `finalize`, and `undo` gives them back with all that was written since.

        Args:
            table: Its model need not declare it as partitioned any more; the primary key is that of the model.
            options: See `MoveOptions`.

        Raises:
            ConversionRefused: With every reason; nothing was changed.
            MaintainerBusy: Another process works on the table.
            ExecutionError: A step failed; the ones before it stay: `resume` or `abort`.
        """
        return self._as(Copier).unpartition(table, **options)

    @in_our_words
    def estimate(self, table: str) -> Estimate:
        """How much there is to read, and how long each step may take."""
        name = self._name(table)
        with connected(self.engine) as connection:
            pin(connection, CATALOG_LOCK_TIMEOUT)
            return estimate(connection, name)

    @in_our_words
    def convert(
        self,
        table: str,
        *,
        lead: timedelta = LEAD,
        boundary: Any = None,
        inbound: str = "refuse",
        unique: Mapping[str, str] | None = None,
        strategy: Strategy = "in-place",
        throttle: Throttle | None = None,
        report: Report = silent,
        progress: OnProgress | None = None,
    ) -> Conversion:
        """
        Converts *table*; see `plan` for the other arguments.

        Args:
            strategy: "in-place": the table becomes the first partition, and no row is copied. "copy": the rows are
                copied into partitions while the application works, whatever the declaration is; *lead* and *boundary*
                do nothing then, the table as it was is kept until `finalize`, and `undo` gives it back with all that
                was written since.
            throttle: Limits for the copy.
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
            ValueError: No such *strategy*.
        """
        if strategy not in get_args(Strategy):
            raise ValueError(f"strategy={strategy!r}: write one of {', '.join(map(repr, get_args(Strategy)))}")
        if strategy == "copy":
            more: Any = {"throttle": throttle, "report": report, "progress": progress}
            return self._as(Copier).copy(table, inbound=inbound, unique=unique, **more)
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

    @in_our_words
    def resume(
        self,
        table: str,
        *,
        throttle: Throttle | None = None,
        report: Report = silent,
        progress: OnProgress | None = None,
    ) -> Conversion:
        """
        Goes on where an interrupted conversion, or an interrupted undo, stopped.

        Args:
            throttle: Limits for a copy.

        Raises:
            Refused: There is none.
        """
        name = self._name(table)
        if self._copies(name):
            return self._as(Copier).resume(table, throttle=throttle, report=report, progress=progress)
        with self._only(name) as job:
            conversion = self._unfinished(name)
            with connected(self.engine) as connection:
                pin(connection, CATALOG_LOCK_TIMEOUT)
                require_in_place(connection, conversion)
            return self._run(job, conversion, report, progress)

    @in_our_words
    def abort(self, table: str, *, report: Report = silent) -> Conversion:
        """
        Takes back every step of an unfinished conversion or undo: the table is what it was, whatever it is called
        now. Where it was dropped, what was built beside it goes, and the conversion is over.

        Raises:
            Refused: There is none, or it is cut over already: then `undo`.
        """
        name = self._name(table)
        if self._copies(name):
            return self._as(Copier).abort(table, report=report)
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

    @in_our_words
    def undo(
        self,
        table: str,
        *,
        max_rows: int = 100_000,
        throttle: Throttle | None = None,
        report: Report = silent,
        progress: OnProgress | None = None,
    ) -> Conversion:
        """
        Makes a converted table plain again: its history partition takes its name back, and rows that came into other
        partitions since are moved into it. After a copy the table as it was takes its name back, until `finalize`.

        Args:
            max_rows: More rows than this are not moved inside the swap.
            throttle: Limits for what is replayed after a copy.

        Raises:
            Refused: It was not converted, or its history is gone; nothing was changed.
            ConversionRefused: With every reason; nothing was changed.
        """
        name = self._name(table)
        if self._copies(name):
            return self._as(Copier).undo(table, throttle=throttle, report=report, progress=progress)
        with self._only(name) as job:
            self._require_none_running(name)
            with connected(self.engine) as connection:
                pin(connection, CATALOG_LOCK_TIMEOUT).require_writable()
                planned = plan_undo(connection, name, max_rows)
            if planned.plan.refusals:
                raise ConversionRefused(str(name), map(str, planned.plan.refusals), what="can't be made plain again")
            return self._run(job, self._begin(job, planned, "undo", max_rows), report, progress)

    def pause(self, table: str) -> Conversion:
        """
        Asks the process that copies *table* to stop behind the piece that it is at; `resume` goes on.

        Raises:
            Refused: No copy is in progress.
        """
        return self._as(Copier).pause(table)

    def finalize(self, table: str, *, report: Report = silent) -> Conversion:
        """
        Drops what a copy has replaced: from here on there is no way back.

        Raises:
            Refused: There is nothing to drop.
        """
        return self._as(Copier).finalize(table, report=report)

    # -- inside --------------------------------------------------------------------------------------------------

    def _copies(self, name: QualifiedName) -> bool:
        """Whether what is in progress, or kept, is a copy of the whole table."""
        with connected(self.engine) as connection:
            pin(connection, CATALOG_LOCK_TIMEOUT)
            found = unfinished_of(connection, name)
        return found is not None and found.kind.removeprefix("undo ") in ("copy", "unpartition")

    def _begin(self, job: Job, planned: PlannedConversion, kind: str, max_rows: int | None = None) -> Conversion:
        with self._storing() as connection:
            job.exclusion.verify(connection)
            seen = marks(connection, planned.table, planned.plan.steps)
            if seen is None or seen.plan != planned.mark:
                raise Refused(
                    f"{planned.table} was changed while this was being planned; no step was taken. Try again."
                )
            new = replace(_new(planned, kind), fingerprint=seen.full, max_rows=max_rows)
            return journal.begin(connection, new)

    def _run(self, job: Job, conversion: Conversion, report: Report, progress: OnProgress | None) -> Conversion:
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

    def _planned(self, table: str, lead: timedelta, boundary: Any, choices: Choices) -> PlannedConversion:
        model, declared = self._declared(table)
        with connected(self.engine) as connection:
            tenants = tenants_of(connection, declared)
            session = pin(connection, CATALOG_LOCK_TIMEOUT)
            lead = max(lead, estimate(connection, declared.name).lead)
            context = Context(session.now if self._now is None else self._now(), tenants)
            wanted = partial(primary_key_of, model)
            return plan_conversion(connection, declared, wanted, context, choices, lead=lead, boundary=boundary)


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
