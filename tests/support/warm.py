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
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TextIO

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
        code = _one().run((os.devnull, str(out), str(err)), module, arguments, folder, environment)
        return code, out.read_text("utf-8"), err.read_text("utf-8")


def forked_on(
    terminal: str, module: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> int:
    """The same on *terminal*, which is then its own; its exit code."""
    return _one().run((terminal,) * 3, module, arguments, folder, environment)


@contextmanager
def forking(module: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Iterator["Running"]:
    """The same as in `forked`, running; killed at the end of the block, if it still is."""
    with TemporaryDirectory() as streams:
        out, err = Path(streams) / "out", Path(streams) / "err"
        for each in (out, err):
            os.mkfifo(each)
        # A reader that is there first, and nobody waits for the other.
        read = _reading(out), _reading(err)
        pid = _one().start((os.devnull, str(out), str(err)), module, arguments, folder, environment)
        process = Running(pid, *read)
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            for stream in read:
                stream.close()


def _reading(pipe: Path) -> TextIO:
    stream = open(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), encoding="utf-8")  # noqa: SIM115
    os.set_blocking(stream.fileno(), True)
    return stream


@dataclass
class Running:
    """A process that was forked; what a test needs of `subprocess.Popen`."""

    pid: int
    stdout: TextIO
    stderr: TextIO
    returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code, once it has one."""
        if self.returncode is None:
            self.returncode = _one().ask(poll=self.pid)
        return self.returncode

    def wait(self) -> int:
        """Its exit code, which it is waited for."""
        if self.returncode is None:
            self.returncode = int(_one().ask(wait=self.pid))
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float = 60) -> tuple[str, str]:
        """What else it prints and says, to its end; killed after *timeout* seconds."""
        with ThreadPoolExecutor(2) as readers:
            rest = [readers.submit(each.read) for each in (self.stdout, self.stderr)]
            try:
                out, err = (each.result(timeout) for each in rest)
            except TimeoutError:
                self.kill()
                raise
        self.wait()
        return out, err


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

    def run(self, *command: Any) -> int:
        """The exit code of a command, see `become`."""
        return int(self.ask(wait=self.start(*command)))

    def start(
        self,
        streams: tuple[str, str, str],
        module: str,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
    ) -> int:
        """Its process, which has opened its *streams*."""
        command = {
            "module": module,
            "arguments": list(arguments),
            "folder": str(folder),
            "environment": dict(environment),
            "streams": streams,
        }
        return int(self.ask(start=command))

    def ask(self, **wanted: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(wanted)}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

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
    """A line asks for a command to be started, for its exit code when it has ended, or whether it has one."""
    for module in IMPORTED:
        import_module(module)
    # A command takes hundredths of a second; without this its end takes three tenths, for all that was imported here.
    gc.freeze()
    for line in sys.stdin:
        answer: int | None = None
        match json.loads(line):
            case {"start": command}:
                opened, opening = os.pipe()
                child = os.fork()
                if child == 0:
                    become(**command, opening=opening)
                    return
                os.close(opening)
                os.read(opened, 1)
                os.close(opened)
                answer = child
            case {"wait": child}:
                answer = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            case {"poll": child}:
                ended, status = os.waitpid(child, os.WNOHANG)
                answer = os.waitstatus_to_exitcode(status) if ended else None
        print(json.dumps(answer), flush=True)


def become(
    module: str,
    arguments: list[str],
    folder: str,
    environment: dict[str, str],
    streams: list[str],
    opening: int | None = None,
) -> None:
    """
    Runs *module* in this process, to its end; the first terminal that a session opens is its own.

    Args:
        opening: What is closed when the *streams* are open.
    """
    if os.devnull not in streams:
        os.setsid()
    write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for number, (name, mode) in enumerate(zip(streams, (os.O_RDONLY, write, write), strict=True)):
        opened = os.open(name, mode, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    if opening is not None:
        os.close(opening)
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
