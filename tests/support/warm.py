"""
Commands as processes of their own that need not import everything anew: each is forked from one that has.

The imports of each of the hundreds of commands that tests type were most of their time. What such a
process is given is its own: folder, environment, standard streams, modules of the user's.
"""

import atexit
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]

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


def forked(module: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[int, str, str]:
    """
    ``python -m`` *module* in *folder*, without a terminal.

    Returns:
        Its exit code, or minus the signal that ended it; what it printed, and what it said on stderr.
    """
    with TemporaryDirectory() as streams:
        out, err = Path(streams) / "out", Path(streams) / "err"
        asked = {
            "module": module,
            "arguments": list(arguments),
            "folder": str(folder),
            "environment": dict(environment),
            "streams": [os.devnull, str(out), str(err)],
        }
        code = _one().ask(json.dumps(asked))
        return code, out.read_text("utf-8"), err.read_text("utf-8")


class _Warm:
    """The process that the others are forked from; it ends when its standard input does."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.warm"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, line: str) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()


@cache
def _one() -> _Warm:
    """One for each process of tests."""
    warm = _Warm()
    atexit.register(warm.close)
    return warm


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


def become(module: str, arguments: list[str], folder: str, environment: dict[str, str], streams: list[str]) -> None:
    """Runs *module* in this process, to its end."""
    for number, (name, mode) in enumerate(zip(streams, (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY), strict=True)):
        opened = os.open(name, mode | os.O_CREAT, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[0] = folder
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    serve()
