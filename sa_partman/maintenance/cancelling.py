"""Cancelling the statement that another thread has under way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Engine, event


class RunningStatement:
    """The statement that our thread has under way, so that another thread can cancel it."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._thread = engine, 0
        self._driver: Any = None

    @contextmanager
    def watched(self) -> Iterator[None]:
        """During the block, in the thread that enters it."""
        self._thread = threading.get_ident()
        event.listen(self._engine, "before_cursor_execute", self._begun)
        event.listen(self._engine, "after_cursor_execute", self._done)
        try:
            yield
        finally:
            event.remove(self._engine, "before_cursor_execute", self._begun)
            event.remove(self._engine, "after_cursor_execute", self._done)

    def cancel(self) -> None:
        """Asks the server to cancel it, if there is one."""
        driver = self._driver
        cancel = getattr(driver, "cancel_safe", None) or getattr(driver, "cancel", None)
        if cancel is not None:
            with suppress(Exception):  # it ended meanwhile, or the server is gone
                cancel()

    def _begun(self, connection: Any, *rest: Any) -> None:
        if threading.get_ident() == self._thread:
            self._driver = connection.connection.driver_connection

    def _done(self, *rest: Any) -> None:
        if threading.get_ident() == self._thread:
            self._driver = None
