"""Serving: a maintainer that runs again and again, in a thread or in the foreground; its twin for loops beside it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Protocol, Self

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from sa_partman.checks.status import TableStatus
from sa_partman.errors import MaintainerBusy, PartmanError
from sa_partman.finding import Severity
from sa_partman.maintenance.cancelling import RunningStatement
from sa_partman.maintenance.maintainer import Maintainer
from sa_partman.maintenance.planning import Tables, declared
from sa_partman.maintenance.results import RunResult, StepResult
from sa_partman.maintenance.schedule import Schedule
from sa_partman.observe.health import Ended, Health
from sa_partman.observe.http import Listener, Listening, listening
from sa_partman.ports import Waiting
from sa_partman.postgres.sqlstate import first_line

log = logging.getLogger("sa_partman.serving")

Act = Callable[[Maintainer], RunResult]
"""What one run is."""

Told = Callable[[RunResult | Exception], None]
"""Is told of every run: what it did, or why it could not."""


class Stop(Protocol):
    """A wish to end, and how to wait for it."""

    @property
    def wanted(self) -> bool:
        """Whether somebody wants the end."""
        raise NotImplementedError

    def wait(self, seconds: float) -> bool:
        """Sleeps until then, or until the end is wanted; whether it is."""
        raise NotImplementedError


class Stopped(BaseException):
    """The end is wanted, and the run is between two steps or between two tries of one; nobody should catch it."""


class Interruptible:
    """A `Waiting` whose pauses end when the end is wanted."""

    def __init__(self, waiting: Waiting, stop: Stop) -> None:
        self._waiting, self._stop = waiting, stop

    def sleep(self, seconds: float) -> None:
        """
        Raises:
            Stopped: Meanwhile.
        """
        if self._stop.wait(seconds):
            raise Stopped("the service was stopped")

    def call(self, function: Callable[..., Any], argument: Any, seconds: float) -> Any:
        return self._waiting.call(function, argument, seconds)


class Loop:
    """
    The turns of one service, and its health; what a thread and a task have in common.

    Args:
        look: After every run, look at the tables too: for the metrics.
        act: Instead of a run of *tables*.
    """

    def __init__(
        self,
        maintainer: Maintainer,
        schedule: Schedule,
        stop: Stop,
        tables: Tables,
        *,
        look: bool,
        told: Told | None = None,
        act: Act | None = None,
    ) -> None:
        self._tables = None if tables is None else tuple(tables)
        declared(maintainer.settings, self._tables)  # what nobody declared is an error now, and not at every turn
        self.schedule, self.health = schedule, Health(_now(), schedule.interval, due=_now())
        self._maintainer, self._stop, self._look, self._told = maintainer, stop, look, told
        self._act = act or (lambda each: each.run(self._tables))

    def run(self) -> None:
        """Until the end is wanted: at once, and then at every turn. No error ends it."""
        first, turn = time.monotonic(), 0
        maintainer = self._interruptible()
        try:
            while not self._stop.wanted:
                self._turn(maintainer)
                coming, pause = self.schedule.next(turn, time.monotonic() - first)
                self.health = self.health.with_due(_now() + timedelta(seconds=pause), coming - turn - 1)
                turn = coming
                if self._stop.wait(pause):
                    break
        except Stopped:
            pass
        finally:
            # Also when the task was cancelled.
            self.health = self.health.with_due(None)

    def _turn(self, maintainer: Maintainer) -> None:
        self.health = self.health.with_begin(_now())
        outcome: RunResult | Exception
        try:
            outcome = self._tried(maintainer)
        except MaintainerBusy as error:
            log.info("%s", error)
            outcome = error
        except (PartmanError, SQLAlchemyError, OSError) as error:
            log.error("the run failed: %s", first_line(error))
            outcome = error
        except Exception as error:  # in a user's select() or callable, or a fault of ours: the next turn comes anyway
            log.exception("the run failed")
            outcome = error
        self.health = self.health.with_end(self._ended(outcome))
        if self._told is not None:
            self._told(outcome)

    def _tried(self, maintainer: Maintainer) -> RunResult:
        try:
            return self._act(maintainer)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            # The server was restarted since the last run: the pool knows that now, and gives a new connection.
            log.info("the connection was gone, so the run begins again: %s", first_line(error))
            return self._act(maintainer)

    def _ended(self, outcome: RunResult | Exception) -> Ended:
        tables: tuple[TableStatus, ...] = ()
        if self._look:
            with suppress(PartmanError, SQLAlchemyError, OSError):
                tables = self._maintainer.status(self._tables)
        if isinstance(outcome, MaintainerBusy):
            return Ended(_now(), busy=True, tables=tables)
        if isinstance(outcome, Exception):
            return Ended(_now(), error=first_line(outcome), tables=tables)
        steps = tuple((str(each.step.table), each.step.purpose.value, each.outcome.value) for each in outcome.steps)
        return Ended(_now(), error=_trouble(outcome), steps=steps, findings=outcome.findings, tables=tables)

    def _interruptible(self) -> Maintainer:
        settings, given = self._maintainer.settings, self._maintainer.settings.report

        def report(result: StepResult, done: int, total: int, /) -> None:
            if given is not None:
                given(result, done, total)
            if self._stop.wanted:
                raise Stopped("the service was stopped")

        return self._maintainer.with_settings(
            replace(settings, report=report, waiting=Interruptible(settings.waiting, self._stop))
        )


def _trouble(result: RunResult) -> str:
    """Why *result* is not good, in one line; empty when it is."""
    if result.ok:
        return ""
    steps = [f"{each.step.partition}: {each.error or each.outcome}" for each in result.steps if each.failed]
    found = [f"{each.table}: {each.message}" for each in result.findings if each.severity is Severity.ERROR]
    more = len(steps) + len(found) - 1
    return " ".join((steps + found)[0].split()) + (f" (and {more} more)" if more else "")


def _now() -> datetime:
    return datetime.now(UTC)


GRACE = 10.0
"""Seconds in which a run that is under way may finish its step, before its statement is cancelled."""


class Service:
    """
    A maintainer that runs again and again: ``with maintainer.serve(every="1 hour"): ...``, or `start` and `stop`, or
    `run` in the foreground. It serves once.

    Args:
        listen: Where to answer ``/healthz`` and ``/metrics``; None: nowhere.
        told: Told of every run.
        act: What one run is; None: `Maintainer.run` of *tables*.
        started: Called by `run` before the first run, when it listens.
    """

    def __init__(
        self,
        maintainer: Maintainer,
        schedule: Schedule,
        *,
        listen: Listening | None = None,
        tables: Tables = None,
        told: Told | None = None,
        act: Act | None = None,
        started: Callable[[], object] = lambda: None,
    ) -> None:
        self._started = started
        self._stop, self._statement = _Event(), RunningStatement(maintainer.engine)
        self._loop = Loop(maintainer, schedule, self._stop, tables, look=listen is not None, told=told, act=act)
        self._thread: threading.Thread | None = None
        self._listener = None if listen is None else Listener(listening(listen), lambda: self.health)

    @property
    def health(self) -> Health:
        """What is known of the runs now."""
        return self._loop.health

    @property
    def address(self) -> str | None:
        """Where it listens, as ``host:port``; None: nowhere, or not yet."""
        return None if self._listener is None else self._listener.address

    def run(self) -> None:
        """
        In this thread, until somebody calls `stop`, or an exception such as KeyboardInterrupt ends it: then the
        statement under way is cancelled by the driver.

        Raises:
            ConfigurationError: It can't listen there.
        """
        self._listen()
        try:
            self._started()
            self._work()
        finally:
            self._unlisten()

    def start(self) -> None:
        """
        In a thread of its own, which does not keep the process alive.

        Raises:
            RuntimeError: It was started before.
            ConfigurationError: It can't listen there.
        """
        if self._thread is not None:
            raise RuntimeError("this service was started before; make another one with serve()")
        self._listen()
        self._thread = threading.Thread(target=self._work, name="sa_partman", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = GRACE) -> None:
        """
        Ends it. A run that is under way finishes its step; nothing is left half done.

        Args:
            timeout: Seconds for that; then its statement is cancelled on the server, and rolled back.
        """
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout)
            while self._thread.is_alive():
                self._statement.cancel()
                self._thread.join(0.5)
        self._unlisten()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _work(self) -> None:
        with self._statement.watched():
            self._loop.run()

    def _listen(self) -> None:
        if self._listener is not None:
            self._listener.start()
            log.info("listening on %s", self._listener.address)

    def _unlisten(self) -> None:
        if self._listener is not None:
            self._listener.stop()


class _Event:
    """The wish to end, among threads."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def wait(self, seconds: float) -> bool:
        return self._event.wait(seconds)

    @property
    def wanted(self) -> bool:
        return self._event.is_set()
