"""Who runs PostgreSQL's programs: this user, or for root, whom PostgreSQL refuses, an account without rights."""

import os
import subprocess
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TypedDict

from sa_partman.errors import ServerUnavailable

UNPRIVILEGED = ("postgres", "nobody")
KEPT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMP")


class Credentials(TypedDict, total=False):
    """Arguments of :class:`subprocess.Popen`; empty: stay who you are."""

    user: int
    group: int
    extra_groups: list[int]


def this_user() -> int:
    """The number of this process's user; -1 where users have none."""
    return os.geteuid() if hasattr(os, "geteuid") else -1


@cache
def credentials() -> Credentials:
    """
    Of the account that runs the server.

    Raises:
        ServerUnavailable: We are root, and there is no account without rights.
    """
    if this_user() != 0:
        return {}
    import pwd  # not on every system

    for name in UNPRIVILEGED:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise ServerUnavailable(
        "PostgreSQL refuses to run as root, and there is neither a user 'postgres' nor 'nobody' to run it; "
        "start this as an ordinary user, or set DATABASE_URL"
    )


def environment() -> dict[str, str]:
    """What the programs may see of ours: no secrets, no ``PG*`` setting, no locale."""
    return {name: os.environ[name] for name in KEPT if name in os.environ} | {"LC_ALL": "C"}


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """
    Run *command* to its end under that account; the caller looks at the exit code.

    Raises:
        ServerUnavailable: We are root, and may not become another user.
    """
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=os.sep, env=environment(), **credentials()
        )
    except PermissionError as error:
        raise ServerUnavailable(
            f"PostgreSQL refuses to run as root, and this process may not become another user ({error}); "
            "start it as an ordinary user, or set DATABASE_URL"
        ) from error


def give(path: Path) -> None:
    """Make the account the owner of *path*."""
    who = credentials()
    if "user" in who and "group" in who:
        os.chown(path, who["user"], who["group"], follow_symlinks=False)


def can_run(program: Path) -> bool:
    """Whether the account can reach *program*: a virtual environment under ``/root`` is closed to it."""
    return not credentials() or run("test", "-x", program).returncode == 0
