"""``sa-partman run --every 1h``: again and again in the foreground, until a signal comes."""

from __future__ import annotations

import json
import sys

import click

from sa_partman.cli.change import ChangeCommand
from sa_partman.cli.failures import PENDING
from sa_partman.cli.opening import opened
from sa_partman.cli.output import print_result
from sa_partman.cli.progress import is_on
from sa_partman.cli.request import Request
from sa_partman.errors import ConfigurationError, PartmanError
from sa_partman.maintenance.results import RunResult
from sa_partman.maintenance.schedule import Schedule
from sa_partman.observe.health import LOGGER
from sa_partman.postgres.sqlstate import first_line


def _schedule(_: click.Context, __: click.Parameter, value: str | None) -> Schedule | None:
    try:
        return None if value is None else Schedule.of(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


every_option = click.option(
    "--every",
    "schedule",
    callback=_schedule,
    metavar="TIME",
    help="Run again and again, such as every 1h, 30m, 90s; ends with a signal.",
)
listen_option = click.option(
    "--listen", metavar="[ADDRESS:]PORT", help="Answer /healthz and /metrics there; with --every only."
)


def serve(request: Request, change: ChangeCommand, schedule: Schedule | None, listen: str | None) -> int:
    """
    Runs *change* at every turn of *schedule*; comes back only when nobody agrees to that.

    Args:
        schedule: None: `--listen` was given without it.
        listen: Where to answer; None: nowhere.

    Raises:
        UsageError: The options contradict each other; nothing was changed.
    """
    if schedule is None:
        raise click.UsageError("--listen is for repeated runs; add --every 1h")
    if change.dry_run or change.as_sql:
        raise click.UsageError(
            "--every and --dry-run or --sql don't go together; to see what a run would do: sa-partman plan"
        )
    if len(click.get_current_context().params.get("urls") or ()) > 1:
        raise click.UsageError("--every serves one database; start one process for each --url")
    if not change.yes and not _agreed():
        click.echo("Nothing was changed.", err=True)
        return PENDING
    from sa_partman.maintenance.serving import Service

    with opened(request) as maintainer:

        def started() -> None:
            where = "" if service.address is None else f"; listening on {service.address}"
            said = f"running every {schedule.interval:g} s{where}; a signal ends it"
            if is_on():
                LOGGER.info(said)
            else:
                click.echo(said, err=True)

        service = Service(
            maintainer,
            schedule,
            listen=listen,
            tables=request.only,
            told=_Telling(request),
            act=change.act,
            started=started,
        )
        service.run()
    return 0


def _agreed() -> bool:
    """
    Raises:
        ConfigurationError: There is nobody to ask.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfigurationError(
            "run --every removes what expires at every run: it needs --yes where nobody can be asked; "
            "nothing was changed"
        )
    return click.confirm("Every run removes what has expired by then, without asking again. Go on?", err=True)


class _Telling:
    """Prints what a run did: a document a line with --json, else a line at least."""

    def __init__(self, request: Request) -> None:
        self._json = request.as_json
        self._color = False if request.no_color else None

    def __call__(self, outcome: RunResult | Exception) -> None:
        if isinstance(outcome, RunResult):
            if self._json:
                click.echo(json.dumps(outcome.to_dict()))
            else:
                print_result(outcome, as_json=False)
                sys.stdout.flush()  # a round is told when it is over, also where it goes into a file
        elif self._json:
            click.echo(json.dumps({"error": _line(outcome), "kind": type(outcome).__name__}))
        elif not is_on():  # the log has said it
            click.echo(f"{click.style('Error:', fg='red', bold=True)} {_line(outcome)}", err=True, color=self._color)


def _line(error: Exception) -> str:
    return " ".join((str(error) if isinstance(error, PartmanError) else first_line(error)).split())
