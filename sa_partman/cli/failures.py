"""How a command ends: the one place where an error, or a signal, becomes a message and an exit code."""

from __future__ import annotations

import json
import logging
import signal
import traceback
from types import FrameType

import click
from sqlalchemy.exc import SQLAlchemyError

from sa_partman.errors import ConfigurationError, DeclarationError, MaintainerBusy, PartmanError
from sa_partman.passwords import without_passwords
from sa_partman.postgres.sqlstate import first_line

_JSON = "sa_partman.json"
_VERBOSE = "sa_partman.verbose"


def wants_json(ctx: click.Context) -> bool:
    return bool(ctx.meta.get(_JSON))


def wants_traceback(ctx: click.Context) -> bool:
    return bool(ctx.meta.get(_VERBOSE))


def note_json(ctx: click.Context, _: click.Parameter, value: bool) -> bool:
    ctx.meta[_JSON] = value
    return value


def note_verbose(ctx: click.Context, _: click.Parameter, value: bool) -> bool:
    ctx.meta[_VERBOSE] = value
    return value


PENDING = FAULT = 1
USAGE = 2
FAILED = 3
BUSY = 4
INTERRUPTED = 130

REPORTED = (PartmanError, SQLAlchemyError)
"""Errors that a user can act on; any other one is ours, and shows its traceback."""


def exit_code(error: PartmanError | SQLAlchemyError) -> int:
    """USAGE: nothing was contacted. BUSY: try later. FAILED: everything that the database refused."""
    match error:
        case ConfigurationError() | DeclarationError():
            return USAGE
        case MaintainerBusy():
            return BUSY
    return FAILED


def report(ctx: click.Context, error: PartmanError | SQLAlchemyError) -> int:
    """Print *error* as one line on stderr, and as a document on stdout when JSON was asked for; its exit code."""
    code, message = exit_code(error), _line(error)
    if wants_traceback(ctx):
        click.echo(traced(error), err=True)
    click.echo(f"{click.style('Error:', fg='red', bold=True)} {message}", err=True, color=ctx.color)
    if wants_json(ctx):
        click.echo(json.dumps({"error": message, "kind": type(error).__name__, "exit_code": code}, indent=2))
    return code


def traced(error: BaseException) -> str:
    """The traceback of *error*."""
    return without_passwords("".join(traceback.format_exception(error)))


def _line(error: PartmanError | SQLAlchemyError) -> str:
    text = str(error) if isinstance(error, PartmanError) else first_line(error)
    return " ".join(text.split())


TERMINATED = 143
"""128 and the number of the signal, as shells have it."""


class Terminated(KeyboardInterrupt):
    """SIGTERM came. A driver that sees a KeyboardInterrupt cancels its statement before it lets it through."""


class Interruption(KeyboardInterrupt):
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
        raise Interruption

    signal.signal(signal.SIGTERM, terminate)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)


def hush() -> None:
    """A signal that comes while SQLAlchemy closes a connection is no error for its log, with a traceback."""
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("sqlalchemy.pool"):
            logging.getLogger(name).addFilter(_is_no_signal)


def _is_no_signal(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], Interruption | Terminated))
