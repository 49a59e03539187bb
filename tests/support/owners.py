"""Processes that own a throw-away server, to be killed."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sa_partman.throwaway import account
from tests.support.servers import binaries, memory

ROOT = Path(__file__).parents[2]
PROGRAM = """
import json, os, sys
from pathlib import Path
from sa_partman.throwaway import Server, find

base, forks = sys.argv[1:]
with Server.start(find(), base=Path(base)) as server:
    if forks == "True" and os.fork() == 0:
        sys.stdin.read()
        os._exit(0)
    print(json.dumps([server.pid, server._supervisor.pid, str(server.folder), server.uri()]), flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that owns a server; *pid* is the server's own."""

    process: subprocess.Popen[str]
    pid: int
    pid_of_supervisor: int
    folder: Path
    uri: str


@contextmanager
def own(
    target: str,
    environment: Mapping[str, str] | None = None,
    *,
    fork: bool = False,
    python: str = sys.executable,
    code: Path = ROOT,
    credentials: account.Credentials | None = None,
) -> Iterator[Owner]:
    """
    A process that owns a server of *target* until the end of the block.

    Args:
        environment: Over ours.
        fork: It has a child process of its own.
        python: The interpreter.
        code: The folder that holds ``sa_partman``.
        credentials: Whose process it is; None: ours.
    """
    chosen = {"SA_PARTMAN_PG_BIN": str(binaries(target).directory), "PYTHONPATH": str(code)}
    with subprocess.Popen(
        [python, "-c", PROGRAM, memory() or "/tmp", str(fork)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=code,
        env={**os.environ, **chosen, **(environment or {})},
        **(credentials or {}),
    ) as process:
        assert process.stdin
        assert process.stdout
        pid, supervisor, folder, uri = json.loads(process.stdout.readline())
        yield Owner(process, pid, supervisor, Path(folder), uri)
        process.stdin.close()


@contextmanager
def everybodys_folder() -> Iterator[Path]:
    """A short-lived folder that every user may enter; pytest's own ones are closed."""
    folder = Path(tempfile.mkdtemp(prefix="sapm-test-", dir=memory() or "/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def everybodys_python() -> str | None:
    """An interpreter that an account without rights can run: ours may lie in a closed home folder."""
    for name in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        if account.run("sh", "-c", 'exec "$0" -c "from typing import Self"', name).returncode == 0:
            return name
    return None
