"""Runs the steps of a conversion: from where it stopped, each exactly once, whatever happens in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from shlex import quote as in_shell
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from sa_partman.ddl.rewriting import BEHIND
from sa_partman.engine.outside import run_outside
from sa_partman.engine.pace import Left, Pace, Throttle
from sa_partman.engine.progress import OnProgress, Progress, watched
from sa_partman.engine.running import Running
from sa_partman.engine.statements import apply_actions
from sa_partman.engine.transaction import TableTransaction
from sa_partman.errors import ExclusionLost, ExecutionError, PartmanError
from sa_partman.plan.steps import Step
from sa_partman.postgres import journal
from sa_partman.postgres.conversion.plan import loose_mark
from sa_partman.postgres.journal import Conversion
from sa_partman.postgres.session import limit_idling, pin
from sa_partman.postgres.sqlstate import first_line, sqlstate

Recheck = Callable[[Connection], None]
"""Called while nobody can change the table, before the swap; raises when it is not what it was at the plan."""

Report = Callable[[Step, float], object]
"""Called after each step, with the seconds that it took."""

SWAP = "cutover"
"""The id of the step that a changed table must not reach."""

TRIES = 10
"""How often a swap is begun that has too much to replay, and a piece again that was overtaken by the application."""

OVERTAKEN = frozenset({"23503", "23505"})
"""The SQLSTATEs of a copy that breaks a constraint which the rows themselves keep: it is not what they are any more."""


class Vetoed(PartmanError):
    """A step must not be done, say those who were asked; the conversion stops before it."""


class Paused(Vetoed):
    """Somebody asked to stop for now."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C: the running statement was cancelled, and the stored state is true. Its text says how to go on."""


@dataclass(frozen=True, slots=True)
class ConversionRun:
    """
    How to run the steps of a conversion.

    Args:
        running: As a maintainer's; its exclusion is the right to be the only converter of the table.
        recheck: See `Recheck`.
        report: See `Report`.
        progress: See `OnProgress`; None asks the server nothing.
        ask: Called before each step; raises `Vetoed`, or an error, to stop before it.
        around: Each step is done in such a block, whatever becomes of it.
        ready: Called before the swap is tried; waits, or raises.
        throttle: How much of the server steps take that are done in pieces.
        stop: The id of the step before which it ends.
    """

    running: Running
    recheck: Recheck = lambda connection: None
    report: Report = lambda step, seconds: None
    progress: OnProgress | None = None
    ask: Callable[[Step], None] = lambda step: None
    around: Callable[[Step], AbstractContextManager[None]] = lambda step: nullcontext()
    ready: Callable[[], None] = lambda: None
    throttle: Throttle = field(default_factory=Throttle)
    stop: str = ""


def read_committed(engine: Engine) -> Engine:
    """
    *engine* with transactions as steps need them, whatever its own isolation level is.

    AUTOCOMMIT would tear a step from its state; REPEATABLE READ would recheck the table in a snapshot from before the
    lock, and keep concurrent builds waiting.
    """
    return engine.execution_options(isolation_level="READ COMMITTED")


def run_steps(run: ConversionRun, conversion: Conversion) -> None:
    """
    Runs what is left of *conversion*.

    Raises:
        ExecutionError: A step failed; those before it stay, and `--resume` goes on with it.
        LockNotAcquired: A lock was not granted within the budget.
        Interrupted: By Ctrl-C.
    """
    for index in range(conversion.done, len(conversion.steps)):
        step = conversion.steps[index]
        if step.id == run.stop:
            return
        with (
            _reported(run, replace(conversion, done=index), step, f"step {step.id!r}"),
            watched(run.running.engine, conversion.table, step, run.progress),
        ):
            _forward(run, conversion, index)


