"""The one place where an error becomes a message and an exit code."""

from __future__ import annotations

import json
import traceback

import click
from sqlalchemy.exc import SQLAlchemyError

from sa_partman.cli.meta import wants_json, wants_traceback
from sa_partman.errors import ConfigurationError, DeclarationError, MaintainerBusy, PartmanError
from sa_partman.passwords import without_passwords
from sa_partman.postgres.sqlstate import first_line

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
