"""What is common to all that moves rows: it begins, goes on, pauses, is taken back, and ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TypedDict, Unpack

from sqlalchemy import Connection

from sa_partman.engine.conversion import Report, run_steps, take_back
from sa_partman.engine.pace import Throttle
from sa_partman.engine.progress import OnProgress
from sa_partman.engine.snapshots import wait_for_snapshots
from sa_partman.errors import ConversionRefused, ExecutionError, Refused
from sa_partman.maintenance.rewrite_undo import UNDO, backwards, forwards, require_pieces
from sa_partman.maintenance.working import Job, TableWorker, in_our_words, silent
from sa_partman.names import QualifiedName
from sa_partman.plan.rewrite.parts import FINISH
from sa_partman.plan.rewrite.request import RewritePlan
from sa_partman.postgres import journal
from sa_partman.postgres.conversion.plan import full_mark, marks
from sa_partman.postgres.conversion.whereabouts import require_in_place, taken_back, whereabouts
from sa_partman.postgres.journal import Conversion, NewConversion
from sa_partman.postgres.rewriting import missing_of
from sa_partman.postgres.session import connected, pin
from sa_partman.postgres.view import CATALOG_LOCK_TIMEOUT


class MoveOptions(TypedDict, total=False):
    """
    How rows are moved, whatever becomes of the partitions.

    Args:
        throttle: Limits for the copy.
        report: Called after each step.
        progress: Called while rows are copied.
    """

    throttle: Throttle | None
    report: Report
    progress: OnProgress | None


@dataclass(frozen=True, slots=True)
class Move:
    """`MoveOptions` with their defaults."""

    throttle: Throttle | None = None
    report: Report = silent
    progress: OnProgress | None = None


@dataclass(frozen=True, slots=True)
class About:
    """
    Whose rows move.

    Args:
        declaration: As Python.
    """

    table: QualifiedName
    declaration: str
    oid: int

    def stored(self, plan: RewritePlan, fingerprint: str) -> NewConversion:
        from sa_partman.version import __version__

        return NewConversion(
            self.table,
            plan.kind,
            self.declaration,
            fingerprint,
            self.oid,
            (),
            plan.steps,
            None,
            __version__,
            back=plan.back,
            beside=plan.beside,
        )


class Mover(TableWorker):
    """Moves the rows of one table at a time online; the arguments are those of `Converter`."""

    rewrites = True
    refused = "can't be rewritten"
    """What is said of a table with refusals."""

    @in_our_words
    def resume(
        self,
        table: str,
        **options: Unpack[MoveOptions],
    ) -> Conversion:
        """
        Goes on where it was interrupted or paused.

        Raises:
            Refused: There is nothing to go on with.
        """
        name = self._name(table)
        with self._only(name) as job:
            conversion = self._unfinished(name)
            with self._storing() as connection:
                require_in_place(connection, conversion)
                journal.pause(connection, conversion, on=False)
            return self._run(job, conversion, Move(**options), whole=conversion.kind.startswith(UNDO))

    @in_our_words
    def pause(self, table: str) -> Conversion:
        """
        Asks the process that works on *table* to stop behind the piece that it is at; `resume` goes on.

        Raises:
            Refused: Nothing is in progress.
        """
        name = self._name(table)
        conversion = self._unfinished(name)
        with self._storing() as connection:
            journal.pause(connection, conversion, on=True)
        return self._stored(conversion)

    @in_our_words
    def abort(self, table: str, *, report: Report = silent) -> Conversion:
        """
        Takes back every step that was done before the swap; of `undo` too, which can be begun again then.

        Raises:
            Refused: There is none, or the swap is done: then `undo`.
        """
        name = self._name(table)
        with self._only(name) as job:
            conversion = self._unfinished(name)
            if conversion.cut_over:
                found = conversion.unfinished
                raise Refused(f"{found.message}; nothing was changed: {found.remedy}")
            with connected(self.engine) as connection:
                pin(connection, CATALOG_LOCK_TIMEOUT)
                place = whereabouts(connection, conversion)
            back, recorded = taken_back(place), job.recorded(name, "abort")
            with recorded.run(back.done):
                take_back(job.run_of(recorded, report), back)
            if conversion.back and conversion.kind.startswith(UNDO):
                with self._storing() as connection:
                    job.exclusion.verify(connection)
                    conversion = forwards(connection, conversion)
            return replace(self._stored(conversion), findings=recorded.findings)

    @in_our_words
    def undo(
        self,
        table: str,
        **options: Unpack[MoveOptions],
    ) -> Conversion:
        """
        Gives *table* the old partitions back, with all that was written since; until `finalize`.

        Raises:
            Refused: There is nothing to take back.
        """
        name = self._name(table)
        with self._only(name) as job:
            conversion = self._unfinished(name)
            if conversion.kind.startswith(UNDO) or not conversion.unfinished.kept:
                found = conversion.unfinished
                raise Refused(f"{found.message}; nothing was changed: {found.remedy}")
            with self._storing() as connection:
                job.exclusion.verify(connection)
                require_pieces(connection, conversion)
                seen = marks(connection, name, conversion.steps)
                if seen is None or not journal.end(connection, conversion):
                    raise Refused(f"{name} was changed meanwhile; nothing was changed. Try again.")
                back = journal.begin(connection, backwards(conversion, seen.full))
            return self._run(job, back, Move(**options), whole=True)

    @in_our_words
    def finalize(self, table: str, *, report: Report = silent) -> Conversion:
        """
        Drops what was replaced: from here on there is no way back.

        Raises:
            Refused: There is nothing to drop.
        """
        name = self._name(table)
        with self._only(name) as job:
            conversion = self._unfinished(name)
            if not conversion.unfinished.kept:
                found = conversion.unfinished
                raise Refused(f"{found.message}; nothing was changed: {found.remedy}")
            with connected(self.engine) as connection:
                pin(connection, CATALOG_LOCK_TIMEOUT)
                *others, last = conversion.steps
                missing = missing_of(connection, last.locked)
            # Retention may have removed new partitions meanwhile, and what they referred to may be gone.
            there = replace(last, locked=tuple(each for each in last.locked if each not in missing))
            return self._run(job, replace(conversion, steps=(*others, there)), Move(report=report), whole=True)

    # -- inside --------------------------------------------------------------------------------------------------

    def _move(
        self,
        about: About,
        planned: Callable[[], RewritePlan],
        move: Move,
    ) -> Conversion:
        with self._only(about.table) as job:
            plan = planned()
            if plan.refusals:
                raise ConversionRefused(str(about.table), map(str, plan.refusals), what=self.refused)
            if not plan.steps:
                recorded = job.recorded(about.table, plan.kind)
                with recorded.run(0):
                    pass
                new = about.stored(plan, "")
                given = {each.name: getattr(new, each.name) for each in fields(NewConversion)}
                return Conversion(**given, id=0, status="done", findings=recorded.findings, notes=plan.notes)
            return self._run(job, self._begin(job, about, plan), move)

    def _begin(self, job: Job, about: About, plan: RewritePlan) -> Conversion:
        with self._storing() as connection:
            job.exclusion.verify(connection)
            seen = marks(connection, about.table, plan.steps)
            if seen is None:
                raise Refused(f"{about.table} does not exist any more; nothing was changed")
            if plan.mark not in ("", seen.plan):
                raise Refused(f"{about.table} was changed while this was being planned; no step was taken. Try again.")
            return journal.begin(connection, about.stored(plan, seen.full))

    def _run(
        self,
        job: Job,
        conversion: Conversion,
        move: Move,
        *,
        whole: bool = False,
    ) -> Conversion:
        def recheck(connection: Connection) -> None:
            if full_mark(connection, conversion.table, conversion.steps) != conversion.fingerprint:
                raise ExecutionError(
                    f"{conversion.table} was changed since this began (a migration?); the swap was rolled back. Take "
                    f"back what was done: sa-partman {conversion.verb} {conversion.table} --abort; then begin again."
                )

        recorded = job.recorded(conversion.table, conversion.kind)
        running = job.running()
        run = replace(
            job.run_of(recorded, move.report, move.progress),
            recheck=recheck,
            ready=partial(wait_for_snapshots, running, conversion.table),
            throttle=move.throttle or Throttle(),
            stop="" if whole else FINISH,
        )
        with recorded.run(len(conversion.steps) - conversion.done):
            run_steps(run, conversion)
        return replace(self._stored(conversion), findings=recorded.findings)
