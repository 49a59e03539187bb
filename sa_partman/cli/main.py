"""The entry point: which commands there are, and how each way to end becomes an exit code."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from io import StringIO, TextIOWrapper

import click

from sa_partman.cli.failures import FAULT, INTERRUPTED, REPORTED, TERMINATED, Terminated, heed, report, traced
from sa_partman.passwords import without_passwords
from sa_partman.version import __version__

COMMANDS = {
    "plan": "Print what run would do; exit with 1 if there is anything to do.",
    "run": "Create missing partitions, then remove expired ones.",
    "provision": "Create missing partitions and remove none.",
    "prune": "Detach or drop expired partitions; asks first.",
    "check": "Say what is wrong, or about to go wrong; exit with 1 if anything is.",
    "status": "Show every table with its partitions, over time on a terminal.",
    "convert": "Turn a plain table into the partitioned one that its model declares.",
    "split": "Cut a partition in several while the application works; a history by month.",
    "merge": "Join neighbouring partitions while the application works.",
    "drain": "Give the rows of a default partition partitions of their own.",
    "regrid": "Give partitions that hold rows the interval that the model declares now.",
    "unpartition": "Copy the rows of all partitions into one plain table while the application works.",
    "archive": "List, verify and restore what retention has archived.",
    "demo": "Show the whole story on a throw-away PostgreSQL.",
}
"""What the list of commands says of each: it is shown without importing any of them."""

EPILOG = """\
\b
Exit codes
  0    done, or nothing to do
  1    plan found pending work, check found problems, a rewrite was paused, or you answered no
  2    wrong usage: an option, the metadata, the URL, a missing package
  3    the database refused a step, or no connection; the message says what was done
  4    another maintainer is at work; try later
  130  Ctrl-C, 143 SIGTERM: the statement was cancelled; the next run does the rest

\b
The metadata comes from --metadata, SA_PARTMAN_METADATA, [tool.sa-partman] in pyproject.toml, or your Alembic env.py;
the URL from --url, SA_PARTMAN_DATABASE_URL, DATABASE_URL, pyproject.toml, or your env.py.
"""


class Commands(click.Group):
    """Imports a command when it is asked for, and turns expected errors into exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"sa_partman.cli.commands.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> int:
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except REPORTED as error:
            return report(ctx, error)
        return int(code or 0)


@click.group(
    cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120}
)
@click.version_option(__version__, prog_name="sa-partman")
def group() -> None:
    """PostgreSQL partitions from the declarations on your SQLAlchemy models: plan, maintain, look."""


def main() -> None:
    """Run the command line, and end the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that can't be shown here is no reason to fail
    heed()
    try:
        code = run()
    except Exception as error:  # a fault of ours, or in the user's models: Python would show it with all that it says
        click.echo(traced(error), err=True, nl=False)
        code = FAULT
    sys.exit(code)


def run(arguments: list[str] | None = None) -> int:
    """
    Args:
        arguments: None: those of the process.

    Returns:
        The exit code.
    """
    try:
        return int(group.main(arguments, prog_name="sa-partman", standalone_mode=False) or 0)
    except click.ClickException as error:
        said = StringIO()
        error.show(said)
        click.echo(without_passwords(said.getvalue()), err=True, nl=False)
        return error.exit_code
    except click.Abort as abort:
        terminated = isinstance(abort.__cause__, Terminated)
        why = "Ended by SIGTERM" if terminated else "Aborted"
        click.echo(f"{why}: what was committed before stays; the next run does the rest.", err=True)
        return TERMINATED if terminated else INTERRUPTED
    except BrokenPipeError:
        # The reader has gone; what Python still flushes at exit must go somewhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
