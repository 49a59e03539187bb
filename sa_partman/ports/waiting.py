"""Waiting: the one thing that a thread and an event loop do differently; everything else is written once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol


class Waiting(Protocol):
    """How a run sleeps, and how it calls what its users wrote."""

    def sleep(self, seconds: float) -> None:
        """Gives others the time: a thread sleeps, an event loop goes on."""

    def call(self, function: Callable[..., Any], argument: Any, seconds: float) -> Any:
        """
        *function* of *argument*; awaited when it is asynchronous.

        Raises:
            TimeoutError: It took longer than *seconds*.
        """


class Sleeping:
    """In the caller's thread."""

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def call(self, function: Callable[..., Any], argument: Any, seconds: float) -> Any:
        return function(argument)
