"""SIGTERM ends a command as Ctrl-C does: in order, the statement under way cancelled on the server first."""

from __future__ import annotations

import logging
import signal
from types import FrameType

TERMINATED = 143
"""128 and the number of the signal, as shells have it."""


class Terminated(KeyboardInterrupt):
    """SIGTERM came. A driver that sees a KeyboardInterrupt cancels its statement before it lets it through."""


class Interrupted(KeyboardInterrupt):
    """
    SIGINT came. When a KeyboardInterrupt itself passes through exec() of a string, as it does while a module with
    dataclasses is imported, ``python -m`` ends by the signal and not with our exit code, whoever caught it.
    """


def heed() -> None:
    """From now on SIGTERM raises `Terminated` in the main thread, wherever that is; SIGINT, unless ignored, another."""

    def terminate(number: int, frame: FrameType | None) -> None:
        hush()
        raise Terminated

    def interrupt(number: int, frame: FrameType | None) -> None:
        hush()
        raise Interrupted

    signal.signal(signal.SIGTERM, terminate)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)


def hush() -> None:
    """A signal that comes while SQLAlchemy closes a connection is no error for its log, with a traceback."""
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("sqlalchemy.pool"):
            logging.getLogger(name).addFilter(_is_no_signal)


def _is_no_signal(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], Interrupted | Terminated))
