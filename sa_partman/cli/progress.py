"""On stderr while a command works: its log, how far a run is, and what it waits for."""

from __future__ import annotations

import logging
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

from sa_partman.maintenance.results import StepResult
from sa_partman.observe.health import LOGGER, JsonFormatter
from sa_partman.passwords import without_passwords

if TYPE_CHECKING:
    from sa_partman.events import WaitEvent


FORMATS = ("text", "json")
LEVELS = ("debug", "info", "warning", "error")


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return without_passwords(super().format(record))


_TEXT = _TextFormatter("%(asctime)s %(levelname)-7s %(message)s")


def listen(form: str | None, level: str | None) -> None:
    """
    One line a record, once; to be called when the user's ``env.py``, which may configure logging, has been run.

    Args:
        form: "text" or "json"; None: text, if there is a level.
        level: The least that is shown; None: "info", if there is a format. Without both nothing is shown.
    """
    LOGGER.propagate = False
    for name in [each for each in logging.root.manager.loggerDict if each.split(".")[0] == LOGGER.name]:
        logging.getLogger(name).disabled = False  # env.py's fileConfig() silences whatever it does not name
    if is_on() or (form is None and level is None):
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else _TEXT)
    LOGGER.addHandler(handler)
    LOGGER.setLevel((level or "info").upper())


def is_on() -> bool:
    """Whether log lines go to stderr, where nothing else should rewrite its line then."""
    return any(isinstance(each, logging.StreamHandler) for each in LOGGER.handlers)


CLEAR = "\r\x1b[K"
"""Takes the line away that rewrites itself."""


def say_wait(event: WaitEvent) -> None:
    """A line, also where nobody sees it: whoever looks into the mail of cron wants to know what took so long."""
    if not is_on():
        sys.stderr.write(f"{CLEAR if sys.stderr.isatty() else ''}{event}\n")
        sys.stderr.flush()


class RunProgress:
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
