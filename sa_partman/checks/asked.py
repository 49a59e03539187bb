"""What whoever asks for a check wants to be told beyond what is plainly wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sa_partman.bounds.interval import Duration

MONTH = timedelta(days=30)
"""A month where an age is measured; runways are measured by the calendar."""


@dataclass(frozen=True, slots=True)
class Asked:
    """
    Args:
        min_horizon: A runway that is shorter is an error; None: what premake= asks for is enough.
        max_age: A last good run that is older is stale; None: two of the shortest declared interval.
        as_role: Say what this role lacks too; None: the connected role only.
    """

    min_horizon: Duration | None = None
    max_age: timedelta | None = None
    as_role: str | None = None

    @classmethod
    def of(
        cls,
        min_horizon: str | timedelta | Duration | None = None,
        max_age: str | timedelta | Duration | None = None,
        as_role: str | None = None,
    ) -> Asked:
        """
        From words: ``"7d"``, ``"2 weeks"``, a ``timedelta``.

        Raises:
            ValueError: That is no length of time.
        """
        age = None if max_age is None else _duration(max_age)
        return cls(
            None if min_horizon is None else _duration(min_horizon),
            None if age is None else age.months * MONTH + timedelta(days=age.days, seconds=age.seconds),
            as_role,
        )


def _duration(value: str | timedelta | Duration) -> Duration:
    if not isinstance(value, str | timedelta | Duration):
        raise ValueError(f"{value!r} is not a length of time; write a text such as '7d', or a timedelta")
    return value if isinstance(value, Duration) else Duration.parse(value)
