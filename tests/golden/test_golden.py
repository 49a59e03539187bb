"""
Nothing changes on the wire unless somebody means it: what is sent equals the record in ``recorded``.

``SA_PARTMAN_GOLDEN=write pytest tests/golden --pg 14,18`` records anew; the difference belongs into the commit that
means it. There is one record for the newest server, and another for the oldest where it is told otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sa_partman.throwaway import Server
from tests.golden.recorder import logging, recorder
from tests.golden.scenarios import SCENARIOS
from tests.support.servers import binaries

RECORDED = Path(__file__).parent / "recorded"
OLDEST, NEWEST = 14, 18
WRITE = os.environ.get("SA_PARTMAN_GOLDEN") == "write"


@pytest.fixture(scope="module")
def server(server_target: str) -> Iterator[Server]:
    with logging(binaries(server_target)) as found:
        yield found


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_is_sent_is_what_was_sent_before(name: str, server: Server, tmp_path: Path) -> None:
    major = server.binaries.major
    if major not in (OLDEST, NEWEST):
        pytest.skip(f"what is sent is recorded on PostgreSQL {OLDEST} and {NEWEST}")
    with recorder(server) as found:
        SCENARIOS[name](found, tmp_path)
    sent = "\n".join(found.parts).replace(str(tmp_path), "<folder>")
    newest, oldest = RECORDED / f"{name}.sql", RECORDED / f"{name}.pg{OLDEST}.sql"
    if WRITE:
        _write(sent, newest, oldest, major)
    assert (oldest if major == OLDEST and oldest.exists() else newest).read_text() == sent


def _write(sent: str, newest: Path, oldest: Path, major: int) -> None:
    if major == NEWEST:
        newest.write_text(sent)
    elif newest.exists() and newest.read_text() == sent:
        oldest.unlink(missing_ok=True)
    else:
        oldest.write_text(sent)
