"""What was asked for: the options that every command shares, and those of the locks, by the names of `LockPolicy`."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from sa_partman.bounds.interval import Duration
from sa_partman.cli.failures import note_json, note_verbose
from sa_partman.cli.progress import FORMATS, LEVELS
from sa_partman.cli.several import each_database
from sa_partman.postgres.session import appointed, instant

if TYPE_CHECKING:
    from sa_partman.engine.budget import LockPolicy


_FRACTION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s)")
_DAY = 86_400

_HELP = {
    "lock_timeout": "Wait so long for a lock, with others behind it: 200ms unless you say otherwise.",
    "budget": "Try so long to get the locks of one step: 60s.",
    "table_budget": "Wait so long for all steps of a table: 2min.",
    "run_budget": "Wait so long for all steps: 5min.",
    "stall": "Make others wait so long in all: 2s.",
    "turn": "Wait so long for another maintainer to end, instead of exit code 4 at once: 0s.",
    "lease": "Lose the right to be the only maintainer when the process is stopped for so long: 60s.",
}

POLICY = tuple(_HELP)
"""The options of a run."""
PRINTED = ("lock_timeout", "budget")
"""Those that a script has, too."""


def lock_options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """
    A decorator: the options of these names, for `Request.lock`; without names all of them.

    Args:
        names: Fields of `LockPolicy` that mean something to the command.
    """

    def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed(names or POLICY):
            option = f"--{name.replace('_', '-')}"
            function = click.option(option, name, callback=_seconds, metavar="TIME", help=_HELP[name])(function)
        return function

    return decorated


def idle_locks(where: str, *, script: bool = False) -> dict[str, str]:
    """
    For `refuse_idle`: where nothing is locked.

    Args:
        script: What would lock is printed.
    """
    return {name: f"{where}: nothing is locked" for name in POLICY if not (script and name in PRINTED)}


def _seconds(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    """``200ms``, ``1.5s``, ``5min``."""
    if value is None:
        return None
    short = _FRACTION.fullmatch(value.strip().lower())
    if short is not None:
        return float(short[1]) / (1000 if short[2] == "ms" else 1)
    try:
        length = Duration.parse(value)
    except ValueError:
        length = Duration(months=1)
    if length.months:
        raise click.BadParameter(
            f"{value!r} is not a length of time; write it with its unit, such as 200ms, 5s or 2min"
        )
    return float(length.days * _DAY + length.seconds)


@dataclass(frozen=True, slots=True)
class Request:
    """
    Args:
        metadata: ``module:attr``, if given.
        url: Of the database, if given.
        config: The path of alembic.ini, if given.
        tables: Names to narrow to; none: every declared table.
        at: The instant to plan for, instead of the server's clock.
        as_json: One JSON document on stdout.
        no_color: No colours, anywhere.
        verbose: Tracebacks, and what env.py prints.
        log_format: "text" or "json", for the log on stderr; None: none, or text when there is a level.
        log_level: The least that the log shows; None: "info" when there is a format.
        audit: Keep a record of every run; text: in tables of this schema.
        schemas: That have the tables declared without one; none: the default schema.
        limit: Partitions that one run removes at most; None: all that are due.
        lock_timeout: This and the following: see `LockPolicy`; None: its default.
    """

    metadata: str | None
    url: str | None = field(repr=False)
    config: str | None
    tables: tuple[str, ...]
    at: datetime | None
    as_json: bool
    no_color: bool
    verbose: bool
    log_format: str | None = None
    log_level: str | None = None
    audit: bool | str = False
    schemas: tuple[str, ...] = ()
    limit: int | None = None
    lock_timeout: float | None = None
    budget: float | None = None
    table_budget: float | None = None
    run_budget: float | None = None
    stall: float | None = None
    turn: float | None = None
    lease: float | None = None

    @property
    def lock(self) -> LockPolicy:
        """
        Raises:
            UsageError: The options don't go together.
        """
        from sa_partman.engine.budget import LockPolicy

        given = {name: getattr(self, name) for name in POLICY if getattr(self, name) is not None}
        try:
            return LockPolicy(**given)
        except ValueError as error:
            raise click.UsageError(str(error)) from None

    @property
    def only(self) -> tuple[str, ...] | None:
        """The names to narrow to, as the maintainer takes them."""
        return self.tables or None


def _at(_: click.Context, __: click.Parameter, value: str | None) -> datetime | None:
    return appointed() if value is None else instant(value, "--at")


def _colors(ctx: click.Context, _: click.Parameter, value: bool) -> bool:
    unwanted = value or bool(os.environ.get("NO_COLOR"))
    if unwanted:
        ctx.color = False
    return unwanted


def _audit(_: click.Context, __: click.Parameter, value: str | None) -> bool | str:
    """``--audit``, ``--audit=monitoring``; in the environment also 1, true, 0 and false."""
    if value is None or value.lower() in ("0", "false", "no", "off"):
        return False
    return True if value.lower() in ("", "1", "true", "yes", "on") else value


_AT = click.option(
    "--at", callback=_at, metavar="TIME", help="Plan for this time, not the server's clock. [SA_PARTMAN_AT]"
)

OPTIONS = (
    click.option("--metadata", metavar="MODULE:ATTR", help="Your MetaData or declarative Base. [SA_PARTMAN_METADATA]"),
    click.option(
        "--url", "urls", multiple=True, help="The database; repeatable. [SA_PARTMAN_DATABASE_URL, DATABASE_URL]"
    ),
    click.option("--table", "tables", multiple=True, metavar="NAME", help="Only this table; repeatable."),
    click.option(
        "--schema", "schemas", multiple=True, metavar="NAME", help="Where tables without a schema are; repeatable."
    ),
    _AT,
    click.option("--json", "as_json", is_flag=True, callback=note_json, is_eager=True, help="One JSON document."),
    click.option("--no-color", is_flag=True, callback=_colors, is_eager=True, help="Plain text. [NO_COLOR]"),
    click.option("-c", "--config", metavar="PATH", help="Your alembic.ini. [ALEMBIC_CONFIG]"),
    click.option(
        "-v",
        "--verbose",
        is_flag=True,
        callback=note_verbose,
        is_eager=True,
        help="Show tracebacks and what env.py prints.",
    ),
    click.option("--log-format", type=click.Choice(FORMATS), help="Log to stderr, one line a record."),
    click.option("--log-level", type=click.Choice(LEVELS), help="The least to log: info unless you say otherwise."),
    click.option(
        "--audit",
        is_flag=False,
        flag_value="",
        envvar="SA_PARTMAN_AUDIT",
        callback=_audit,
        metavar="[SCHEMA]",
        help="Keep a record of every run in two tables, here or in SCHEMA. [SA_PARTMAN_AUDIT]",
    ),
)


def shared(function: Callable[..., Any]) -> Callable[..., Any]:
    """Gives *function* the shared options, gathered in one `Request`, as its first argument."""
    return _gathering(function, OPTIONS)


def shared_but_at(function: Callable[..., Any]) -> Callable[..., Any]:
    """As `shared`, for a command whose ``--at`` means something else: the clock is the server's, or SA_PARTMAN_AT."""
    return _gathering(function, tuple(each for each in OPTIONS if each is not _AT))


