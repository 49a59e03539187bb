"""Split, merge, drain and regrid on the command line: what they have in common; plan, ask, act, print."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import click

from sa_partman.bounds.interval import Duration, Interval
from sa_partman.bounds.text import to_json
from sa_partman.cli.change import UNRECORDED, refuse_idle
from sa_partman.cli.conversion import tell
from sa_partman.cli.conversion_words import StepProgress, rewrite_lines, rewrite_script
from sa_partman.cli.failures import FAILED, PENDING
from sa_partman.cli.opening import opened
from sa_partman.cli.output import print_json, print_lines
from sa_partman.cli.progress import say_wait
from sa_partman.cli.request import Request, idle_locks, lock_options, refuse_both
from sa_partman.ddl.render import to_stored
from sa_partman.engine.pace import Throttle
from sa_partman.errors import ConfigurationError
from sa_partman.maintenance.converter import Conversion
from sa_partman.maintenance.moving import Mover
from sa_partman.maintenance.rewriter import Rewriter
from sa_partman.plan.rewrite.request import RewritePlan


class RewriteMode(Enum):
    """What is to be done."""

    REWRITE = "rewrite"
    PLAN = "plan"
    RESUME = "resume"
    ABORT = "abort"
    PAUSE = "pause"
    UNDO = "undo"
    FINALIZE = "finalize"
    STATE = "state"

    @property
    def begins(self) -> bool:
        """Whether it is about a new rewrite, and not about one that has begun."""
        return self in (RewriteMode.REWRITE, RewriteMode.PLAN)

    @property
    def asks(self) -> bool:
        return self not in (RewriteMode.PLAN, RewriteMode.PAUSE, RewriteMode.STATE)


_OPTIONS = (
    click.option("--plan", is_flag=True, help="Print every step with its locks, the disk needed and an estimate."),
    click.option("--sql", "as_sql", is_flag=True, help="Print the SQL of every step; change nothing."),
    click.option("--resume", is_flag=True, help="Go on where it was interrupted or paused."),
    click.option("--abort", is_flag=True, help="Take back what was done before the swap."),
    click.option("--pause", is_flag=True, help="Let the process that is at work stop behind the piece it is at."),
    click.option("--undo", is_flag=True, help="Put the old partitions back, with all that was written since."),
    click.option("--finalize", is_flag=True, help="Drop the old partitions, which are kept for --undo until then."),
    click.option("--state", is_flag=True, help="Say how far it is."),
    click.option(
        "--throttle", metavar="LIMITS", help='Such as "rows=5000,lag=10,pause=0.2": a second, and seconds twice.'
    ),
    click.option("-y", "--yes", is_flag=True, help="Do it without asking."),
)


def rewriting(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator: the options that all of them have, those of the locks among them; `How.of` takes their values."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return lock_options("lock_timeout", "budget", "stall", "lease")(function)


@dataclass(frozen=True, slots=True)
class How:
    """
    Args:
        as_sql: The plan as a script.
        throttle: None when none was asked for.
    """

    mode: RewriteMode
    as_sql: bool
    yes: bool
    throttle: Throttle | None

    @classmethod
    def of(cls, *, as_sql: bool, yes: bool, throttle: str | None, own: tuple[str, ...] = (), **modes: bool) -> How:
        """
        Args:
            own: Parameters of the command that say what is to become of the partitions.
            modes: The flags of that name.

        Raises:
            UsageError: Options don't go together, or one would do nothing.
            ConfigurationError: No such throttle.
        """
        mode = _mode([name for name, asked in modes.items() if asked], as_sql=as_sql)
        refuse_idle(_idle(mode, own, script=as_sql))
        return cls(mode, as_sql, yes, None if throttle is None else parse_throttle(throttle))


def _mode(asked: list[str], *, as_sql: bool) -> RewriteMode:
    if len(asked) > 1 or (as_sql and asked not in ([], [RewriteMode.PLAN.value])):
        both = " and ".join(f"--{name}" for name in (*asked, *(("sql",) if as_sql else ()))[:2])
        raise click.UsageError(f"{both} don't go together; give one of them")
    return RewriteMode(asked[0]) if asked else RewriteMode.PLAN if as_sql else RewriteMode.REWRITE


_PACED = (RewriteMode.REWRITE, RewriteMode.PLAN, RewriteMode.RESUME, RewriteMode.UNDO)


def _idle(mode: RewriteMode, own: tuple[str, ...], *, script: bool) -> dict[str, str]:
    """What does nothing, and where."""
    where = f"with --{mode.value}"
    idle = {} if mode.begins else dict.fromkeys((*own, "at"), where)
    if not mode.asks:
        idle |= {"yes": where, "audit": f"{where}: {UNRECORDED}", **idle_locks(where, script=script)}
    if mode not in _PACED or script:
        idle["throttle"] = "with --sql: the script copies in one piece" if script else where
    return idle


def parse_throttle(text: str) -> Throttle:
    """
    ``rows=5000,lag=10,pause=0.2``.

    Raises:
        ConfigurationError: It is nothing of that kind.
    """
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = (each.strip() for each in part.partition("="))
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        least = 1.0 if name == "rows" else 0.0
        if name not in ("rows", "lag", "pause") or name in found or not least <= number < float("inf"):
            raise ConfigurationError(
                f"--throttle {text!r}: {part.strip()!r} is no limit; write rows=N (a second), lag=SECONDS (that a "
                f"replica may be behind) and pause=SECONDS (between two pieces), with commas between them"
            )
        found[name] = number
    return Throttle(**found)


def require_width(into: str | None, option: str = "--into") -> None:
    """
    Args:
        option: That gave it.

    Raises:
        ConfigurationError: It is neither an interval nor a number.
    """
    if into is not None and not into.isdecimal():
        try:
            Interval.parse(into)
        except ValueError as error:
            raise ConfigurationError(
                f"{option} {into!r}: {error}. Give an interval such as '1 month', or a number for an integer key"
            ) from None


def require_length(older_than: str | None) -> None:
    """
    Raises:
        ConfigurationError: It is neither a length of time nor a number.
    """
    if older_than is not None and not older_than.isdecimal():
        try:
            Duration.parse(older_than)
        except ValueError as error:
            raise ConfigurationError(
                f"--older-than {older_than!r}: {error}. Give a length such as '14 months', or a number for an integer "
                f"key"
            ) from None


@dataclass(frozen=True, slots=True)
class RewriteCommand:
    """
    Args:
        verb: Such as "split".
        table: What the user named: a partition, or the table.
        plan: Of what is asked for.
        act: Does it; takes ``throttle=``, ``report=`` and ``progress=``.
        worker: Whom *plan* and *act* are given.
    """

    verb: str
    table: str
    plan: Callable[[Any], RewritePlan]
    act: Callable[..., Conversion]
    worker: type[Mover] = Rewriter


def perform(request: Request, command: RewriteCommand, how: How) -> int:
    """The exit code of *command*."""
    _refuse_tables(request, command.verb)
    refuse_both(as_json=request.as_json, as_sql=how.as_sql)
    with opened(request) as maintainer:
        rewriter = command.worker(
            maintainer.engine,
            maintainer.metadata,
            now=request.at,
            lock=request.lock,
            audit=request.audit,
            on_wait=say_wait,
        )
        if how.mode is RewriteMode.PLAN:
            return _show(command.plan(rewriter), rewriter, how, as_json=request.as_json)
        if how.mode.asks and not how.yes and not _agreed(rewriter, command, how):
            click.echo("Nothing was changed.", err=True)
            return PENDING
        told = StepProgress()
        conversion = _act(rewriter, command, how, told)
    tell(conversion, command.table, events=told.events if how.mode.asks else None, as_json=request.as_json)
    stopped = conversion is not None and conversion.status == "running" and not conversion.unfinished.kept
    return PENDING if stopped and how.mode.asks else 0


def _refuse_tables(request: Request, verb: str) -> None:
    """
    Raises:
        ConfigurationError: Options narrow to tables, and the argument does already.
    """
    if request.schemas:
        raise ConfigurationError(f"{verb} takes one table: name its schema in the model, or search_path in the URL")
    if request.tables:
        raise ConfigurationError(f"{verb} takes its table without --table, see: sa-partman {verb} --help")


def _act(rewriter: Mover, command: RewriteCommand, how: How, told: StepProgress) -> Conversion | None:
    both: Mapping[str, Any] = {"report": told.done, "progress": told.working}
    match how.mode:
        case RewriteMode.REWRITE:
            return command.act(rewriter, throttle=how.throttle, **both)
        case RewriteMode.RESUME:
            return rewriter.resume(command.table, throttle=how.throttle, **both)
        case RewriteMode.UNDO:
            return rewriter.undo(command.table, throttle=how.throttle, **both)
        case RewriteMode.ABORT:
            return rewriter.abort(command.table, report=told.done)
        case RewriteMode.FINALIZE:
            return rewriter.finalize(command.table, report=told.done)
        case RewriteMode.PAUSE:
            return rewriter.pause(command.table)
    return rewriter.state(command.table)


def _agreed(rewriter: Mover, command: RewriteCommand, how: How) -> bool:
    """
    Raises:
        ConfigurationError: There is nobody to ask.
    """
    begins = how.mode is RewriteMode.REWRITE
    plan = command.plan(rewriter) if begins else None
    if plan is not None and not plan.steps:
        return True  # the rewrite itself says why, and touches nothing
    verb = command.verb if begins else how.mode.value
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfigurationError(f"{verb} {command.table}: needs --yes where nobody can be asked; nothing was changed")
    if plan is not None:
        print_lines(rewrite_lines(plan, how.throttle), err=True)
    return click.confirm(f"{verb.capitalize()} {command.table}?", err=True)


def _show(plan: RewritePlan, rewriter: Mover, how: How, *, as_json: bool) -> int:
    if as_json:
        print_json(_document(plan, how.throttle))
    else:
        print_lines(rewrite_script(plan, rewriter.lock) if how.as_sql else rewrite_lines(plan, how.throttle))
    return FAILED if plan.refusals else 0


def _document(plan: RewritePlan, throttle: Throttle | None) -> dict[str, Any]:
    rate = None if throttle is None else throttle.rows
    return {
        "table": str(plan.table),
        "kind": plan.kind,
        "steps": [{**to_stored(step), "seconds": plan.seconds(step, rate)} for step in plan.steps],
        "refusals": [{"what": each.what, "choices": each.choices} for each in plan.refusals],
        "notes": list(plan.notes),
        "sources": [
            {"name": str(each.name), "bound": each.printed, "rows": round(each.rows), "bytes": each.bytes}
            for each in plan.sources
        ],
        "pieces": [{"name": str(each.name), "bound": to_json(each.bound)} for each in plan.pieces],
        "rows": plan.rows,
        "bytes": plan.bytes,
    }
