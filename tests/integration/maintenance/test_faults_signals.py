"""SIGTERM and SIGINT at any moment of a command: the current statement is cancelled, and the exit code says which."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.support.database import holding
from tests.support.faults import estate, points, writing
from tests.support.killing import command, others, pending, until

CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}
SIGNALS = pytest.mark.parametrize("sent", CODES, ids=lambda sent: sent.name)


@pytest.mark.timeout(1800)
@SIGNALS
def test_a_signal_at_a_moment(database_url: str, tmp_path: Path, sent: signal.Signals) -> None:
    """Once the command has a connection; it ends at once, says so in one line, and nothing of it goes on."""
    with estate(database_url) as found:
        for turn in range(points(0.1)):
            # The first is certain to be at work; of the others, chance decides.
            certain = turn == 0
            nap_before = "CREATE TABLE" if certain else ""
            found.pass_days()
            with writing(found), command(found, tmp_path, "run", "--yes", nap_before=nap_before) as child:
                if certain:
                    assert until((tmp_path / "resting").exists, 30)
                else:
                    assert until(lambda: others(found.engine) or child.poll() is not None, 30)
                    time.sleep(0.5 * found.dice.random())
                child.send_signal(sent)
                out, said = child.communicate(timeout=20)

            # When all is done and told, the interpreter takes its handlers down before it ends.
            late = () if certain or not out else (0, -sent)
            assert child.returncode in (CODES[sent], *late), f"turn {turn}: {said}"
            assert "Traceback" not in said, said
            assert until(lambda: not others(found.engine), 10), f"turn {turn}: a backend of it is still there"
            found.heal(f"turn {turn}")


@SIGNALS
def test_a_signal_inside_a_concurrent_detach(database_url: str, tmp_path: Path, sent: signal.Signals) -> None:
    """It waits for a reader that does not end: the statement is cancelled, and the next run ends the detach."""
    with estate(database_url, "slid", "nested") as found:
        found.pass_days()
        with command(found, tmp_path, "run", "--yes", nap_before="CONCURRENTLY") as child:
            assert until((tmp_path / "resting").exists, 30)
            with holding(found.engine, "SELECT count(*) FROM slid"):
                (tmp_path / "go").touch()
                assert until(lambda: pending(found), 30)
                child.send_signal(sent)
                _, said = child.communicate(timeout=20)
                over = until(lambda: not others(found.engine), 5)

        assert CODES[sent] == child.returncode, said
        assert "next run" in said
        assert over
        found.heal(sent.name)
