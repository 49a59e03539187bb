"""SIGTERM ends a command as Ctrl-C does: in order, the statement under way cancelled on the server first."""

from __future__ import annotations

import signal
from types import FrameType

TERMINATED = 143
"""128 and the number of the signal, as shells have it."""


class Terminated(KeyboardInterrupt):
    """SIGTERM came. A driver that sees a KeyboardInterrupt cancels its statement before it lets it through."""


def heed() -> None:
    """From now on SIGTERM raises `Terminated` in the main thread, wherever that is."""

    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
