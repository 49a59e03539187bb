"""How far a run is: one line on stderr that rewrites itself, on a terminal only."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from sa_partman.cli.logs import is_on
from sa_partman.maintenance.results import StepResult

_CLEAR = "\r\x1b[K"


class Progress:
    """The report of a maintainer; it takes its line away in the end."""

    def __init__(self) -> None:
        self._shown = False
        self._wanted = sys.stderr.isatty() and not is_on()

    def __call__(self, result: StepResult, done: int, total: int, /) -> None:
        if self._wanted:
            self._shown = True
            sys.stderr.write(f"{_CLEAR}{done} of {total}: {result.step.partition}")
            sys.stderr.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()
