"""What a run may still wait: budgets of time for a step, a table and the run, and one for what others wait for us."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from sa_partman.postgres.locks.retry import LockPolicy

STALLED = "Run this again when those transactions are over, or raise --stall (LockPolicy(stall=...))."
"""What to do when `Spending.stall_left` is nothing."""


@dataclass(slots=True)
class Spending:
    """
    Args:
        policy: The budgets.
        stalled: Seconds that requests for strong locks have waited in a queue, with others behind them.
        waited: Seconds that steps have waited for locks, pauses and looks included.
        by_table: The same for each declared table.
    """

    policy: LockPolicy
    stalled: float = 0.0
    waited: float = 0.0
    by_table: dict[str, float] = field(default_factory=dict)

    @property
    def stall_left(self) -> float:
        """Seconds."""
        return max(0.0, self.policy.stall - self.stalled)

    def left(self, table: str, began: float) -> float:
        """
        Seconds that the step which *began* then (monotonic) may still wait for its locks; below 0 when it may not.

        A table's budget is never below that of a step, and the run's never below that of a table.
        """
        policy = self.policy
        of_table = max(policy.table_budget, policy.budget)
        of_run = max(policy.run_budget, of_table)
        return min(
            policy.budget - (time.monotonic() - began),
            of_table - self.by_table.get(table, 0.0),
            of_run - self.waited,
        )

    def wait(self, table: str, seconds: float) -> None:
        """Notes that a step of *table* has waited."""
        self.waited += seconds
        self.by_table[table] = self.by_table.get(table, 0.0) + seconds

    @property
    def stall_reason(self) -> str:
        """Why no further lock is asked for."""
        return (
            f"requests for its locks have waited in queues for {self.stalled:.1f} s, with others behind them, and "
            f"LockPolicy(stall={self.policy.stall:g}) allows no more"
        )

    def stall(self, seconds: float) -> None:
        """Notes that a request of ours stood in a queue."""
        self.stalled += seconds
