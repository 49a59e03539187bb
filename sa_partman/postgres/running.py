"""What the steps of one run share: where it runs, its name, its locks and what it may still wait."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from sqlalchemy import Engine

from sa_partman.ports.waiting import Waiting
from sa_partman.postgres.exclusion import Exclusion
from sa_partman.postgres.retry import LockPolicy

APPLICATION = "sa_partman:"
"""How ``application_name`` begins on every connection of a run; the run's name follows."""


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
        stalled: Seconds that attempts of this run have waited in a queue so far.
    """

    engine: Engine
    policy: LockPolicy
    waiting: Waiting
    exclusion: Exclusion
    name: str = field(default_factory=new_name)
    stalled: float = 0.0

    @property
    def application(self) -> str:
        """For ``application_name``."""
        return APPLICATION + self.name