def take_back(run: ConversionRun, conversion: Conversion) -> None:
    """
    Undoes the steps of an unfinished conversion, the last one first; what an interrupted build left, too.

    Raises:
        ExecutionError: Not all was taken back; do it again, or resume.
        LockNotAcquired: The same, because of a lock.
        Interrupted: By Ctrl-C.
    """
    for index in range(min(conversion.done, len(conversion.steps) - 1), -1, -1):
        step, done = conversion.steps[index], index < conversion.done
        if not done and step.in_transaction:
            continue  # it has left nothing, and what bears its names is somebody else's
        with _reported(run, replace(conversion, done=index), step, f"taking back the step {step.id!r}"):
            _backward(run, conversion, index, done)
    with _noting(run) as connection:
        _require(journal.abort(connection, conversion), conversion)


@contextmanager
def _reported(run: ConversionRun, conversion: Conversion, step: Step, what: str) -> Iterator[None]:
    """A step, done in the block: asked for before it, and reported after it."""
    began = time.monotonic()
    with run.around(step), _explained(run.running.engine, conversion, what):
        run.ask(step)
        yield
    run.report(step, time.monotonic() - began)


def _forward(run: ConversionRun, conversion: Conversion, index: int) -> None:
    step, running = conversion.steps[index], replace(run.running)  # with a budget of its own
    if not step.in_transaction:
        run_outside(running, conversion.table, step)
        _note(run, conversion, index, index + 1)
        return
    if step.until is not None:
        _piecewise(run, conversion, index, index + 1)
        return
    seen: list[Any] = []

    def before_exclusive(connection: Connection) -> None:
        if step.id == SWAP:
            seen[:] = [loose_mark(connection, conversion.table)]
            run.recheck(connection)

    def unchanged(connection: Connection) -> None:
        if step.id == SWAP and seen != [loose_mark(connection, conversion.table)]:
            raise ExecutionError(
                f"{conversion.table}: grants or dependent views changed during the final check; the swap was not made. "
                f"Go on: sa-partman {conversion.verb} {in_shell(str(conversion.table))} --resume"
            )

    if step.id != SWAP:
        _apply(running, conversion, step, index, index + 1, before_exclusive, unchanged)
        return
    for _ in range(TRIES):
        run.ready()
        try:
            _apply(replace(run.running), conversion, step, index, index + 1, before_exclusive, unchanged)
        except DBAPIError as error:
            if sqlstate(error) != BEHIND:
                raise
            _piecewise(run, conversion, index, index)
        else:
            return
    raise ExecutionError(
        f"{conversion.table}: rows change faster than the changes are replayed, so the swap was given up {TRIES} "
        f"times; nothing of it was done. Go on when less is written: --resume, or take everything back: --abort"
    )


def _piecewise(run: ConversionRun, conversion: Conversion, index: int, done: int) -> None:
    """
    What is done in pieces, each in a transaction of its own, until nothing is left.

    Args:
        index: Of the step that is next.
        done: How many steps are done then; *index* when it is the last such step before it, done again.
    """
    last = next(each for each in conversion.steps[index::-1] if each.until is not None)
    pace, step, began = Pace(run.throttle, run.running.waiting), replace(last, until=None), time.monotonic()
    until = last.until
    assert until is not None

    def piece(connection: Connection) -> Left:
        run.running.exclusion.verify(connection)
        _require(journal.is_at(connection, conversion, index), conversion)
        pace.allow(connection)
        apply_actions(connection, step.actions, singly=True)
        left = pace.left(connection, until)
        if not left.pages and done != index:
            _require(journal.move(connection, conversion, index, done), conversion)
        return left

    failed = 0
    while True:
        running = replace(run.running)
        try:
            left = TableTransaction(running=running, table=conversion.table, step=step).run(piece)
        except DBAPIError as error:
            # What was read may be deleted, and what it refers to as well, before it is written.
            failed += 1
            if sqlstate(error) not in OVERTAKEN or failed == TRIES:
                raise
            continue
        failed = 0
        if run.progress is not None:
            total = max(left.total, left.pages)
            unit = "blocks" if last.id.startswith("copy") else "changes"
            run.progress(Progress(last, total - left.pages, total, time.monotonic() - began, unit=unit))
        if not left.pages:
            return
        if journal.is_paused(run.running.engine, conversion):
            raise Paused(f"{conversion.table}: paused in the step {last.id!r}; go on with --resume")
        pace.rest(run.running.engine, left)


