"""What a maintainer or converter says of its waits, until somebody lets it go on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, event, text

from sa_partman import WaitEvent


@dataclass
class Bell:
    """For ``on_wait=``: keeps what it is told, and lets go of *release* at the first message."""

    release: Callable[[], object] = lambda: None
    events: list[WaitEvent] = field(default_factory=list)

    def __call__(self, event: WaitEvent) -> None:
        self.events.append(event)
        if not event.over:
            self.release()

    @property
    def first(self) -> WaitEvent:
        return self.events[0]

    @property
    def over(self) -> list[bool]:
        """The last one tells of the end."""
        return [each.over for each in self.events]


@contextmanager
def busy(engine: Engine, *statements: str, **options: str) -> Iterator[tuple[int, Bell]]:
    """
    Another session that has run *statements* and stays in its transaction until the bell has rung; its pid, and the
    bell.

    Args:
        options: See `Another`.
    """
    another = Another(engine, *statements, **options)
    try:
        yield another.start(), another.bell
    finally:
        another.end()


@contextmanager
def busy_from(engine: Engine, watched: Engine, words: str, *statements: str, **options: str) -> Iterator[Another]:
    """The same, which begins right before *watched* sends a statement that contains *words*."""
    another = Another(engine, *statements, **options)

    def before(connection: Any, cursor: Any, text: str, *rest: Any) -> None:
        if words in text and another.pid is None:
            another.start()

    event.listen(watched, "before_cursor_execute", before)
    try:
        yield another
    finally:
        event.remove(watched, "before_cursor_execute", before)
        another.end()


class Another:
    """
    A session that runs *statements*, and stays in its transaction until its bell has rung.

    Args:
        name: Its ``application_name``.
        isolation: Of its transaction.
    """

    def __init__(self, engine: Engine, *statements: str, name: str = "nightly report", isolation: str = "") -> None:
        self._engine, self._statements, self._name, self._isolation = engine, statements, name, isolation
        self._rung, self._ready = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self.bell, self.pid = Bell(self._rung.set), None

    pid: int | None

    def start(self) -> int:
        self._thread.start()
        assert self._ready.wait(10)
        assert self.pid is not None
        return self.pid

    def end(self) -> None:
        self._rung.set()
        if self._thread.ident is not None:
            self._thread.join(10)

    def _work(self) -> None:
        with self._engine.connect() as connection, connection.begin():
            if self._isolation:
                connection.execute(text(f"SET TRANSACTION ISOLATION LEVEL {self._isolation}"))
            connection.execute(text(f"SET LOCAL application_name = '{self._name}'"))
            for statement in self._statements:
                connection.execute(text(statement))
            self.pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
            self._ready.set()
            self._rung.wait(60)
