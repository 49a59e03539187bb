"""What the steps of one run share: where it runs, its name, its locks and what it may still wait."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine

from sa_partman.ports import Waiting
from sa_partman.postgres.limits import Limits, limits_of
from sa_partman.postgres.locks.exclusion import APPLICATION, Exclusion
from sa_partman.postgres.locks.pooler import greeted_by
from sa_partman.postgres.locks.retry import LockPolicy
from sa_partman.postgres.locks.spending import Spending
from sa_partman.postgres.locks.waits import Waits


def new_name() -> str:
    """A name for one run: eight characters, in ``application_name``, in the log and in the audit."""
    return secrets.token_hex(4)


@dataclass(slots=True)
class Running:
    """
    Args:
        engine: Each step takes a connection of its own from it.
        policy: The budgets.
        waiting: How to sleep.
        exclusion: Our right to be the only maintainer, to be verified before each step.
        name: Of this run.
        waits: Tells what it waits for.
        spending: What its steps have waited so far.
    """

    engine: Engine = field(repr=False)
    policy: LockPolicy
    waiting: Waiting
    exclusion: Exclusion
    name: str = field(default_factory=new_name)
    waits: Waits = field(default_factory=Waits, repr=False)
    spending: Spending = field(init=False)
    _limits: Limits | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.spending = Spending(self.policy)

    @property
    def limits(self) -> Limits:
        """What the server allows; asked when the first step needs it."""
        if self._limits is None:
            self._limits = limits_of(self.engine)
        return self._limits

    def step_settings(self, seconds: float) -> dict[str, str]:
        """As `Limits.settings`, and how long our process may be stopped in the middle of a step."""
        frozen = {"idle_in_transaction_session_timeout": f"{round(self.policy.step_lease * 1000)}ms"}
        return self.limits.settings(self.application, seconds) | frozen

    def backend(self, connection: Connection) -> int | None:
        """The pid at the other end of *connection*; None behind a pooler, which may change it."""
        return None if self.exclusion.pooled else greeted_by(connection)

    @property
    def application(self) -> str:
        """For ``application_name``."""
        return APPLICATION + self.name
