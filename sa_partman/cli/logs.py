"""The log of a command: on stderr when it is asked for, and nowhere else."""

from __future__ import annotations

import logging
import sys

from sa_partman.observe.log import LOGGER, JsonFormatter
from sa_partman.passwords import without_passwords

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
