"""How long to try for a lock: bounded in time, in attempts and in what others have to wait."""

from __future__ import annotations

import random
import time
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sa_partman import LockPolicy
from sa_partman.engine.budget import Spending
from sa_partman.errors import LockNotAcquired


@given(
    pause=st.floats(0.01, 1),
    longest=st.floats(1, 10),
    seed=st.integers(),
)
def test_pauses(pause: float, longest: float, seed: int) -> None:
    """None before the first attempt, then growing, jittered, never longer than the longest."""
    policy = LockPolicy(pause=pause, longest_pause=longest)
    pauses = list(islice(policy.pauses(random.Random(seed)), 60))

    assert 0.0 == pauses[0]
    assert all(pause / 2 <= each <= longest for each in pauses[1:])
    assert pauses[-1] >= longest / 2


@pytest.mark.parametrize(
    ("lock_timeout", "stall", "attempts"), [(0.2, 2.0, 10), (2.0, 2.0, 1), (0.3, 1.0, 3), (0.1, 0.1, 1)]
)
def test_attempts(lock_timeout: float, stall: float, attempts: int) -> None:
    """As many as the stall budget allows, one at least."""
    assert attempts == LockPolicy(lock_timeout=lock_timeout, stall=stall).attempts


@pytest.mark.parametrize(
    "wrong",
    [
        {"lock_timeout": 0},
        {"lock_timeout": -1},
        {"lock_timeout": 3.0, "stall": 2.0},
        {"budget": 0},
        {"pause": 0},
        {"pause": 2.0, "longest_pause": 1.0},
    ],
)
def test_a_policy_that_makes_no_sense(wrong: dict[str, float]) -> None:
    """A lock_timeout of 0 would mean for ever."""
    with pytest.raises(ValueError, match=r"above 0|at most"):
        LockPolicy(**wrong)


POLICY = LockPolicy(budget=10, table_budget=15, run_budget=18)


def test_every_wait_is_paid_by_the_step_the_table_and_the_run() -> None:
    """The smallest of what is left counts."""
    spending, now = Spending(POLICY), time.monotonic()
    left = [spending.left("a", now)]
    for table in ("a", "b"):
        spending.wait(table, 9)
        left += [spending.left("a", now), spending.left("b", now), spending.left("c", now)]

    assert [10, 6, 9, 9, 0, 0, 0] == pytest.approx(left, abs=0.5)


def test_a_step_that_began_long_ago_has_nothing_left() -> None:
    assert Spending(POLICY).left("a", time.monotonic() - 11) < 0


def test_a_tables_budget_is_never_below_that_of_a_step() -> None:
    """Whoever raises one must not have to know of the others."""
    spending = Spending(LockPolicy(budget=600))

    assert 600 == pytest.approx(spending.left("a", time.monotonic()), abs=0.5)


def test_stalls_add_up() -> None:
    spending = Spending(LockPolicy(stall=1.0))
    spending.stall(0.4)

    assert 0.6 == pytest.approx(spending.stall_left)
    spending.stall(0.8)
    assert 0.0 == spending.stall_left


def test_budgets_are_above_zero() -> None:
    with pytest.raises(ValueError, match="above 0"):
        LockPolicy(run_budget=0)


def test_the_error_says_what_was_wanted_and_why_it_stopped() -> None:
    error = LockNotAcquired(
        "events", lock_timeout=0.2, attempts=3, blockers=["pid 7 (report)"], wanted="ACCESS EXCLUSIVE on events"
    )

    assert "no lock within 0.2 s in 3 attempts (ACCESS EXCLUSIVE on events); nothing was changed" in str(error)
    assert "Held by: pid 7 (report)." in str(error)
