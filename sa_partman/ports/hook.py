"""A hook: what a user wants to be asked before a step, or told after it."""

from __future__ import annotations

from typing import Any, Protocol

from sa_partman.events.step import StepEvent


class Hook(Protocol):
    """
    Any callable of one event, synchronous or asynchronous.

    Before a step it may raise `Veto`, or return False; any other exception keeps the partition too, and is reported as
    an error. What it raises after a step is reported and changes nothing.
    """

    def __call__(self, event: StepEvent, /) -> Any: ...
