"""A wait is told within two seconds, then less and less often, and once more when it is over."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import pytest

from sa_partman import Holder, WaitEvent
from sa_partman.engine.waits import Wait, Waits

REPORT = Holder(
    7, "3/1", "report", "idle in transaction", "AccessShareLock", "client backend", None, 34.0, False, "a.b"
)


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Told:
    """A wait for a report, and when what was said of it."""

    clock: Clock = field(default_factory=Clock)
    events: list[WaitEvent] = field(default_factory=list)

    def wait(self) -> Wait:
        return Wait(Waits("abcd1234", self.events.append), "a.b", "ACCESS EXCLUSIVE on a.b", clock=self.clock)

    @property
    def seconds(self) -> list[float]:
        return [round(each.seconds, 2) for each in self.events if not each.over]


def test_first_within_two_seconds_and_then_less_and_less_often() -> None:
    """Somebody looks four times a second, for five minutes."""
    told = Told()
    wait = told.wait()
    for _ in range(4 * 300):
        wait.found((REPORT,))
        told.clock.now += 0.25

    assert [1.0, 3.0, 5.0, 9.0, 17.0, 33.0, 63.0, 93.0, 123.0, 153.0, 183.0, 213.0, 243.0, 273.0] == told.seconds


def test_nothing_is_said_of_a_short_wait() -> None:
    told = Told()
    wait = told.wait()
    wait.found((REPORT,))
    told.clock.now += 0.9
    wait.found((REPORT,))
    wait.over()

    assert [] == told.events


def test_its_end_is_said_once_and_the_next_wait_is_another_one() -> None:
    told = Told()
    wait = told.wait()
    for _ in range(2):
        wait.found((REPORT,))
        told.clock.now += 1.5
        wait.found((REPORT,))
        told.clock.now += 1
        wait.over()
        wait.over()

    assert [(1.5, False), (2.5, True)] * 2 == [(each.seconds, each.over) for each in told.events]


def test_a_statement_has_waited_since_it_was_sent() -> None:
    told = Told()
    told.wait().found((REPORT,), since=98.0)

    assert [2.0] == told.seconds


def test_who_is_in_the_way_is_asked_when_nobody_has_said_so() -> None:
    told, asked = Told(), []
    wait = told.wait()
    wait.seek = lambda: (asked.append(told.clock.now), (REPORT,))[1]  # type: ignore[func-returns-value]
    wait.found()
    told.clock.now += 1
    wait.found()

    assert [101.0] == asked
    assert (REPORT,) == told.events[0].holders


def test_the_words() -> None:
    said = str(WaitEvent("r", "a.b", "ACCESS EXCLUSIVE on a.b", (REPORT,), 2.2))

    assert said == (
        "a.b: waiting for ACCESS EXCLUSIVE on a.b, 2 s so far; held up by pid 7 (report) idle in transaction with "
        "AccessShareLock on a.b for 34 s"
    )
    assert "a.b: no longer waiting for x, after 9 s" == str(WaitEvent("r", "a.b", "x", (REPORT,), 9, over=True))


def test_the_log_has_fields(caplog: pytest.LogCaptureFixture) -> None:
    """As WARNING; the end as INFO."""
    told = Told()
    wait = told.wait()
    with caplog.at_level(logging.INFO, logger="sa_partman"):
        wait.found((REPORT,), since=98.0)
        wait.over()
    first, last = caplog.records

    assert ("WARNING", "abcd1234", "a.b", "waiting", 2.0) == (
        first.levelname,
        *(getattr(first, name) for name in ("run", "table", "outcome", "seconds")),
    )
    assert getattr(first, "waits_for") == (  # noqa: B009
        {
            "pid": 7,
            "application": "report",
            "state": "idle in transaction",
            "mode": "AccessShareLock",
            "table": "a.b",
            "seconds": 34.0,
            "prepared": None,
        },
    )
    assert ("INFO", "waited") == (last.levelname, getattr(last, "outcome"))  # noqa: B009


def test_a_callback_that_fails_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def fail(event: WaitEvent) -> None:
        raise RuntimeError("no bell")

    Wait(Waits("r", fail), "a.b", "x").found((REPORT,), since=0.0)

    assert "on_wait= failed" in caplog.text
