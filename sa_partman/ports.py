"""
What the outside may bring: hooks, and a way to wait, the one thing that a thread and an event loop do differently.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Protocol

from sa_partman.events import StepEvent, When

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
    """
    In the caller's thread.

    What users wrote is called in a thread of its own, because nothing else can be left behind when it takes too long.
    """

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def call(self, function: Callable[..., Any], argument: Any, seconds: float) -> Any:
        """
        Raises:
            TimeoutError: It took longer than *seconds*; its thread is left to itself.
        """

        def whole() -> Any:
            result = function(argument)
            return asyncio.run(_awaited(result, seconds)) if inspect.isawaitable(result) else result

        future = in_thread(whole)
        try:
            # A little more for an asynchronous function: it is cancelled in time, and then it ends by itself.
            return future.result(seconds + 0.5 if is_async(function) else seconds)
        except TimeoutError:
            if future.done():
                raise
            raise too_slow(seconds) from None


def in_thread(function: Callable[[], Any]) -> Future[Any]:
    """*function* in a daemon thread, with the caller's context variables: nobody has to wait for it, not even exit."""
    future: Future[Any] = Future()
    context = copy_context()

    def work() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(context.run(function))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=work, name="sa_partman hook", daemon=True).start()
    return future


def is_async(function: Callable[..., Any]) -> bool:
    """Whether a call of it gives something to await."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def too_slow(seconds: float) -> TimeoutError:
    return TimeoutError(f"it took longer than {seconds:g} s")


async def _awaited(result: Awaitable[Any], seconds: float) -> Any:
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await result
    except TimeoutError:
        if limit.expired():
            raise too_slow(seconds) from None
        raise
    except asyncio.CancelledError:
        raise RuntimeError("it was cancelled") from None
