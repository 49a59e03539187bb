"""Numbers that count time since 1970."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from sa_partman.bounds.bound import KeyValue
from sa_partman.codecs.codec import MICROSECOND, NUMBER_FAMILIES, exact, fitting, instant_at, microseconds
from sa_partman.errors import DeclarationError
from sa_partman.key import Family

_NANOSECONDS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}


@dataclass(frozen=True, slots=True)
class Epoch:
    """
    Seconds, milliseconds, microseconds or nanoseconds since 1970-01-01 00:00 UTC, in an integer or numeric column.

    Args:
        unit: "s", "ms", "us" or "ns".

    Raises:
        DeclarationError: Another unit.
    """

    unit: Literal["s", "ms", "us", "ns"]

    def __post_init__(self) -> None:
        if self.unit not in _NANOSECONDS:
            raise DeclarationError(f"Epoch({self.unit!r}): the unit is 's', 'ms', 'us' or 'ns'")

    @property
    def families(self) -> frozenset[Family]:
        return NUMBER_FAMILIES

    @property
    def resolution(self) -> timedelta:
        """A microsecond at least, which is as far as Python's time goes."""
        return max(timedelta(microseconds=_NANOSECONDS[self.unit] // 1000), MICROSECOND)

    def encode(self, instant: datetime, family: Family = Family.INTEGER) -> int | Decimal:
        """
        The number of whole units up to *instant*; negative before 1970.

        Raises:
            ValueError: *instant* is naive; nanoseconds of an instant outside the years 1677 to 2262 for an integer.
        """
        return fitting(microseconds(instant) * 1000 // _NANOSECONDS[self.unit], family, self)

    def decode(self, value: KeyValue) -> datetime:
        """
        The instant in UTC that *value* counts up to; fractions of a microsecond are dropped.

        Raises:
            ValueError: *value* is no number, or of a year that Python does not have.
        """
        return instant_at(exact(value) * _NANOSECONDS[self.unit] // 1000, value)

    def misplaced(self, column: str, family: Family = Family.INTEGER) -> str | None:
        """None: every number is a time."""
        return None
