"""``sa-partman convert``."""

from __future__ import annotations

from datetime import timedelta

import click

from sa_partman.bounds.interval import Duration
from sa_partman.cli.conversion import Decisions, Mode, perform
from sa_partman.cli.request import Request, shared
from sa_partman.errors import ConfigurationError


@click.command("convert")
@click.argument("table")
@shared
@click.option(
    "--plan", "mode", flag_value=Mode.PLAN.value, help="Print every step with its SQL and locks; change nothing."
)
@click.option("--resume", "mode", flag_value=Mode.RESUME.value, help="Go on where an interrupted conversion stopped.")
@click.option("--abort", "mode", flag_value=Mode.ABORT.value, help="Take back an unfinished conversion.")
@click.option("--undo", "mode", flag_value=Mode.UNDO.value, help="Make a converted table plain again.")
@click.option("--state", "mode", flag_value=Mode.STATE.value, help="Say how far the conversion is.")
@click.option("--lead", default="1 hour", show_default=True, metavar="TIME", help="How long the conversion may take.")
@click.option("--boundary", metavar="TIME|NUMBER", help="Where the history partition ends.")
@click.option(
    "--inbound",
    type=click.Choice(["refuse", "drop", "composite"]),
    default="refuse",
    show_default=True,
    help="Foreign keys of other tables that refer to this one.",
)
@click.option("--unique", multiple=True, metavar="NAME=local|drop", help="A unique index without the key; repeatable.")
@click.option("--max-rows", default=100_000, show_default=True, help="With --undo: rows moved inside the swap.")
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
def command(
    request: Request,
    table: str,
    mode: str | None,
    lead: str,
    boundary: str | None,
    inbound: str,
    unique: tuple[str, ...],
    max_rows: int,
    yes: bool,
) -> int:
    """
    Convert TABLE, which exists, into the partitioned table that the model declares. No row is copied.
    """
    if request.schemas:
        raise ConfigurationError("convert takes one table: name its schema in the model, or search_path in the URL")
    if request.tables:
        raise ConfigurationError("convert takes its table without --table: sa-partman convert TABLE")
    decisions = Decisions(_lead(lead), boundary, inbound, dict(_pair(each) for each in unique), max_rows)
    return perform(request, table, Mode(mode or Mode.CONVERT.value), decisions, yes=yes)


def _lead(text: str) -> timedelta:
    try:
        duration = Duration.parse(text)
    except ValueError as error:
        raise ConfigurationError(f"--lead: {error}") from error
    if duration.months:
        raise ConfigurationError(f"--lead {text}: write weeks, days, hours or minutes")
    return timedelta(days=duration.days, seconds=duration.seconds)


def _pair(text: str) -> tuple[str, str]:
    name, _, policy = text.rpartition("=")
    if not name or policy not in ("local", "drop"):
        raise ConfigurationError(f"--unique {text}: write NAME=local or NAME=drop")
    return name, policy
