"""Seven writers and a reader at work while rows are moved: no error, no lost row, no wrong answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from sa_partman import LockPolicy, PartitionByRange
from sa_partman.engine.pace import Pace, Throttle
from sa_partman.errors import PartmanError
from sa_partman.maintenance.rewriter import Rewriter
from sa_partman.plan.steps import Step
from tests.support.database import partitions, sql
from tests.support.faults import points
from tests.support.moving import Application, at_work
from tests.support.rewriting import NOW, events, fill, history, left_behind

LOCK = LockPolicy(lock_timeout=0.2, budget=60.0, pause=0.02, longest_pause=0.1, stall=20.0)

SEEDS = range(points(0.25, 4))
"""Five in a short campaign, fifty in a full one."""

EMPTIED = "2024-11-11+00"
"""A moment whose partition is emptied again and again."""


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of few rows, so that much is written between the first and the last."""
    monkeypatch.setattr("sa_partman.plan.rewrite.request.SMALL", -1)
    allow = Pace.allow

    def few(pace: Pace, connection: Connection) -> None:
        pace.pages = 8
        allow(pace, connection)

    monkeypatch.setattr(Pace, "allow", few)


def rewriter(engine: Engine, spec: Any = None) -> Rewriter:
    metadata, _ = events(spec)
    return Rewriter(engine, metadata, now=NOW, lock=LOCK)


def between(application: Application) -> Callable[[Step, float], None]:
    """Between two steps every writer comes to something."""

    def report(step: Step, seconds: float) -> None:
        application.after(2)

    return report


def defaulted(engine: Engine) -> None:
    """The history lies in a default partition."""
    history(engine, rows=0)
    sql(engine, "DROP TABLE events_history; CREATE TABLE events_default PARTITION OF events DEFAULT")
    fill(engine, 4_000)


def split(engine: Engine, application: Application) -> None:
    rewriter(engine).split("events_history", into="1 month", throttle=Throttle(pause=0.01), report=between(application))


def merge(engine: Engine, application: Application) -> None:
    names = [f"events_p2024{month:02}01" for month in range(7, 13)]
    rewriter(engine).merge(*names, throttle=Throttle(pause=0.01), report=between(application))


def merge_older(engine: Engine, application: Application) -> None:
    rewriter(engine).merge_older("events", "2 months", into="3 months", report=between(application))


def drain(engine: Engine, application: Application) -> None:
    rewriter(engine).drain("events", throttle=Throttle(pause=0.01), report=between(application))


def regrid(engine: Engine, application: Application) -> None:
    spec = PartitionByRange("created_at", interval="3 months", premake=1)
    rewriter(engine, spec=spec).regrid("events", throttle=Throttle(pause=0.01), report=between(application))


def by_month(engine: Engine) -> None:
    history(engine, rows=4_000)
    rewriter(engine).split("events_history", into="1 month")
    rewriter(engine).finalize("events")


def whole(engine: Engine) -> None:
    history(engine, rows=4_000)


VERBS: dict[str, tuple[Callable[[Engine], None], Callable[[Engine, Application], None]]] = {
    "split": (whole, split),
    "merge": (by_month, merge),
    "merge_older": (by_month, merge_older),
    "drain": (defaulted, drain),
    "regrid": (by_month, regrid),
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("verb", VERBS)
def test_rows_move(verb: str, seed: int, engine: Engine) -> None:
    """
    Every other one there and back without a pause in the load, the others to the end; and of both, every other one with
    TRUNCATE.
    """
    back, emptied = seed % 2 == 1, EMPTIED if seed % 4 > 1 else ""
    prepare, move = VERBS[verb]
    prepare(engine)
    before = partitions(engine)

    with at_work(engine, seed, emptying=emptied) as application:
        move(engine, application)
        if back:
            rewriter(engine).undo("events", report=between(application))

    application.verify(engine)
    assert 1 + back == application.swaps
    assert back == (before == partitions(engine))
    if not back:
        with at_work(engine, seed, emptying=emptied) as application:
            rewriter(engine).finalize("events", report=between(application))
        application.verify(engine)
    assert [] == left_behind(engine)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", SEEDS)
def test_taken_back_before_the_swap(seed: int, engine: Engine) -> None:
    whole(engine)
    before = partitions(engine)

    with at_work(engine, seed) as application:

        def stop(step: Step, seconds: float) -> None:
            if step.id == "verify":
                raise PartmanError("stop")

        with pytest.raises(PartmanError, match="stop"):
            rewriter(engine).split("events_history", into="1 month", report=stop)
        rewriter(engine).abort("events", report=between(application))

    application.verify(engine)
    assert before == partitions(engine)
    assert [] == left_behind(engine)
