"""What the audience sees: headings, code, commands with their real output, and how long each took."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import ndiff
from pathlib import Path

import click

from sa_partman.errors import ExecutionError

STRANGE = ("SA_PARTMAN_", "PG", "DATABASE_URL", "ALEMBIC_CONFIG")
"""Beginnings of the variables that could lead a command of ours to somebody else's database or project."""

NOISE = tuple(f"INFO  [alembic.runtime.{each}" for each in ("plugins]", "migration] Context", "migration] Will"))
"""What Alembic logs at every start."""


BAR = 29
"""Letters of the longest bar of a chart."""


class CommandFailed(ExecutionError):
    """A command of the demonstration ended otherwise than it should."""


class Stage:
    """
    Args:
        folder: Where the commands run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._number = 0

    @contextmanager
    def act(self, title: str) -> Iterator[None]:
        """A numbered heading; behind what happens, the seconds that it took."""
        self._number += 1
        self.say("", click.style(f"{self._number}. {title}", bold=True), "")
        began = time.monotonic()
        yield
        seconds = time.monotonic() - began
        if seconds >= 0.1:
            self.say(click.style(f"   [{seconds:.1f} s]", dim=True))

    def say(self, *lines: str) -> None:
        for line in lines:
            click.echo(line)

    def code(self, text: str) -> None:
        """*text* as it stands in a file."""
        self.say(*(f"   | {line}".rstrip() for line in text.rstrip().splitlines()))

    def change(self, before: str, after: str, around: int = 1) -> None:
        """The lines that differ, with their neighbours."""
        lines = [line for line in ndiff(before.splitlines(), after.splitlines()) if not line.startswith("?")]
        near = {
            place + step for place, line in enumerate(lines) if line[0] in "+-" for step in range(-around, around + 1)
        }
        for place in sorted(near & set(range(len(lines)))):
            color = {"+": "green", "-": "red"}.get(lines[place][0])
            click.echo(click.style(f"   {lines[place]}".rstrip(), fg=color))

    def chart(self, rows: Sequence[tuple[str, int]]) -> None:
        """Names with their numbers of rows, as bars."""
        most = max(each for _, each in rows)
        self.say(*(f"   {name}  {each:>7,}  {'#' * round(BAR * each / most)}" for name, each in rows))

    def run(self, command: str, *arguments: str, at: str = "", quiet: bool = False) -> None:
        """
        Run ``alembic`` or ``sa-partman``, as a user would, in the project.

        Args:
            at: The clock of a migration.
            quiet: Show its output only if it fails.

        Raises:
            CommandFailed: It did not end with 0.
        """
        shown = [f"SA_PARTMAN_AT={at}"] if at else []
        self.say(click.style(" ".join(["   $", *shown, command, *map(_quoted, arguments)]), fg="cyan"))
        sys.stdout.flush()
        module = {"alembic": "alembic", "sa-partman": "sa_partman"}[command]
        chatty = command == "alembic"
        with subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=self.folder,
            env=_environment({"SA_PARTMAN_AT": at} if at else {}),
            stdin=subprocess.DEVNULL,
            # Our own command may draw on a terminal.
            stdout=subprocess.PIPE if chatty else None,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        ) as process:
            lines = [line.rstrip() for line in process.stdout or () if not line.startswith(NOISE)]
        if process.returncode or not quiet:
            self.say(*lines)
        if process.returncode:
            raise CommandFailed(
                f"{command} {' '.join(arguments)} ended with exit code {process.returncode}; it said why above"
            )


def _quoted(argument: str) -> str:
    return f'"{argument}"' if " " in argument else argument


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(STRANGE)}
    # A checkout is not on the path of a process that runs elsewhere.
    here = str(Path(__file__).parents[2])
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, [here, kept.get("PYTHONPATH")])), **more}
