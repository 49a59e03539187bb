"""The clock that a service goes by when it is not the server's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

Clock = Callable[[], datetime]


def clock(now: datetime | Clock | None) -> Clock | None:
    """
    Raises:
        ValueError: *now* has no time zone.
        TypeError: It is neither an instant nor a callable.
    """
    if isinstance(now, datetime):
        if now.tzinfo is None:
            raise ValueError(f"now={now!r} has no time zone; write datetime(..., tzinfo=UTC)")
        return lambda: now
    if now is not None and not callable(now):
        raise TypeError(f"now={now!r} is not a datetime, nor a callable that returns one")
    return now
