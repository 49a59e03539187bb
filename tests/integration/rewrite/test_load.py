"""Seven writers and a reader at work while rows are moved: no error, no lost row, no wrong answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Engine, MetaData

from sa_partman import LockPolicy
from sa_partman.engine.pace import Throttle
from sa_partman.errors import PartmanError
from sa_partman.maintenance.rewriter import Rewriter
from sa_partman.plan.steps import Step
from tests.support.database import partitions
from tests.support.faults import points
from tests.support.moving import Application, at_work, in_pieces
from tests.support.rewriting import NOW, VERBS, history, left_behind

LOCK = LockPolicy(lock_timeout=0.2, budget=60.0, pause=0.02, longest_pause=0.1, stall=20.0)

ROWS = 4_000

SEEDS = range(points(0.25, 1))
"""Five in a short campaign, fifty in a full one."""

EMPTIED = "2024-11-11+00"
"""A moment whose partition is emptied again and again."""


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of few rows, so that much is written between the first and the last."""
    in_pieces(monkeypatch)


def rewriter(engine: Engine, metadata: MetaData) -> Rewriter:
    return Rewriter(engine, metadata, now=NOW, lock=LOCK)


def between(application: Application) -> Callable[[Step, float], None]:
    """Between two steps every writer comes to something."""

    def report(step: Step, seconds: float) -> None:
        application.after(2)

    return report


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("verb", VERBS)
def test_rows_move(verb: str, seed: int, engine: Engine) -> None:
    """
    Every other one there and back without a pause in the load, the others to the end; and of both, every other one with
    TRUNCATE.
    """
    back, emptied = seed % 2 == 1, EMPTIED if seed % 4 > 1 else ""
    VERBS[verb].prepare(engine, ROWS)
    work = rewriter(engine, VERBS[verb].metadata)
    before = partitions(engine)

    with at_work(engine, seed, emptying=emptied) as application:
        VERBS[verb].move(work, throttle=Throttle(pause=0.01), report=between(application))
        if back:
            work.undo("events", report=between(application))

    application.verify(engine)
    assert 1 + back == application.swaps
    assert back == (before == partitions(engine))
    if not back:
        with at_work(engine, seed, emptying=emptied) as application:
            work.finalize("events", report=between(application))
        application.verify(engine)
    assert [] == left_behind(engine)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", SEEDS)
def test_taken_back_before_the_swap(seed: int, engine: Engine) -> None:
    work = rewriter(engine, history(engine, ROWS))
    before = partitions(engine)

    with at_work(engine, seed) as application:

        def stop(step: Step, seconds: float) -> None:
            if step.id == "verify":
                raise PartmanError("stop")

        with pytest.raises(PartmanError, match="stop"):
            work.split("events_history", into="1 month", report=stop)
        work.abort("events", report=between(application))

    application.verify(engine)
    assert before == partitions(engine)
    assert [] == left_behind(engine)
