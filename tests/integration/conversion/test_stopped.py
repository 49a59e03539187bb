"""
A converter that is stopped for longer than its lease (SIGSTOP, a frozen container): another one gets in, and when the
first wakes up its next step fails, wherever it was; the data are whole.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.process import BaseProcess

import pytest
from sqlalchemy import Engine

from sa_partman.engine.exclusion import only_converter
from sa_partman.errors import MaintainerBusy
from sa_partman.names import QualifiedName
from tests.integration.conversion.test_faults_abort import stopped_after
from tests.support.catalog_snapshot import difference, snapshot
from tests.support.converting import BRISK, TABLE, Ends, contents, converter, go_on, process
from tests.support.servers import Copies

SHORT = replace(BRISK, lease=2.0)
NAME = QualifiedName("public", TABLE)

POINTS = {
    "before a concurrent build": ("CREATE UNIQUE INDEX CONCURRENTLY", 0),
    "behind a concurrent build": ("CREATE UNIQUE INDEX CONCURRENTLY", 1),
    "in a step": ("NOT VALID", 1),
    "before its state is written": ("VALIDATE CONSTRAINT", 1),
    "in the swap": ("RENAME TO", 1),
}


def stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def place(sent: tuple[str, ...], words: str, behind: int) -> int:
    """The number of the first statement that has *words*, or of one behind it."""
    first = next(
        i for i, what in enumerate(sent, 1) if words in what and not what.startswith("COMMENT ON COLUMN sa_partman")
    )
    return first + behind


def stopped(engine: Engine, point: int, verb: str = "convert", statement: str = "") -> BaseProcess:
    """A process that has stopped itself there."""
    child = process(engine, verb, point, stop, statement, lock=SHORT)
    deadline = time.monotonic() + 60
    while not is_stopped(child):
        assert time.monotonic() < deadline
        assert child.is_alive()
        time.sleep(0.01)
    return child


def is_stopped(child: BaseProcess) -> bool:
    with open(f"/proc/{child.pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "T"


def wakes_up(child: BaseProcess) -> int | None:
    """How it ends then."""
    os.kill(child.pid or 0, signal.SIGCONT)
    child.join(60)
    return child.exitcode


def patiently(act: Callable[[], object]) -> None:
    """The lease is over in a moment."""
    deadline = time.monotonic() + 30
    while True:
        try:
            act()
            return
        except MaintainerBusy:
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.parametrize("where", POINTS)
def test_another_ends_it(where: str, tables: Copies, undisturbed: Ends) -> None:
    with tables() as engine:
        child = stopped(engine, place(undisturbed.sent["convert"], *POINTS[where]))
        try:
            patiently(lambda: go_on(engine, "convert"))
            undisturbed.check(engine, "convert")

            assert 1 == wakes_up(child)
            undisturbed.check(engine, "convert")
            found = converter(engine).state(TABLE)
            assert ("done", None) == (found and found.status, found and found.error)
        finally:
            child.kill()
            child.join(10)


@pytest.mark.parametrize("where", ["before a concurrent build", "before its state is written", "in the swap"])
def test_another_takes_it_back(where: str, tables: Copies, undisturbed: Ends) -> None:
    with tables() as engine:
        child = stopped(engine, place(undisturbed.sent["convert"], *POINTS[where]))
        try:
            patiently(lambda: converter(engine).abort(TABLE))

            assert 1 == wakes_up(child)
            assert "" == difference(undisturbed.start, snapshot(engine))
            assert undisturbed.rows == contents(engine)
            found = converter(engine).state(TABLE)
            assert ("aborted", None) == (found and found.status, found and found.error)
        finally:
            child.kill()
            child.join(10)


@pytest.mark.parametrize("where", ["behind a concurrent build", "in a step"])
def test_another_was_there_and_has_left(where: str, tables: Copies, undisturbed: Ends) -> None:
    """Nothing shows it but the right that is gone; who resumes goes on where the state says."""
    with tables() as engine:
        child = stopped(engine, place(undisturbed.sent["convert"], *POINTS[where]))
        try:

            def visit() -> None:
                with only_converter(engine, NAME, 60.0):
                    pass

            patiently(visit)

            assert 1 == wakes_up(child)
            found = converter(engine).state(TABLE)
            assert found is not None
            assert "running" == found.status
            go_on(engine, "convert")
            undisturbed.check(engine, "convert")
        finally:
            child.kill()
            child.join(10)


@pytest.mark.parametrize("verb", ["abort", "undo"])
def test_the_ways_back(verb: str, tables: Copies, undisturbed: Ends) -> None:
    """Stopped where the state is written; another one ends what it had begun."""
    with tables() as engine:
        if verb == "undo":
            converter(engine).convert(TABLE)
        else:
            stopped_after(engine, "convert", "parent")
        child = stopped(engine, 3, verb, "COMMENT ON COLUMN sa_partman")
        try:
            patiently(lambda: go_on(engine, "undo") if verb == "undo" else converter(engine).abort(TABLE))

            assert 1 == wakes_up(child)
            expected = undisturbed.undone if verb == "undo" else undisturbed.start
            assert "" == difference(expected, snapshot(engine))
            assert undisturbed.rows == contents(engine)
        finally:
            child.kill()
            child.join(10)
