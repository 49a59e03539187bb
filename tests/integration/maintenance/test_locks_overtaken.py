"""Somebody changes things by hand between the plan and the step: a partition is known by its bound, not by its name."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

import pytest
from sqlalchemy import Engine
from sqlalchemy.schema import CreateTable

from sa_partman import LockPolicy, PartitionByRange, Retention, StepEvent, before
from sa_partman.engine.exclusion import only_maintainer
from sa_partman.engine.execute import execute_step
from sa_partman.engine.running import Running
from sa_partman.engine.unchanged import Overtaken
from sa_partman.events import When
from sa_partman.maintenance.results import RunResult
from sa_partman.plan.steps import Step
from sa_partman.ports import Sleeping
from tests.support.archives import MARCH, january, monthly
from tests.support.database import holding, new_table, outcomes, partitions, put, scalar, sql, upkeep

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


# -- between two steps of one run --------------------------------------------------------------------------------------


def _swapped(engine: Engine, purpose: str, *statements: str) -> Callable[[StepEvent], None]:
    """A hook that does *statements* before the first step of *purpose*."""
    left = list(statements)

    def hook(event: StepEvent) -> None:
        while event.when is When.BEFORE and event.purpose == purpose and left:
            sql(engine, left.pop(0))

    return hook


def _run(engine: Engine, retention: Retention, now: str, *hooks: Callable[[StepEvent], None]) -> RunResult:
    return upkeep(engine, new_table(SPEC.with_(retention=retention)), now, hooks=hooks).run()


BY_AND_BY = Retention("1 month", then="drop", grace="1 day", concurrently=True)


def test_a_stranger_with_the_name_gets_no_mark_of_ours(events: Engine) -> None:
    """With the mark it would be dropped when the grace is over."""
    hook = _swapped(events, "detach", f"DROP TABLE {OLD}", f"CREATE TABLE {OLD} AS SELECT 1 AS precious")
    _run(events, BY_AND_BY, "2030-03-15", hook)
    _run(events, BY_AND_BY, "2030-03-20")

    assert 1 == scalar(events, f"SELECT precious FROM {OLD}")


def test_what_is_detached_concurrently_is_known_by_its_bound(events: Engine) -> None:
    """The names of two partitions were exchanged: that of March is not the one to go."""
    put(events, new_table(SPEC), "2030-02-03")
    renamed = (f"ALTER TABLE {OLD} RENAME TO january", f"ALTER TABLE events_p20300201 RENAME TO {OLD}")
    _run(events, BY_AND_BY, "2030-03-15", _swapped(events, "detach", *renamed))
    _run(events, BY_AND_BY, "2030-03-20")

    assert 1 == scalar(events, "SELECT count(*) FROM events")


def test_a_detach_concurrently_of_what_is_none_any_more(events: Engine) -> None:
    """That the server refused is not taken for done, and what the name stands for now keeps its rows."""
    plan = upkeep(events, new_table(SPEC.with_(retention=BY_AND_BY)), "2030-03-15").plan()
    (step,) = (step for step in plan.steps if step.purpose.removes)
    mark, detach = step.actions
    _execute(events, replace(step, actions=(mark,)))
    sql(events, f"ALTER TABLE events DETACH PARTITION {OLD}")
    with pytest.raises(Overtaken, match="not a partition of"):
        _execute(events, replace(step, actions=(detach,)))


@pytest.mark.parametrize("how", ["mark", "repair"])
def test_what_was_dropped_by_hand_is_not_changed(how: str, events: Engine) -> None:
    """Somebody else did it, so the run is well."""
    sql(events, f"GRANT SELECT ON {OLD} TO PUBLIC")
    hook = _swapped(events, "repair" if how == "repair" else "detach", f"DROP TABLE {OLD}")
    spec = SPEC.with_(retention=BY_AND_BY)
    result = upkeep(events, new_table(spec), "2030-03-15", hooks=[hook]).run(repair=how == "repair")

    assert result.ok, str(result)
    assert "superseded" in outcomes(result)


def test_privileges_are_not_given_on_the_table_of_somebody_else(events: Engine) -> None:
    """Which bears the name of a partition that lacked them."""
    sql(events, "GRANT SELECT ON events TO PUBLIC")
    taken = (f"ALTER TABLE events DETACH PARTITION {OLD}", f"ALTER TABLE {OLD} RENAME TO january")
    hook = _swapped(events, "repair", *taken, f"CREATE TABLE {OLD} (secret text)")
    upkeep(events, new_table(SPEC), "2030-01-15", hooks=[hook]).run(repair=True)

    assert not scalar(events, f"SELECT has_table_privilege('public', '{OLD}', 'SELECT')")


def test_a_table_that_is_not_ours_any_more_is_not_attached_again(events: Engine) -> None:
    """Kept for longer now, it would have become a partition again."""
    _run(events, RETENTIONS["detach"], "2030-03-15")
    longer = Retention("6 months", then="detach")
    plan = upkeep(events, new_table(SPEC.with_(retention=longer, start="2030-01-01")), "2030-03-15").plan()
    step = next(each for each in plan.steps if each.partition.name == OLD)
    sql(events, f"COMMENT ON TABLE {OLD} IS 'mine'")
    with pytest.raises(Overtaken, match="not the table any more"):
        _execute(events, step)

    assert OLD not in partitions(events)


def test_what_can_not_be_looked_at_again_was_not_done_by_somebody_else(engine: Engine) -> None:
    """Nobody knows, so the run does not say that all is well."""
    table = monthly("drop")
    january(engine, table)
    with ExitStack() as stack:

        @before("drop")
        def in_the_way(_: StepEvent) -> None:
            sql(engine, "ALTER TABLE events_p20260101 RENAME TO other_name")
            stack.enter_context(holding(engine, "LOCK TABLE other_name"))

        result = upkeep(engine, table, MARCH, hooks=[in_the_way]).prune()

    assert not result.ok


def test_a_range_whose_name_was_taken_is_still_lacking(engine: Engine) -> None:
    """Somebody made a partition of that name for another range: nobody did what we meant to do."""
    table = new_table(SPEC)
    with engine.begin() as connection:
        connection.execute(CreateTable(table))
    left = ["CREATE TABLE events_p20260401 PARTITION OF events FOR VALUES FROM ('2030-01-01+00') TO ('2030-02-01+00')"]

    def take(_: StepEvent) -> None:
        while left:
            sql(engine, left.pop())

    result = upkeep(engine, table, MARCH, hooks=[take]).run()

    assert not result.ok
    assert upkeep(engine, table, MARCH).run().ok
