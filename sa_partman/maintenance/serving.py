"""Serving: a maintainer that runs again and again, in a thread or in the foreground; its twin for loops beside it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from sa_partman.maintenance.cancelling import Statement
from sa_partman.maintenance.looking import Tables
from sa_partman.maintenance.maintainer import Maintainer
from sa_partman.maintenance.schedule import Schedule
from sa_partman.maintenance.turns import Act, Loop, Told
from sa_partman.observe.health import Health
from sa_partman.observe.http import Listener, Listening, listening

log = logging.getLogger("sa_partman.serving")

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
        self._stop, self._statement = _Event(), Statement(maintainer.engine)
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
