"""
Commands as processes of their own that need not import everything anew: each is forked from one that has.

The imports of each of the hundreds of commands that tests type were most of their time. What such a
process is given is its own: folder, environment, standard streams, modules of the user's.
"""

import atexit
import gc
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
        code = _one().ask((os.devnull, str(out), str(err)), module, arguments, folder, environment)
        return code, out.read_text("utf-8"), err.read_text("utf-8")


def forked_on(
    terminal: str, module: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> int:
    """The same on *terminal*, which is then its own; its exit code."""
    return _one().ask((terminal,) * 3, module, arguments, folder, environment)


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

    def ask(
        self,
        streams: tuple[str, str, str],
        module: str,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
    ) -> int:
        asked = {
            "module": module,
            "arguments": list(arguments),
            "folder": str(folder),
            "environment": dict(environment),
            "streams": streams,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(asked)}\n")
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
    # A command takes hundredths of a second; without this its end takes three tenths, for all that was imported here.
    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            become(**json.loads(line))
            return
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def become(module: str, arguments: list[str], folder: str, environment: dict[str, str], streams: list[str]) -> None:
    """Runs *module* in this process, to its end; the first terminal that a session opens is its own."""
    if os.devnull not in streams:
        os.setsid()
    write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for number, (name, mode) in enumerate(zip(streams, (os.O_RDONLY, write, write), strict=True)):
        opened = os.open(name, mode, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[0] = folder
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    serve()
