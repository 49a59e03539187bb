"""How long to try for a lock: bounded in time, in attempts and in what others have to wait."""

from __future__ import annotations

import random
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sa_partman import LockPolicy


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
