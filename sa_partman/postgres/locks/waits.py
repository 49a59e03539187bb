"""
What a run waits for: told within two seconds, to the log and to a callback, wherever it waits.

A loop that looks before it queues knows who is in the way, and says so itself (`Wait.found`). A statement that waits in
the server can't: while it is under way, another connection asks for whom (`Waits.statement`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Protocol

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from sa_partman.errors import PartmanError
from sa_partman.events import Holder, WaitEvent
from sa_partman.passwords import without_passwords
from sa_partman.postgres.connect import apart
from sa_partman.postgres.locks.blockers import blocking
from sa_partman.postgres.locks.heartbeat import repeating
from sa_partman.postgres.sqlstate import first_line


class OnWait(Protocol):
    """Is told what a run waits for, perhaps in another thread; with an `AsyncMaintainer` it may be asynchronous."""

    def __call__(self, event: WaitEvent, /) -> object: ...


FIRST = 1.0
"""Seconds after which a wait is told: a loop that looks again every now and then is done with that before two."""

_PAUSES = (2.0, 2.0, 4.0, 8.0, 16.0)
_LONGEST = 30.0
"""Seconds from one message of a wait to the next: these, and then always so many."""

_LOOK = 0.4
"""Seconds between two looks at a statement."""
_LOOK_FROM = 0.5
"""Seconds that a statement may take before it is looked at."""

_PATIENCE = 1.0
"""Seconds that the end of a run waits for a look that is under way."""

LOGGER = logging.getLogger("sa_partman")


class Waits:
    """
    Of one run.

    Args:
        run: Its name.
        on_wait: Called at each message; what it raises is logged.
        log: Where each message goes.
    """

    def __init__(self, run: str = "", on_wait: OnWait | None = None, log: logging.Logger = LOGGER) -> None:
        self.run, self._on_wait, self._log = run, on_wait, log
        self._statement: _Statement | None = None

    @contextmanager
    def watched(self, engine: Engine) -> Iterator[None]:
        """
        During the block, statements that wait are looked at from another connection, which is opened when the first
        one takes long.
        """
        with ExitStack() as opened:
            connections: list[Connection] = []

            def look() -> None:
                statement = self._statement
                if statement is None or time.monotonic() < statement.since + _LOOK_FROM:
                    return
                try:
                    if not connections:
                        connections.append(opened.enter_context(apart(engine, autocommit=True)))
                    found = blocking(connections[0], statement.pid, statement.wait.table)
                except Exception as error:
                    said = without_passwords(first_line(error))
                    self._log.info("what a statement waits for can't be looked at: %s", said, extra={"run": self.run})
                    raise
                if statement is self._statement:
                    statement.seen(found)

            with repeating(look, _LOOK, in_loop=engine.dialect.is_async, name="waits", patience=_PATIENCE):
                yield

    @contextmanager
    def statement(self, pid: int | None, wait: Wait) -> Iterator[None]:
        """
        During the block, whatever the backend *pid* waits for is told as *wait*.

        Args:
            pid: None: unknown, so it is not looked at.
        """
        self._statement = None if pid is None else _Statement(pid, wait, time.monotonic())
        try:
            yield
        finally:
            self._statement = None

    def tell(self, event: WaitEvent) -> None:
        """To the log, and to whoever asked for it."""
        self._log.log(
            logging.INFO if event.over else logging.WARNING,
            "%s",
            event,
            extra={
                "run": event.run,
                "table": event.table,
                "outcome": "waited" if event.over else "waiting",
                "seconds": round(event.seconds, 1),
                "blockers": tuple(map(str, event.holders)),
                "waits_for": tuple(each.to_dict() for each in event.holders),
            },
        )
        if self._on_wait is None:
            return
        try:
            self._on_wait(event)
        except Exception:
            self._log.exception("on_wait= failed", extra={"run": event.run})


@dataclass(frozen=True, slots=True)
class _Statement:
    pid: int
    wait: Wait
    since: float

    def seen(self, found: tuple[Holder, ...]) -> None:
        if found:
            self.wait.found(found, since=self.since)
        else:
            self.wait.over()


@dataclass(slots=True)
class Wait:
    """
    One thing that is waited for, perhaps in vain, perhaps several times.

    Args:
        table: See `WaitEvent`.
        what: See `WaitEvent`.
        seek: Asked who is in the way, when that has to be told and nobody has said so.
        clock: Seconds that only go forward.
    """

    waits: Waits
    table: str
    what: str
    seek: Callable[[], tuple[Holder, ...]] = tuple
    clock: Callable[[], float] = time.monotonic
    _began: float | None = field(default=None, init=False)
    _due: float = field(default=FIRST, init=False)
    _pauses: Iterator[float] = field(default_factory=lambda: chain(_PAUSES, repeat(_LONGEST)), init=False)
    _holders: tuple[Holder, ...] = field(default=(), init=False)
    _told: bool = field(default=False, init=False)

    def found(self, holders: tuple[Holder, ...] = (), *, since: float | None = None) -> None:
        """
        It has to be waited for, still; told when that is due.

        Args:
            holders: Who is in the way; empty: those of the last look.
            since: When the wait began, if that was before the first call.
        """
        now = self.clock()
        if self._began is None:
            self._began = now if since is None else since
        self._holders = holders or self._holders
        seconds = now - self._began
        if seconds < self._due:
            return
        if not self._holders:
            with suppress(SQLAlchemyError, PartmanError):  # it is said then that we wait, and not for whom
                self._holders = self.seek()
        self._told, self._due = True, seconds + next(self._pauses)
        self.waits.tell(WaitEvent(self.waits.run, self.table, self.what, self._holders, seconds))

    @property
    def holders(self) -> tuple[Holder, ...]:
        """Who is in the way, as far as that is known; asked if nobody has said so."""
        return self._holders or self.seek()

    def over(self) -> None:
        """It need not be waited for any more; told if the wait was."""
        began, told, holders = self._began, self._told, self._holders
        self._began, self._due, self._holders, self._told = None, FIRST, (), False
        self._pauses = chain(_PAUSES, repeat(_LONGEST))
        if began is not None and told:
            seconds = self.clock() - began
            self.waits.tell(WaitEvent(self.waits.run, self.table, self.what, holders, seconds, over=True))
