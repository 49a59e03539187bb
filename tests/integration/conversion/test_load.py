"""Twelve workers during the whole conversion and the whole undo: no error, no lost row, no rewritten file."""

import pytest
from sqlalchemy import Engine, create_engine

from sa_partman import LockPolicy
from sa_partman.throwaway import Server
from tests.support.catalog_snapshot import difference, snapshot
from tests.support.converting import ROWS, TABLE, converter, files, set_up
from tests.support.database import scalar, sql
from tests.support.load import FUNCTION, Ledger, under_load

LOCK = LockPolicy(lock_timeout=0.5, budget=200.0, stall=30.0)
"""
Less than deadlock_timeout, so that no transaction of the load is ended. On a busy machine these take long, and locks on
two tables are got after many attempts only.
"""


def _uri(engine: Engine) -> str:
    return engine.url.set(drivername="postgresql").render_as_string(hide_password=False)


def _verify(engine: Engine, ledger: Ledger) -> None:
    assert [] == ledger.errors
    assert [] == ledger.repeated
    present = {row[0] for row in sql(engine, f"SELECT id FROM events WHERE id > {ROWS}")}
    assert set() == ledger.alive - present, "lost rows"
    assert set() == present & ledger.dead, "resurrected rows"
    assert ROWS == scalar(engine, f"SELECT count(*) FROM events WHERE id <= {ROWS} AND note LIKE 'n%'")
    assert 0 == scalar(engine, "SELECT count(*) - count(DISTINCT id) FROM events")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("verb", ["convert", "undo"])
def test_twelve_workers_notice_nothing(verb: str, events: Engine) -> None:
    """Plain, server-prepared, in plpgsql and in transactions of several statements; the view, the trigger, the key."""
    sql(events, FUNCTION)
    before = snapshot(events)
    if verb == "undo":
        converter(events, LOCK).convert(TABLE)
    heap = "events" if verb == "convert" else "events_history"
    kept = files(events, heap)
    with under_load(_uri(events)) as ledger:
        getattr(converter(events, LOCK), verb)(TABLE)

    _verify(events, ledger)
    assert kept == files(events, "events_history" if verb == "convert" else "events")
    assert ledger.done > 100
    if verb == "undo":
        shown = difference(before, snapshot(events)).splitlines()
        assert [] == [line for line in shown if "last value" not in line]


@pytest.mark.timeout(600)
def test_workers_notice_nothing_of_an_abort(events: Engine) -> None:
    sql(events, FUNCTION)

    def stop(step: object, seconds: float) -> None:
        if getattr(step, "id", "") == "parent":
            raise InterruptedError

    with under_load(_uri(events)) as ledger:
        with pytest.raises(InterruptedError):
            converter(events, LOCK).convert(TABLE, report=stop)
        converter(events, LOCK).abort(TABLE)

    _verify(events, ledger)


@pytest.mark.timeout(600)
def test_workers_notice_nothing_of_many_rounds(own_server: Server) -> None:
    """Forth and back, three times, without a pause in the load."""
    engine = create_engine(own_server.url())
    set_up(engine)
    sql(engine, FUNCTION)
    with under_load(own_server.uri()) as ledger:
        for _ in range(3):
            converter(engine, LOCK).convert(TABLE)
            converter(engine, LOCK).undo(TABLE)

    _verify(engine, ledger)
    engine.dispose()
