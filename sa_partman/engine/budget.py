"""How long to try for locks, and what a run may still wait; never a last try without a timeout."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count


@dataclass(frozen=True, slots=True)
class LockPolicy:
    """
    How long a maintainer waits for locks, and how long it may make others wait; all in seconds.

    Args:
        lock_timeout: Seconds that one attempt waits for a lock, and others behind it. Keep it below the server's
            ``deadlock_timeout`` (1 s), so that the maintainer gives way and never the application.
        budget: Seconds that one step may take in all, pauses included.
        pause: Seconds between two attempts at first; it doubles, jittered, up to *longest_pause*.
        longest_pause: Seconds.
        stall: Seconds that requests for locks which stop readers or writers may wait in a queue, all those of one run
            together. When they are used up, the run's other steps that need such locks are deferred to the next run.
        table_budget: Seconds that all steps of one table may wait for locks; at least *budget*.
        run_budget: Seconds that all steps of a run may wait for locks; at least *table_budget*. When one of the budgets
            of time is used up, a step still takes one look, and is done if nobody is in its way.
        turn: Seconds to wait for another maintainer to finish, before `MaintainerBusy`.
        lease: Seconds without a sign of life after which the server takes from a stopped process what it holds: the
            right to be the only maintainer; and the locks of a step after half of them, but never later than after 10.
    """

    lock_timeout: float = 0.2
    budget: float = 60.0
    pause: float = 0.1
    longest_pause: float = 1.0
    stall: float = 2.0
    turn: float = 0.0
    table_budget: float = 120.0
    run_budget: float = 300.0
    lease: float = 60.0

    def __post_init__(self) -> None:
        if not 0 < self.lock_timeout <= self.stall:
            raise ValueError(f"lock_timeout={self.lock_timeout} must be above 0 and at most stall={self.stall}")
        if min(self.table_budget, self.run_budget) <= 0:
            raise ValueError(f"table_budget={self.table_budget} and run_budget={self.run_budget} must be above 0")
        if self.lease < 1:
            raise ValueError(f"lease={self.lease} must be at least 1 second")
        if self.budget <= 0 or self.pause <= 0 or self.longest_pause < self.pause:
            raise ValueError("budget= and pause= must be above 0, and longest_pause= at least pause=")

    @property
    def step_lease(self) -> float:
        """As *lease*, for the transaction of a step: it has ended before somebody else can be the maintainer."""
        return min(10.0, self.lease / 2)

    @property
    def attempts(self) -> int:
        """How many attempts the stall budget allows."""
        return max(1, int(self.stall / self.lock_timeout))

    def pauses(self, chance: random.Random | None = None) -> Iterator[float]:
        """Seconds to sleep before each attempt: 0, then growing; endless."""
        jitter = chance or random.Random()
        yield 0.0
        for attempt in count():
            longest = min(self.longest_pause, self.pause * 2.0 ** min(attempt, 30))
            yield longest * (0.5 + jitter.random() / 2)


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
