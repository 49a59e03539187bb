"""New data directories: ``initdb`` once per version, a copy of its result each time (0.1 s instead of 1-3 s)."""

import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from sa_partman.errors import ServerUnavailable
from sa_partman.throwaway import account
from sa_partman.throwaway.binaries import Binaries
from sa_partman.throwaway.places import made_once
from sa_partman.throwaway.relocation import fingerprint

INITDB = (
    *("--username=postgres", "--encoding=UTF8", "--locale=C"),
    *("--auth-local=trust", "--auth-host=scram-sha-256"),
    *("--no-sync", "--wal-segsize=1"),  # small segments: 30 MB to copy instead of 39
)
PASSWORD = "superuser.password"


def create(binaries: Binaries, path: Path, settings: Mapping[str, str]) -> str:
    """
    Make the data directory *path*; *settings* go into its ``postgresql.conf``.

    Returns:
        The superuser's password, for connections over TCP: every user of the machine can open one.
    """
    template = made_once(f"data-{fingerprint(binaries, *INITDB)}", lambda draft: _initdb(binaries, draft))
    _copy(template / "data", path)
    with (path / "postgresql.conf").open("a", encoding="utf-8") as conf:
        conf.writelines(f"{key} = '{_quoted(value)}'\n" for key, value in settings.items())
    return (template / PASSWORD).read_text(encoding="ascii")


def _initdb(binaries: Binaries, draft: Path) -> None:
    secret, data = draft / PASSWORD, draft / "data"
    secret.touch(mode=0o600)
    secret.write_text(secrets.token_urlsafe(), encoding="ascii")
    data.mkdir(mode=0o700)
    for path in (secret, data):
        account.give(path)
    done = account.run(binaries.program("initdb"), "-D", data, f"--pwfile={secret}", *INITDB)
    if done.returncode:
        raise ServerUnavailable(
            f"{binaries}: initdb failed: {done.stderr.strip()}\nRemove the cause, or name a folder with other programs "
            f"in SA_PARTMAN_PG_BIN"
        )


def _copy(template: Path, path: Path) -> None:
    shutil.copytree(template, path)
    for entry in (path, *path.rglob("*")):
        account.give(entry)


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")
