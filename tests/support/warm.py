"""
Commands as processes of their own that need not import everything anew: each is forked from one that has.

A third of a second of imports for each of the hundreds of commands that tests type was most of their time. What such a
process is given is its own: folder, environment, standard streams, modules of the user's.
"""

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

IMPORTED = (
    "sa_partman.cli.main",
    "sa_partman.maintenance.maintainer",
    "sa_partman.maintenance.converter",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.orm",
    "alembic.config",
    "alembic.runtime.environment",
    "alembic.script",
    "psycopg",
)
"""What commands import at once or soon; nothing that only a user's env.py imports, because `check` looks for that."""


class Warm:
    """The process that the others are forked from; it ends when its standard input does."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.warm"],
            env=dict(environment),
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], out: Path, err: Path) -> int:
        """``python -m sa_partman`` in *folder*, without a terminal: its exit code; minus the signal that ended it."""
        asked = {
            "arguments": list(arguments),
            "folder": str(folder),
            "environment": dict(environment),
            "streams": [os.devnull, str(out), str(err)],
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.wait(10)


def serve() -> None:
    """A line asks for a command; its exit code is the answer."""
    for module in IMPORTED:
        import_module(module)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            become(**json.loads(line))
            return
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def become(arguments: list[str], folder: str, environment: dict[str, str], streams: list[str]) -> None:
    """Runs the command in this process, to its end."""
    for number, (name, mode) in enumerate(zip(streams, (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY), strict=True)):
        opened = os.open(name, mode | os.O_CREAT, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[0] = folder
    sys.argv = ["sa_partman", *arguments]
    runpy.run_module("sa_partman", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    serve()
