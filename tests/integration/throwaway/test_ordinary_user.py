"""Nobody needs to be root: the same server for a user without any right."""

import os
import pwd
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from sa_partman.throwaway.account import Credentials
from sa_partman.throwaway.relocation import reachable
from tests.support.owners import ROOT, everybodys_folder, everybodys_python, own
from tests.support.servers import binaries

NEEDED = ("errors.py", "throwaway")
"""Of ``sa_partman``: no more, so that the other user's interpreter needs no package at all."""


@pytest.fixture
def nobodys_folder() -> Iterator[Path]:
    """With a copy of the code, because the checkout may be closed to others."""
    with everybodys_folder() as folder:
        package = folder / "code" / "sa_partman"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        for name in ("errors.py", "passwords.py"):
            shutil.copy(ROOT / "sa_partman" / name, package)
        shutil.copytree(ROOT / "sa_partman" / "throwaway", package / "throwaway")
        yield folder


@pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can become another user; the other tests ran as an ordinary one"
)
def test_an_ordinary_user_starts_the_same_server(server_target: str, nobodys_folder: Path) -> None:
    python = everybodys_python()
    if python is None:
        pytest.skip("no Python >= 3.11 here that another user may run")
    nobody = pwd.getpwnam("nobody")
    who = Credentials(user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[])
    cache = nobodys_folder / "cache"
    cache.mkdir()
    os.chown(cache, nobody.pw_uid, nobody.pw_gid)
    environment = {
        "SA_PARTMAN_PG_BIN": str(reachable(binaries(server_target)).directory),
        "SA_PARTMAN_PG_CACHE": str(cache),
        "TMPDIR": "/tmp",
        "HOME": "/nonexistent",
    }
    with own(server_target, environment, python=python, code=nobodys_folder / "code", credentials=who) as owner:
        with psycopg.connect(owner.uri) as connection:
            assert connection.execute("SELECT 42").fetchone() == (42,)

        assert nobody.pw_uid == owner.folder.stat().st_uid
    assert not owner.folder.exists()
