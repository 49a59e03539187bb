"""When the next run is due: on a grid from the first one on, so that runs don't drift, and none is made up for."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from math import floor

from sa_partman.bounds.interval import Duration

_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Schedule:
    """
    Args:
        interval: Seconds from one turn to the next; above 0.
        jitter: The part of an interval by which a run may begin late, so that replicas don't knock all at once; from 0
            to below 1.
    """

    interval: float
    jitter: float = 0.1

    def __post_init__(self) -> None:
        if self.interval <= 0:
            raise ValueError(f"every={self.interval:g} s must be above 0")
        if not 0 <= self.jitter < 1:
            raise ValueError(f"jitter={self.jitter} must be at least 0 and below 1: a fraction of the interval")

    @classmethod
    def of(cls, every: str | timedelta | float, jitter: float = 0.1) -> Schedule:
        """
        Args:
            every: ``"1 hour"``, ``"90s"``, a ``timedelta``, or seconds.

        Raises:
            ValueError: It is none of these, or counts in months, which have no fixed length.
        """
        if isinstance(every, timedelta):
            return cls(every.total_seconds(), jitter)
        if isinstance(every, int | float):
            return cls(float(every), jitter)
        length = Duration.parse(every)
        if length.months:
            raise ValueError(f"every={every!r}: months have no fixed length; write days or hours")
        return cls(float(length.days * _DAY + length.seconds), jitter)

    def next(self, turn: int, elapsed: float, chance: random.Random | None = None) -> tuple[int, float]:
        """
        The first turn that is still to come, and the seconds until its run begins.

        Args:
            turn: The last one; the first run was turn 0.
            elapsed: Seconds since the first run was due.
        """
        coming = max(turn, floor(elapsed / self.interval)) + 1
        late = (chance or random.Random()).random() * self.jitter * self.interval
        return coming, coming * self.interval + late - elapsed
