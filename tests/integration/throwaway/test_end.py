"""How throw-away servers end, and begin, when processes are killed or come at the same time."""

import os
import signal
import time
from pathlib import Path

import psycopg
import pytest

from tests.support.owners import Owner, everybodys_folder, own

pytestmark = pytest.mark.once

SOON = 20.0
"""Seconds; it takes a tenth of one, but the machine may have other things to do."""


def is_gone(owner: Owner) -> bool:
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return not owner.folder.exists()
    return False


def wait_until_gone(owner: Owner) -> None:
    deadline = time.monotonic() + SOON
    while not is_gone(owner) and time.monotonic() < deadline:
        time.sleep(0.01)


def test_nothing_is_left_of_a_server_whose_owner_was_killed(server_target: str) -> None:
    with own(server_target) as owner:
        owner.process.send_signal(signal.SIGKILL)
        wait_until_gone(owner)

        assert is_gone(owner)


def test_a_child_that_the_owner_forked_does_not_keep_the_server(server_target: str) -> None:
    """It holds the pipe that would otherwise tell of the owner's death."""
    with own(server_target, fork=True) as owner:
        owner.process.send_signal(signal.SIGKILL)
        wait_until_gone(owner)

        assert is_gone(owner)


def test_ctrl_c_is_the_owners_to_judge(server_target: str) -> None:
    with own(server_target) as owner:
        os.kill(owner.pid_of_supervisor, signal.SIGINT)
        with psycopg.connect(owner.uri) as connection:
            assert connection.execute("SELECT 42").fetchone() == (42,)


def test_a_supervisor_that_is_asked_to_end_takes_the_server_with_it(server_target: str) -> None:
    with own(server_target) as owner:
        os.kill(owner.pid_of_supervisor, signal.SIGTERM)
        wait_until_gone(owner)

        assert is_gone(owner)


def test_two_first_starts_at_once_both_work(server_target: str) -> None:
    """Neither finds a template; one of their two is kept, whole."""
    with everybodys_folder() as cache:
        environment = {"SA_PARTMAN_PG_CACHE": str(cache)}
        with own(server_target, environment) as one, own(server_target, environment) as other:
            for owner in (one, other):
                with psycopg.connect(owner.uri) as connection:
                    assert connection.execute("SELECT 42").fetchone() == (42,)

        assert ["data"] == [path.name.partition("-")[0] for path in cache.glob("d*")]


def test_a_template_that_lost_a_file_is_made_again(server_target: str) -> None:
    with everybodys_folder() as cache:
        environment = {"SA_PARTMAN_PG_CACHE": str(cache)}
        with own(server_target, environment):
            pass
        next(cache.glob("data-*/data/global/pg_control")).unlink()
        with own(server_target, environment) as owner, psycopg.connect(owner.uri) as connection:
            assert connection.execute("SELECT 42").fetchone() == (42,)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="root becomes another user; this is not root"
)
def test_as_root_the_server_runs_as_somebody_without_rights(server_target: str) -> None:
    with own(server_target) as owner:
        assert Path(f"/proc/{owner.pid}").stat().st_uid != 0
