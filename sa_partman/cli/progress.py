"""
How far a run is, and what it waits for: on stderr, where the log does not say it. On a terminal the first is one line
that rewrites itself.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

from sa_partman.cli.logs import is_on
from sa_partman.maintenance.results import StepResult

if TYPE_CHECKING:
    from sa_partman.events import WaitEvent

CLEAR = "\r\x1b[K"
"""Takes the line away that rewrites itself."""


def say_wait(event: WaitEvent) -> None:
    """A line, also where nobody sees it: whoever looks into the mail of cron wants to know what took so long."""
    if not is_on():
        sys.stderr.write(f"{CLEAR if sys.stderr.isatty() else ''}{event}\n")
        sys.stderr.flush()


class Progress:
    """The report of a maintainer; it takes its line away in the end."""

    def __init__(self) -> None:
        self._shown = False
        self._wanted = sys.stderr.isatty() and not is_on()

    def __call__(self, result: StepResult, done: int, total: int, /) -> None:
        if self._wanted:
            self._shown = True
            sys.stderr.write(f"{CLEAR}{done} of {total}: {result.step.partition}")
            sys.stderr.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            sys.stderr.write(CLEAR)
            sys.stderr.flush()
