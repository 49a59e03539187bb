"""What a run may still wait."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import create_engine

from sa_partman import LockPolicy
from sa_partman.engine.budget import Spending
from sa_partman.engine.exclusion import Exclusion
from sa_partman.engine.locks import InTheWay, Patience
from sa_partman.engine.running import Running
from sa_partman.engine.transaction import TableTransaction
from sa_partman.errors import LockNotAcquired
from sa_partman.events import Holder
from sa_partman.names import QualifiedName
from sa_partman.plan.steps import Purpose, Step
from sa_partman.ports import Sleeping

POLICY = LockPolicy(budget=10, table_budget=15, run_budget=18)
TABLE = QualifiedName(None, "a")


class Unlocked(TableTransaction):
    """One that asks no server."""

    def seek(self) -> tuple[Holder, ...]:
        return ()


def undertaken(policy: LockPolicy) -> Unlocked:
    running = Running(create_engine("postgresql+psycopg://"), policy, Sleeping(), Exclusion(1))
    return Unlocked(running=running, table=TABLE, step=Step(Purpose.CONVERT, TABLE, TABLE, None, ()))


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


def test_with_nothing_left_there_is_still_one_look() -> None:
    """Whoever finds nobody in the way is done."""
    transaction = undertaken(POLICY)
    transaction.running.spending.wait("a", 1_000)
    looks = []

    transaction.persevere(lambda: looks.append(1))

    assert [1] == looks


def test_somebody_who_stays_is_looked_at_until_the_budget_is_used_up() -> None:
    """No attempt was made, and what the next step of the table has left is less."""
    transaction, looks = undertaken(LockPolicy(budget=0.6, table_budget=1)), []

    def once() -> None:
        looks.append(1)
        raise InTheWay

    with pytest.raises(LockNotAcquired) as caught:
        transaction.persevere(once)

    assert 0 == caught.value.attempts
    assert len(looks) >= 2
    assert 0.3 < transaction.running.spending.by_table["a"] < 0.9


@pytest.mark.parametrize(
    ("lock_timeout", "deadlock_timeout", "expected"),
    [(0.2, 1.0, Patience(1.5, 0.2)), (0.8, 1.0, Patience(1.5, 0.5)), (0.2, 0.1, Patience(0.6, 0.05))],
)
def test_we_give_way_before_the_server_looks_for_a_deadlock(
    lock_timeout: float, deadlock_timeout: float, expected: Patience
) -> None:
    assert expected == Patience.of(lock_timeout, deadlock_timeout)


def test_budgets_are_above_zero() -> None:
    with pytest.raises(ValueError, match="above 0"):
        LockPolicy(run_budget=0)


def test_the_error_says_what_was_wanted_and_why_it_stopped() -> None:
    error = LockNotAcquired(
        "events", lock_timeout=0.2, attempts=3, blockers=["pid 7 (report)"], wanted="ACCESS EXCLUSIVE on events"
    )

    assert "no lock within 0.2 s in 3 attempts (ACCESS EXCLUSIVE on events); nothing was changed" in str(error)
    assert "Held by: pid 7 (report)." in str(error)
