"""``sa-partman convert``."""

from __future__ import annotations

from datetime import timedelta

import click

from sa_partman.bounds.interval import Duration
from sa_partman.cli.change import refuse_idle
from sa_partman.cli.conversion import Decisions, Mode, perform
from sa_partman.cli.request import Request, idle_locks, lock_options, refuse_both, shared
from sa_partman.cli.rewriting import require_width
from sa_partman.errors import ConfigurationError


@click.command("convert")
@click.argument("table")
@shared
@lock_options("lock_timeout", "budget", "stall", "lease")
@click.option("--plan", is_flag=True, help="Print every step with its locks and an estimate; change nothing.")
@click.option("--sql", "as_sql", is_flag=True, help="Print the SQL of every step; change nothing.")
@click.option("--resume", is_flag=True, help="Go on where an interrupted conversion stopped.")
@click.option("--abort", is_flag=True, help="Take back an unfinished conversion.")
@click.option("--undo", is_flag=True, help="Make a converted table plain again.")
@click.option("--state", is_flag=True, help="Say how far the conversion is.")
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
@click.option(
    "--split-history", metavar="INTERVAL", help='Split what is there then online, such as by "1 month"; kept for undo.'
)
@click.option("--max-rows", default=100_000, show_default=True, help="With --undo: rows moved inside the swap.")
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
def command(
    request: Request,
    table: str,
    lead: str,
    boundary: str | None,
    inbound: str,
    unique: tuple[str, ...],
    split_history: str | None,
    max_rows: int,
    yes: bool,
    as_sql: bool,
    **modes: bool,
) -> int:
    """
    Convert TABLE, which exists, into the partitioned table that the model declares. No row is copied.

    With --split-history its rows, which are one partition then, are split in a second step, while the application reads
    and writes them; the same command again goes on behind what is done.
    """
    if request.schemas:
        raise ConfigurationError("convert takes one table: name its schema in the model, or search_path in the URL")
    if request.tables:
        raise ConfigurationError("convert takes its table without --table: sa-partman convert TABLE")
    mode = _mode([name for name, asked in modes.items() if asked], as_sql=as_sql)
    refuse_both(as_json=request.as_json, as_sql=as_sql)
    refuse_idle(_idle(mode, bounded=boundary is not None, script=as_sql))
    require_width(split_history, "--split-history")
    decisions = Decisions(_lead(lead), boundary, inbound, dict(_pair(each) for each in unique), max_rows, split_history)
    return perform(request, table, mode, decisions, yes=yes, as_sql=as_sql)


def _mode(asked: list[str], *, as_sql: bool) -> Mode:
    """
    Raises:
        UsageError: Two things are asked for at once.
    """
    if len(asked) > 1 or (as_sql and asked not in ([], [Mode.PLAN.value])):
        both = " and ".join(f"--{name}" for name in (*asked, *(("sql",) if as_sql else ()))[:2])
        raise click.UsageError(f"{both} don't go together; give one of them")
    return Mode(asked[0]) if asked else Mode.PLAN if as_sql else Mode.CONVERT


_ACTING = (Mode.CONVERT, Mode.RESUME, Mode.ABORT, Mode.UNDO)
_FOR = {
    "audit": _ACTING,
    "yes": _ACTING,
    "at": (Mode.CONVERT, Mode.PLAN),
    "lead": (Mode.CONVERT, Mode.PLAN),
    "boundary": (Mode.CONVERT, Mode.PLAN),
    "inbound": (Mode.CONVERT, Mode.PLAN),
    "unique": (Mode.CONVERT, Mode.PLAN),
    "split_history": (Mode.CONVERT, Mode.PLAN),
    "max_rows": (Mode.UNDO,),
}
"""What each option is for, if not for all."""


def _idle(mode: Mode, *, bounded: bool, script: bool) -> dict[str, str]:
    """
    What does nothing, and where.

    Args:
        bounded: --boundary was given.
        script: --sql was.
    """
    where = {Mode.CONVERT: "when it converts"}.get(mode, f"with --{mode.value}")
    idle = {name: where for name, modes in _FOR.items() if mode not in modes}
    if bounded:
        idle.setdefault("lead", "with --boundary, which says where the history ends")
    return idle if mode in _ACTING else {**idle, **idle_locks(where, script=script)}


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
