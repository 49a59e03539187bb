"""``sa-partman convert``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click

from sa_partman.bounds.interval import Duration
from sa_partman.cli import rewriting
from sa_partman.cli.change import refuse_idle
from sa_partman.cli.conversion import Decisions, Mode, perform
from sa_partman.cli.request import Request, idle_locks, lock_options, refuse_both, shared
from sa_partman.cli.rewriting import How, RewriteCommand, RewriteMode, parse_throttle, require_width
from sa_partman.errors import ConfigurationError
from sa_partman.maintenance.copier import Copier


@click.command("convert")
@click.argument("table")
@shared
@lock_options("lock_timeout", "budget", "stall", "lease")
@click.option("--plan", is_flag=True, help="Print every step with its locks and an estimate; change nothing.")
@click.option("--sql", "as_sql", is_flag=True, help="Print the SQL of every step; change nothing.")
@click.option(
    "--strategy",
    type=click.Choice(["in-place", "copy"]),
    default="in-place",
    show_default=True,
    help="Keep the rows where they are, as the first partition; or copy them into partitions, whatever these are by.",
)
@click.option("--resume", is_flag=True, help="Go on where an interrupted conversion stopped.")
@click.option("--abort", is_flag=True, help="Take back an unfinished conversion.")
@click.option("--pause", is_flag=True, help="Let the process that copies stop behind the piece it is at.")
@click.option("--undo", is_flag=True, help="Make a converted table plain again.")
@click.option("--finalize", is_flag=True, help="Drop the table from before a copy, kept for --undo until then.")
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
@click.option(
    "--throttle", metavar="LIMITS", help='Of a copy, such as "rows=5000,lag=10,pause=0.2": a second, and seconds twice.'
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
    strategy: str,
    throttle: str | None,
    max_rows: int,
    yes: bool,
    as_sql: bool,
    **modes: bool,
) -> int:
    """
    Convert TABLE, which exists, into the partitioned table that the model declares. No row is copied: what is there
    becomes the first partition. With --strategy copy every row is copied into its partition, while the application
    works; that is for HASH, tenants, and all else whose rows can't stay together.

    With --split-history its rows, which are one partition then, are split in a second step, while the application reads
    and writes them; the same command again goes on behind what is done.
    """
    if request.schemas:
        raise ConfigurationError("convert takes one table: name its schema in the model, or search_path in the URL")
    if request.tables:
        raise ConfigurationError("convert takes its table without --table: sa-partman convert TABLE")
    mode = _mode([name for name, asked in modes.items() if asked], as_sql=as_sql)
    refuse_both(as_json=request.as_json, as_sql=as_sql)
    copies = strategy == "copy" and mode in (Mode.CONVERT, Mode.PLAN)
    refuse_idle(_idle(mode, bounded=boundary is not None, script=as_sql, copies=copies))
    require_width(split_history, "--split-history")
    pace = None if throttle is None else parse_throttle(throttle)
    choices = dict(_pair(each) for each in unique)
    if copies:
        given: Any = {"inbound": inbound, "unique": choices}
        copying = RewriteCommand(
            "convert",
            table,
            lambda copier: copier.plan_copy(table, **given),
            lambda copier, **told: copier.copy(table, **given, **told),
            Copier,
        )
        rewrite = RewriteMode.PLAN if mode is Mode.PLAN else RewriteMode.REWRITE
        return rewriting.perform(request, copying, How(rewrite, as_sql, yes, pace))
    decisions = Decisions(_lead(lead), boundary, inbound, choices, max_rows, split_history, pace)
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


_ACTING = (Mode.CONVERT, Mode.RESUME, Mode.ABORT, Mode.UNDO, Mode.FINALIZE)
_FOR = {
    "audit": _ACTING,
    "yes": _ACTING,
    "at": (Mode.CONVERT, Mode.PLAN),
    "lead": (Mode.CONVERT, Mode.PLAN),
    "boundary": (Mode.CONVERT, Mode.PLAN),
    "inbound": (Mode.CONVERT, Mode.PLAN),
    "unique": (Mode.CONVERT, Mode.PLAN),
    "split_history": (Mode.CONVERT, Mode.PLAN),
    "strategy": (Mode.CONVERT, Mode.PLAN),
    "throttle": (Mode.CONVERT, Mode.PLAN, Mode.RESUME, Mode.UNDO),
    "max_rows": (Mode.UNDO,),
}
"""What each option is for, if not for all."""


def _idle(mode: Mode, *, bounded: bool, script: bool, copies: bool) -> dict[str, str]:
    """
    What does nothing, and where.

    Args:
        bounded: --boundary was given.
        script: --sql was.
        copies: --strategy copy was, and it is about a new conversion.
    """
    where = {Mode.CONVERT: "when it converts"}.get(mode, f"with --{mode.value}")
    idle = {name: where for name, modes in _FOR.items() if mode not in modes}
    if copies:
        idle |= dict.fromkeys(("lead", "boundary", "split_history"), "with --strategy copy")
    elif mode in (Mode.CONVERT, Mode.PLAN):
        idle["throttle"] = "without --strategy copy: no row is copied"
    if copies and script:
        idle["throttle"] = "with --sql: the script copies in one piece"
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
