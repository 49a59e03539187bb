"""Somebody changes things by hand between the plan and the step: a partition is known by its bound, not by its name."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from sa_partman import LockPolicy, PartitionByRange, Retention
from sa_partman.plan.steps import Step
from sa_partman.ports.waiting import Sleeping
from sa_partman.postgres.locks.exclusion import only_maintainer
from sa_partman.postgres.steps.execute import Overtaken, execute_step
from sa_partman.postgres.steps.running import Running
from tests.support.database import new_table, partitions, put, scalar, sql, upkeep

SPEC = PartitionByRange("created_at", interval="1 month", premake=1)
RETENTIONS = {
    "drop": Retention("1 month", then="drop"),
    "detach": Retention("1 month", then="detach"),
}
OLD = "events_p20300101"


@pytest.fixture
def events(engine: Engine) -> Engine:
    """``events`` from January 2030."""
    table = new_table(SPEC)
    sql(
        engine,
        "CREATE TABLE events (id bigint, created_at timestamptz, tenant text, region text, ref uuid) "
        "PARTITION BY RANGE (created_at)",
    )
    assert upkeep(engine, table, "2030-01-15").run().ok
    return engine


def _removal(engine: Engine, how: str) -> Step:
    plan = upkeep(engine, new_table(SPEC.with_(retention=RETENTIONS[how])), "2030-04-15").plan()
    return next(step for step in plan.steps if step.purpose.removes and step.partition.name == OLD)


def _execute(engine: Engine, step: Step) -> None:
    policy = LockPolicy()
    with only_maintainer(engine) as exclusion:
        execute_step(Running(engine, policy, Sleeping(), exclusion), step)


@pytest.mark.parametrize("how", RETENTIONS)
def test_another_partition_bears_the_name(how: str, events: Engine) -> None:
    """It holds rows that nobody wanted to lose: it is left alone."""
    step = _removal(events, how)
    sql(events, f"DROP TABLE {OLD}")
    sql(events, f"CREATE TABLE {OLD} PARTITION OF events FOR VALUES FROM ('2031-01-01+00') TO ('2031-02-01+00')")
    put(events, new_table(SPEC), "2031-01-03")
    with pytest.raises(Overtaken, match="another partition now"):
        _execute(events, step)

    assert OLD in partitions(events)
    assert 1 == scalar(events, "SELECT count(*) FROM events")


@pytest.mark.parametrize("how", RETENTIONS)
def test_it_was_detached_by_hand(how: str, events: Engine) -> None:
    """What somebody took out is his."""
    step = _removal(events, how)
    sql(events, f"ALTER TABLE events DETACH PARTITION {OLD}")
    with pytest.raises(Overtaken, match="not a partition of"):
        _execute(events, step)

    assert scalar(events, f"SELECT to_regclass('{OLD}')")


@pytest.mark.parametrize("how", RETENTIONS)
def test_it_was_dropped_by_hand(how: str, events: Engine) -> None:
    step = _removal(events, how)
    sql(events, f"DROP TABLE {OLD}")
    with pytest.raises(Overtaken, match="nothing was changed"):
        _execute(events, step)
