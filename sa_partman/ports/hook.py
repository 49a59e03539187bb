"""A hook: what a user wants to be asked before a step, or told after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from sa_partman.events.step import StepEvent, When

PURPOSES = ("heal", "repair", "adopt", "regrid", "provision", "detach", "archive", "drop", "convert", "undo", "abort")
"""What a step can be for."""


class Hook(Protocol):
    """
    Any callable of one event, synchronous or asynchronous.

    Before a step it may raise `Veto`, or return False; any other exception keeps the partition too, and is reported as
    an error. What it raises after a step is reported and changes nothing. A hook that is synchronous runs in a thread
    of its own, so that it can be given up when it takes too long, and so that it never holds up an event loop.
    """

    def __call__(self, event: StepEvent, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class Only:
    """
    A hook for some events; for the others it does nothing.

    Args:
        purposes: None: all.
        function: The hook itself.
    """

    when: When
    purposes: tuple[str, ...]
    function: Hook

    def wants(self, event: StepEvent) -> bool:
        return event.when is self.when and (not self.purposes or event.purpose in self.purposes)

    def __call__(self, event: StepEvent, /) -> Any:
        return self.function(event) if self.wants(event) else None


def before(*purposes: str) -> Callable[[Hook], Only]:
    """
    A decorator: the hook is asked before steps of *purposes*, and nothing else.

    Args:
        purposes: Of "heal", "repair", "provision", "detach", "archive" and "drop", or of "convert", "undo" and "abort"
            of a converter; none: all.

    Raises:
        ValueError: There is no such purpose.
    """
    return _only(When.BEFORE, purposes)


def after(*purposes: str) -> Callable[[Hook], Only]:
    """The same, told after such steps."""
    return _only(When.AFTER, purposes)


def _only(when: When, purposes: tuple[str, ...]) -> Callable[[Hook], Only]:
    unknown = [purpose for purpose in purposes if purpose not in PURPOSES]
    if unknown:
        hint = f"; without a purpose write @{when.value}()" if any(map(callable, unknown)) else ""
        listed = ", ".join(map(repr, unknown))
        raise ValueError(f"no step is for {listed}; the purposes are {', '.join(PURPOSES)}{hint}")
    return lambda function: Only(when, purposes, function)
