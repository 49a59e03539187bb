"""How long to wait for a lock."""

from __future__ import annotations

import pytest

from sa_partman.engine.locks import Patience


@pytest.mark.parametrize(
    ("lock_timeout", "deadlock_timeout", "expected"),
    [(0.2, 1.0, Patience(1.5, 0.2)), (0.8, 1.0, Patience(1.5, 0.5)), (0.2, 0.1, Patience(0.6, 0.05))],
)
def test_we_give_way_before_the_server_looks_for_a_deadlock(
    lock_timeout: float, deadlock_timeout: float, expected: Patience
) -> None:
    assert expected == Patience.of(lock_timeout, deadlock_timeout)
