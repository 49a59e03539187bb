"""A virtual environment in a closed home folder: its server programs are copied, its folder stays closed."""

import os
import stat
from dataclasses import replace

import psycopg
import pytest

from sa_partman.throwaway import Server, relocation
from sa_partman.throwaway.relocation import fingerprint, reachable
from tests.support.owners import everybodys_folder
from tests.support.servers import binaries, memory


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root hands its server to somebody else"
)
def test_programs_in_a_closed_folder_are_copied(server_target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = binaries(server_target).directory.parent
    if not (prefix / "share").is_dir():
        pytest.skip("the system's own programs lie in several folders, all open")
    with everybodys_folder() as folder:
        monkeypatch.setenv("SA_PARTMAN_PG_CACHE", str(folder / "cache"))
        closed = folder / "closed"
        relocation._copy(prefix, closed)
        closed.chmod(0o700)
        ours = replace(binaries(server_target), directory=closed / prefix.parent.name / prefix.name / "bin")
        with Server.start(ours, base=memory()) as server, psycopg.connect(server.uri()) as connection:
            assert connection.execute("SELECT 42").fetchone() == (42,)

        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        assert reachable(ours).directory.is_relative_to(folder / "cache")
        assert fingerprint(ours) == fingerprint(reachable(ours))


def test_programs_that_can_be_reached_stay_where_they_are(server_target: str) -> None:
    once = reachable(binaries(server_target))

    assert once == reachable(once)