def _gathering(function: Callable[..., Any], offered: tuple[Callable[..., Any], ...]) -> Callable[..., Any]:
    @functools.wraps(function)
    def gathered(**options: Any) -> Any:
        urls = options.pop("urls")
        options["url"] = next(iter(urls), None)
        if "at" not in options:
            options["at"] = appointed()
        request = Request(**{each.name: options.pop(each.name) for each in fields(Request) if each.name in options})
        if len(urls) > 1:
            return each_database(request, urls, lambda each: function(each, **options))
        return function(request, **options)

    for option in reversed(offered):
        gathered = option(gathered)
    return gathered


def refuse_both(*, as_json: bool, as_sql: bool) -> None:
    """
    Raises:
        UsageError: Two forms of one plan are asked for.
    """
    if as_json and as_sql:
        raise click.UsageError("--sql and --json don't go together: the JSON of a plan has its SQL, too")


dry_run_option = click.option("--dry-run", is_flag=True, help="Print the plan and change nothing.")
sql_option = click.option("--sql", "as_sql", is_flag=True, help="Print the SQL that would run and change nothing.")
yes_option = click.option("-y", "--yes", is_flag=True, help="Remove what the plan removes, without asking.")
limit_option = click.option(
    "--limit", type=click.IntRange(min=0), metavar="N", help="Remove at most N partitions in one run, the oldest first."
)
max_rows_option = click.option(
    "--max-rows",
    type=click.IntRange(min=1),
    metavar="N",
    help="Move up to N rows of a default partition into a new one, in one transaction; 100,000 unless you say more.",
)
