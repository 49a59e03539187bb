"""The health of a service, run by run."""

from __future__ import annotations

from datetime import timedelta

from sa_partman.observe.health import Ended, Health, StepCount
from tests.support.builders import at

START = at("2026-01-01")
NEW = Health(START, interval=60.0, due=START)


def after(*ends: Ended) -> Health:
    health = NEW
    for end in ends:
        health = health.with_begin(end.at - timedelta(seconds=1)).with_end(end)
    return health


def test_before_the_first_run_has_ended() -> None:
    """Not healthy yet, and it says why."""
    assert "no run has ended yet" == NEW.problem(START)
    assert NEW.with_begin(START).running
    assert not NEW.running


def test_after_a_good_run() -> None:
    health = after(Ended(at("2026-01-01 00:00:10")))

    assert "" == health.problem(at("2026-01-01 00:00:20"))
    assert (1, 0, 0) == (health.runs, health.errors, health.busy)
    assert not health.running


def test_two_intervals_after_it() -> None:
    """Late, and not at exactly two."""
    health = after(Ended(at("2026-01-01 00:00:10")))

    assert "" == health.problem(at("2026-01-01 00:02:10"))
    assert "more than 2 intervals ago" in health.problem(at("2026-01-01 00:02:11"))


def test_after_a_bad_run_and_a_good_one() -> None:
    bad = after(Ended(at("2026-01-01 00:00:10"), error="no connection"))
    good = bad.with_end(Ended(at("2026-01-01 00:01:00")))

    assert "the last run failed: no connection" == bad.problem(at("2026-01-01 00:00:20"))
    assert "" == good.problem(at("2026-01-01 00:01:20"))
    assert (2, 1) == (good.runs, good.errors)


def test_another_maintainer_at_work_is_no_failure() -> None:
    """Unless it is so for ever."""
    busy = [Ended(at(f"2026-01-01 00:0{minute}:00"), busy=True) for minute in range(4)]

    assert "" == after(*busy[:2]).problem(at("2026-01-01 00:01:10"))
    assert "at each of our turns" in after(*busy).problem(at("2026-01-01 00:03:10"))
    assert 4 == after(*busy).busy


def test_steps_are_counted_over_the_runs() -> None:
    steps = (("public.events", "provision", "done"), ("public.events", "drop", "failed"))
    health = after(Ended(at("2026-01-01"), steps=steps), Ended(at("2026-01-02"), steps=steps[:1]))

    assert (
        StepCount("public.events", "drop", "failed", 1),
        StepCount("public.events", "provision", "done", 2),
    ) == health.counts


def test_missed_turns_add_up() -> None:
    health = NEW.with_due(at("2026-01-02"), missed=2).with_due(None, missed=1)

    assert (3, None) == (health.missed, health.due)


def test_as_a_document() -> None:
    health = after(Ended(at("2026-01-01 00:00:10"), error="no\nconnection")).with_due(at("2026-01-01 00:01:00"))

    assert {
        "ok": False,
        "problem": "the last run failed: no\nconnection",
        "started": "2026-01-01T00:00:00+00:00",
        "running": False,
        "last_run": {"ended": "2026-01-01T00:00:10+00:00", "ok": False, "busy": False, "error": "no\nconnection"},
        "next_run": "2026-01-01T00:01:00+00:00",
        "runs": {"ended": 1, "failed": 1, "busy": 0, "missed": 0},
    } == health.to_dict(at("2026-01-01 00:00:20"))


def test_the_service_ended_in_the_middle_of_a_run() -> None:
    begun = NEW.with_begin(START)

    assert [True, False] == [begun.running, begun.with_due(None).running]
