"""How long a transaction perseveres while its locks are refused."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine

from sa_partman import LockPolicy
from sa_partman.engine.exclusion import Exclusion
from sa_partman.engine.locks import InTheWay
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