def _backward(run: ConversionRun, conversion: Conversion, index: int, done: bool) -> None:
    step, running = conversion.steps[index], replace(run.running)
    undo = replace(step, actions=step.undo, scans="", builds=None, guarded=False)
    if step.in_transaction:
        _apply(running, conversion, undo, index + 1, index)
        return
    if done:  # first: whoever resumes in between looks at what is there, and builds what is not
        _note(run, conversion, index + 1, index)
    if undo.actions:
        run_outside(running, conversion.table, undo)


def _apply(
    running: Running,
    conversion: Conversion,
    step: Step,
    before: int,
    done: int,
    before_exclusive: Recheck | None = None,
    unchanged: Recheck = lambda connection: None,
) -> None:
    """The actions of *step* and the note of them, in one transaction under its locks."""

    def work(connection: Connection) -> None:
        running.exclusion.verify(connection)
        _require(journal.is_at(connection, conversion, before), conversion)
        unchanged(connection)
        apply_actions(connection, step.actions, singly=True, guarded=step.guarded)
        _require(journal.move(connection, conversion, before, done), conversion)

    TableTransaction(running=running, table=conversion.table, step=step, before_exclusive=before_exclusive).run(work)


def _note(run: ConversionRun, conversion: Conversion, before: int, done: int) -> None:
    with _noting(run) as connection:
        _require(journal.move(connection, conversion, before, done), conversion)


@contextmanager
def _noting(run: ConversionRun) -> Iterator[Connection]:
    with run.running.engine.begin() as connection:
        pin(connection, run.running.policy.lock_timeout)
        limit_idling(connection, run.running.policy.step_lease)
        run.running.exclusion.verify(connection)
        yield connection


def _require(moved: bool, conversion: Conversion) -> None:
    if not moved:
        raise ExclusionLost(
            f"{conversion.table}: another process has worked on this conversion meanwhile; this step was rolled back. "
            f"How far it is: sa-partman {conversion.verb} {in_shell(str(conversion.table))} --state; go on with "
            f"--resume, or take it back with --abort."
        )


@contextmanager
def _explained(engine: Engine, conversion: Conversion, what: str) -> Iterator[None]:
    """Every way to stop ends in a message that says where the conversion stands and how to go on."""
    try:
        yield
    except KeyboardInterrupt as error:
        message = f"{conversion.table}: interrupted in {what}; {_how(conversion)}"
        _remember(engine, conversion, "interrupted")
        raise Interrupted(message) from error
    except DBAPIError as error:
        message = first_line(error)
        _remember(engine, conversion, message)
        lost = " (if its commit was under way, the stored state tells)" if error.connection_invalidated else ""
        raise ExecutionError(f"{conversion.table}: {what} failed: {message}{lost}; {_how(conversion)}") from error
    except ExclusionLost:
        raise  # what is stored is another's by now
    except (ExecutionError, Vetoed) as error:
        _remember(engine, conversion, str(error))
        raise


def _how(conversion: Conversion) -> str:
    promise = next((step for step in conversion.steps[: conversion.done] if step.id == "check"), None)
    refused = "" if promise is None or conversion.cut_over else f" Until then it holds: {promise.title}."
    back = "" if conversion.cut_over else ", or take everything back with --abort"
    return f"the steps before it stay. Go on with --resume{back}.{refused}"


def _remember(engine: Engine, conversion: Conversion, message: str) -> None:
    """The server may be gone: what stopped us is more important than that it can't be written down."""
    with suppress(SQLAlchemyError), engine.begin() as connection:
        pin(connection, 1.0)
        limit_idling(connection, 10.0)
        journal.fail(connection, conversion, message)
