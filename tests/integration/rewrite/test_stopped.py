"""Who moves rows is stopped longer than its lease: another one ends it, and the first does nothing when it wakes up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.process import BaseProcess

import pytest
from sqlalchemy import Engine

from sa_partman.errors import MaintainerBusy
from tests.integration.conversion.test_stopped import is_stopped, patiently, stop, wakes_up
from tests.support.catalog_snapshot import difference, snapshot
from tests.support.database import partitions
from tests.support.moving import begin, go_on, work, worker
from tests.support.processes import started
from tests.support.rewriting import BRISK, VERBS, contents, left_behind

POINTS = {
    "in a piece": ("$2'\n", 2),
    "before a piece is committed": ("nullif(", 3),
    "in the comparison": ("record;\nBEGIN", 1),
    "in the swap": ('"events" DETACH PARTITION', 1),
    "behind the swap": ('ATTACH PARTITION "public"."events_history_old"', 1),
}
"""Statements as they are sent, and not as the stored steps have them."""


@contextmanager
def stopped(engine: Engine, what: str, statement: str, point: int, lease: float = 2.0) -> Iterator[BaseProcess]:
    """A process that has stopped itself there."""
    lock = replace(BRISK, lease=lease)
    child = started(work, engine.url.render_as_string(hide_password=False), what, point, stop, statement, lock)
    try:
        deadline = time.monotonic() + 60
        while not is_stopped(child):
            assert time.monotonic() < deadline
            assert child.is_alive()
            time.sleep(0.01)
        yield child
    finally:
        child.kill()
        child.join(10)


@pytest.mark.parametrize("where", POINTS)
def test_another_ends_it(where: str, engine: Engine) -> None:
    VERBS["split"].prepare(engine, 1_500)
    rows = contents(engine)
    with stopped(engine, "split", *POINTS[where]) as child:
        patiently(lambda: go_on(engine, "split"))
        assert rows == contents(engine)
        after, bounds = snapshot(engine), partitions(engine)

        assert 1 == wakes_up(child)
        assert "" == difference(after, snapshot(engine))
        assert bounds == partitions(engine)
        assert rows == contents(engine)
    begin(engine, "undo split")
    assert rows == contents(engine)
    assert [] == left_behind(engine)


@pytest.mark.parametrize("where", ["LOCK TABLE sa_partman.conversion", "COMMENT ON COLUMN sa_partman"])
def test_who_is_stopped_while_it_begins_keeps_nobody_from_it(where: str, engine: Engine) -> None:
    """What is stored is locked then, for all tables."""
    VERBS["split"].prepare(engine, 1_500)
    rows = contents(engine)
    with stopped(engine, "split", where, 1) as child:
        patiently(lambda: go_on(engine, "split"))

        assert 1 == wakes_up(child)
        assert rows == contents(engine)


@pytest.mark.parametrize("where", ["in a piece", "in the comparison"])
def test_another_takes_it_back(where: str, engine: Engine) -> None:
    VERBS["drain"].prepare(engine, 1_500)
    before, rows = snapshot(engine), contents(engine)
    with stopped(engine, "drain", *POINTS[where]) as child:
        patiently(lambda: worker(engine, "drain").abort("events"))

        assert 1 == wakes_up(child)
        assert "" == difference(before, snapshot(engine))
        assert rows == contents(engine)
        assert [] == left_behind(engine)


@pytest.mark.parametrize("verb", ["resume", "abort", "undo", "finalize"])
def test_another_is_refused_before_the_lease_is_over(verb: str, engine: Engine) -> None:
    VERBS["split"].prepare(engine, 1_500)
    rows = contents(engine)
    with (
        stopped(engine, "split", *POINTS["in a piece"], lease=600.0) as child,
        pytest.raises(MaintainerBusy, match="nothing was changed"),
    ):
        getattr(worker(engine, "split"), verb)("events")
    assert child.exitcode
    go_on(engine, "split")
    assert rows == contents(engine)
