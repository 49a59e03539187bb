"""When the next run is due."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest

from sa_partman.maintenance.schedule import Schedule


@pytest.mark.parametrize(
    ("every", "seconds"),
    [
        ("1 hour", 3600),
        ("1h", 3600),
        ("30m", 1800),
        ("90s", 90),
        ("1 hour 30 minutes", 5400),
        ("1 day", 86_400),
        (timedelta(minutes=5), 300),
        (timedelta(milliseconds=50), 0.05),
        (15, 15),
        (0.5, 0.5),
    ],
)
def test_every(every: Any, seconds: float) -> None:
    assert seconds == Schedule.of(every).interval


@pytest.mark.parametrize("every", ["", "soon", "1", "0 hours", 0, -1, timedelta(0), "1 month", "-1 hour"])
def test_what_is_no_interval(every: Any) -> None:
    with pytest.raises(ValueError, match=r"interval|fixed length|number|must be above 0"):
        Schedule.of(every)


@pytest.mark.parametrize("jitter", [-0.1, 1.0, 2.0])
def test_what_is_no_jitter(jitter: float) -> None:
    with pytest.raises(ValueError, match="jitter"):
        Schedule(60, jitter)


def test_the_grid_starts_with_the_first_run() -> None:
    """A run of five seconds does not shift the next one."""
    schedule = Schedule(60, jitter=0)

    assert (1, 55.0) == schedule.next(0, 5.0)
    assert (2, 50.0) == schedule.next(1, 70.0)


def test_missed_turns_are_dropped() -> None:
    """A run from turn 0 that took three and a half intervals: turn 4 is next, and nothing is made up for."""
    assert (4, 30.0) == Schedule(60, jitter=0).next(0, 210.0)


def test_a_turn_is_never_taken_twice() -> None:
    """A run that began at once and ended in the same instant."""
    assert (1, 60.0) == Schedule(60, jitter=0).next(0, 0.0)


def test_jitter_only_delays_and_does_not_add_up() -> None:
    schedule, chance = Schedule(60, jitter=0.5), random.Random(7)
    pauses = [schedule.next(turn, turn * 60.0, chance) for turn in range(100)]

    assert list(range(1, 101)) == [turn for turn, _ in pauses]
    assert all(60 <= pause < 90 for _, pause in pauses)
    assert len({pause for _, pause in pauses}) > 50
