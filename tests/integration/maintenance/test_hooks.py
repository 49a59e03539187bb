"""Hooks: before and after steps, synchronous and asynchronous, on every face; they veto, fail, and take too long."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine, Table

from sa_partman import Hook, PartitionByRange, Retention, StepEvent, Veto, after, before
from tests.support.archives import MARCH, january, monthly
from tests.support.builders import span
from tests.support.database import made, new_table, outcomes, partitions, put, scalar, sql, upkeep
from tests.support.faces import Face

MONTHLY = PartitionByRange("created_at", interval="1 month", premake=0)
DROPPED = MONTHLY.with_(retention=Retention("1 month", then="drop"))
OLD, NEW = "events_p20260101", "events_p20260301"


def in_march(engine: Engine, spec: Any = DROPPED) -> Table:
    """Made in January; in March, January has expired, and there is no March."""
    table = new_table(spec)
    table.create(engine)
    for name in partitions(engine):
        sql(engine, f"DROP TABLE {name}")
    upkeep(engine, table, "2026-01-15").provision()
    upkeep(engine, table, "2026-02-15").provision()
    put(engine, table, "2026-01-20")
    return table


def both(function: Callable[[StepEvent], Any]) -> list[Hook]:
    """*function* as it is, and as a coroutine function."""

    async def awaited(event: StepEvent) -> Any:
        await asyncio.sleep(0)
        return function(event)

    return [function, awaited]


@pytest.fixture(params=["synchronous", "asynchronous"])
def hook_of(request: pytest.FixtureRequest) -> Callable[[Callable[[StepEvent], Any]], Hook]:
    """Makes a hook of either kind."""
    return lambda function: both(function)[request.param == "asynchronous"]


HookOf = Callable[[Callable[[StepEvent], Any]], Hook]


def test_every_step_is_announced_and_told(face: Face, engine: Engine, hook_of: HookOf) -> None:
    """Before and after, with the statements and the name of the run; what was announced is not there yet."""
    table, seen = in_march(engine), []

    def hook(event: StepEvent) -> None:
        seen.append((event, event.partition.name in partitions(engine)))

    result = face.maintainer(table, "2026-03-15", hooks=[hook_of(hook)]).run()

    assert result.ok
    assert [
        ("before", "provision", NEW, False),
        ("after", "provision", NEW, True),
        ("before", "drop", OLD, True),
        ("after", "drop", OLD, False),
    ] == [(event.when, event.purpose, event.partition.name, there) for event, there in seen]
    assert {"public.events"} == {str(event.table) for event, _ in seen}
    assert 1 == len({event.run for event, _ in seen})
    assert any("ATTACH PARTITION" in statement for statement in seen[0][0].sql)
    assert span("2026-01-01", "2026-02-01") == seen[2][0].bound


@pytest.mark.parametrize("says", ["veto", "false"])
def test_a_veto_keeps_the_partition(face: Face, engine: Engine, hook_of: HookOf, says: str) -> None:
    """It is what the user wants, so the run is well; the other steps go on."""
    table = in_march(engine)

    def keep(event: StepEvent) -> bool:
        if says == "veto":
            raise Veto("legal hold")
        return False

    result = face.maintainer(table, "2026-03-15", hooks=[before("drop")(hook_of(keep))]).run()

    assert ["done", "vetoed"] == outcomes(result)
    assert result.ok
    assert "keep" in result.steps[1].error or "awaited" in result.steps[1].error
    assert (says == "veto") == ("legal hold" in result.steps[1].error)
    assert "VETOED" in str(result)
    assert {OLD, "events_p20260201", NEW} == set(partitions(engine))
    assert 1 == scalar(engine, f"SELECT count(*) FROM {OLD}")


def test_what_belongs_together_is_vetoed_together(face: Face, engine: Engine) -> None:
    """A partition whose detaching is vetoed is not dropped either."""
    table = in_march(engine, MONTHLY.with_(retention=Retention("1 month", then="detach", concurrently=True)))
    seen = []

    def hook(event: StepEvent) -> bool:
        seen.append(event.purpose)
        return False

    result = face.maintainer(table, "2026-03-15", hooks=[before("detach", "archive", "drop")(hook)]).prune()

    assert 1 == len(seen) == len(result.steps)
    assert OLD in partitions(engine)


def test_a_concurrent_detach_is_one_event(face: Face, engine: Engine) -> None:
    """Though it takes two transactions: the mark comes first."""
    table = in_march(engine, MONTHLY.with_(retention=Retention("1 month", then="detach", concurrently=True)))
    seen: list[tuple[str, str]] = []
    result = face.maintainer(
        table, "2026-03-15", hooks=[lambda event: seen.append((event.when, event.purpose))]
    ).prune()

    assert ["done"] == outcomes(result)
    assert [("before", "detach"), ("after", "detach")] == seen


def test_a_hook_that_fails_keeps_the_partition(face: Face, engine: Engine, hook_of: HookOf) -> None:
    """The run goes on, is not well, and names the hook and its error."""
    table = in_march(engine)

    def copy_elsewhere(event: StepEvent) -> None:
        if event.purpose == "drop":
            raise OSError("no space\nleft")

    result = face.maintainer(table, "2026-03-15", hooks=[hook_of(copy_elsewhere)]).run()

    assert ["done", "failed"] == outcomes(result)
    assert not result.ok
    assert "failed: OSError: no space left; nothing was changed" in result.steps[1].error
    assert OLD in partitions(engine)


def test_a_hook_that_fails_first_stops_its_own_step_only(face: Face, engine: Engine) -> None:
    table = in_march(engine)

    def exit_(event: StepEvent) -> None:
        raise SystemExit(1) if event.purpose == "provision" else Veto

    result = face.maintainer(table, "2026-03-15", hooks=[before()(exit_)]).run()

    assert ["failed", "vetoed"] == outcomes(result)


def test_a_hook_that_fails_afterwards_changes_nothing(face: Face, engine: Engine, hook_of: HookOf) -> None:
    """The step is done; what went wrong is noted in its result, and each hook is told."""
    table, told = in_march(engine), []

    def tell(event: StepEvent) -> None:
        told.append(event.purpose)
        raise RuntimeError("nobody listens")

    hook = after("drop")(hook_of(tell))
    result = face.maintainer(table, "2026-03-15", hooks=[hook, hook]).run()

    assert ["done", "done"] == outcomes(result)
    assert result.ok
    assert 2 == result.steps[1].error.count("RuntimeError: nobody listens; the step itself was done")
    assert "nobody listens" in str(result)
    assert ["drop", "drop"] == told
    assert OLD not in partitions(engine)


def test_a_hook_that_takes_too_long(face: Face, engine: Engine, hook_of: HookOf) -> None:
    """It is given up, its partition is kept, and the others go on; nobody waits for it in the end."""
    table, patience = in_march(engine), threading.Event()

    def dawdle(event: StepEvent) -> None:
        patience.wait(30)

    async def dawdle_too(event: StepEvent) -> None:
        await asyncio.sleep(30)

    hook = dawdle_too if hook_of(dawdle) is not dawdle else dawdle
    began = time.monotonic()
    result = face.maintainer(table, "2026-03-15", hooks=[before("drop")(hook)], hook_timeout=0.2).run()
    patience.set()

    assert ["done", "failed"] == outcomes(result)
    assert "TimeoutError: it took longer than 0.2 s; nothing was changed" in result.steps[1].error
    assert time.monotonic() - began < 10
    assert OLD in partitions(engine)


def test_a_timeout_of_its_own_is_its_own(face: Face, engine: Engine, hook_of: HookOf) -> None:
    """What a hook raises is told as it is."""
    table = in_march(engine)

    def upload(event: StepEvent) -> None:
        raise TimeoutError("the bucket did not answer")

    result = face.maintainer(table, "2026-03-15", hooks=[before("drop")(hook_of(upload))]).run()

    assert "TimeoutError: the bucket did not answer" in result.steps[1].error


def test_hooks_of_every_make(face: Face, engine: Engine) -> None:
    """A function, a partial, a method, an object, a lambda that gives a coroutine."""
    table, seen = in_march(engine), []

    class Caller:
        def method(self, event: StepEvent) -> None:
            seen.append("method")

        async def __call__(self, event: StepEvent) -> None:
            seen.append("object")

    async def named(name: str, event: StepEvent) -> None:
        seen.append(name)

    hooks: list[Hook] = [Caller().method, Caller(), partial(named, "partial"), lambda event: named("lambda", event)]
    result = face.maintainer(table, "2026-03-15", hooks=[before("provision")(each) for each in hooks]).run()

    assert result.ok
    assert ["method", "object", "partial", "lambda"] == seen


def test_the_first_refusal_is_the_last_question(face: Face, engine: Engine) -> None:
    table, asked = in_march(engine), []

    def no(event: StepEvent) -> bool:
        asked.append("no")
        return False

    def never(event: StepEvent) -> None:
        asked.append("never")

    face.maintainer(table, "2026-03-15", hooks=[before("drop")(no), before("drop")(never)]).prune()

    assert ["no"] == asked


def test_a_purpose_that_there_is_not() -> None:
    with pytest.raises(ValueError, match=r"drop, convert, undo, abort; without a purpose write @before\(\)"):
        before(print)  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match="no step is for 'create'; the purposes are heal, repair, adopt, regrid, provision"
    ):
        before("create")


def test_a_step_that_somebody_else_did_is_not_told(face: Face, engine: Engine) -> None:
    """AFTER means: committed by us."""
    table = in_march(engine)
    told: list[StepEvent] = []

    @before("drop")
    def by_hand(event: StepEvent) -> None:
        sql(engine, f"DROP TABLE {OLD}")

    result = face.maintainer(table, "2026-03-15", hooks=[by_hand, after("drop")(told.append)]).prune()

    assert [] == made(result)
    assert [] == told


def test_a_hook_against_every_step_of_a_light_batch(engine: Engine) -> None:
    """Steps that would have shared a transaction: none is left, and the run goes on."""
    table = monthly("drop")
    january(engine, table)

    @before("provision")
    def never(_: StepEvent) -> None:
        raise Veto("frozen")

    result = upkeep(engine, table, MARCH, hooks=[never]).run()

    assert ["vetoed", "vetoed", "done"] == outcomes(result)
