"""The cache of throw-away servers: whole or absent, whatever happens to its makers."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sa_partman.throwaway.places import STALE, made_once, socket_fits
from tests.support.owners import ROOT

SLOW_MAKER = """
import time
from sa_partman.throwaway.places import made_once

def make(draft):
    (draft / "half").touch()
    print("half", flush=True)
    time.sleep(600)

made_once("thing", make)
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SA_PARTMAN_PG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def make(draft: Path) -> None:
    (draft / "data").mkdir()
    (draft / "data" / "file").write_text("whole")


def never(draft: Path) -> None:
    raise AssertionError("made twice")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_thing_is_made_once(cache: Path) -> None:
    made = made_once("thing", make)

    assert made == made_once("thing", never)
    assert (made / "data" / "file").read_text() == "whole"
    assert ["thing"] == names(cache)


def test_a_failing_maker_leaves_nothing(cache: Path) -> None:
    with pytest.raises(AssertionError):
        made_once("thing", never)

    assert [] == names(cache)


def test_the_slower_of_two_makers_uses_the_others(cache: Path) -> None:
    def make_slowly(draft: Path) -> None:
        made_once("thing", make)
        (draft / "mine").touch()

    assert ["ENTRIES", "data"] == names(made_once("thing", make_slowly))
    assert ["thing"] == names(cache)


def test_a_thing_that_lost_a_file_is_made_again() -> None:
    """Cleaners of temporary folders take old files one by one."""
    (made_once("thing", make) / "data" / "file").unlink()

    assert (made_once("thing", make) / "data" / "file").read_text() == "whole"


def test_a_maker_that_is_killed_harms_nobody_and_is_swept_later(cache: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SLOW_MAKER], stdout=subprocess.PIPE, text=True, cwd=ROOT) as maker:
        assert maker.stdout
        maker.stdout.readline()
        maker.send_signal(signal.SIGKILL)
    (left,) = cache.iterdir()
    made_once("thing", make)

    assert [left.name, "thing"] == names(cache)

    long_ago = time.time() - STALE - 1
    os.utime(left, (long_ago, long_ago))
    made_once("another", make)

    assert ["another", "thing"] == names(cache)


def test_a_socket_has_103_bytes_on_every_system() -> None:
    rest = len("/.s.PGSQL.5432")

    assert socket_fits(Path("/" + "d" * (102 - rest)), 5432)
    assert not socket_fits(Path("/" + "d" * (103 - rest)), 5432)
