"""Snowflakes: milliseconds since an epoch of one's own, shifted left to make room for machine and sequence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sa_partman.bounds.bound import KeyValue
from sa_partman.codecs.codec import MILLISECOND, NUMBER_FAMILIES, exact, fitting, instant_at, milliseconds
from sa_partman.errors import DeclarationError
from sa_partman.key import Family


@dataclass(frozen=True, slots=True)
class Snowflake:
    """
    Snowflakes in a bigint (or numeric) column.

    Args:
        epoch: Where the milliseconds begin: an aware datetime, ISO text (UTC unless it says otherwise), or milliseconds
            since 1970; kept as the last. Twitter has 1288834974657, Discord "2015-01-01".
        shift: The number of bits below the time, 0 to 62.

    Raises:
        DeclarationError: *epoch* is naive or no time, *shift* is out of range.
    """

    epoch: int | str | datetime
    shift: int = 22

    def __post_init__(self) -> None:
        object.__setattr__(self, "epoch", _milliseconds_of(self.epoch))
        if type(self.shift) is not int or not 0 <= self.shift < 63:
            raise DeclarationError(
                f"Snowflake(shift={self.shift!r}): a bigint has 0 to 62 bits below the time; most use 22"
            )

    @property
    def families(self) -> frozenset[Family]:
        return NUMBER_FAMILIES

    @property
    def resolution(self) -> timedelta:
        return MILLISECOND

    @property
    def _begin(self) -> int:
        assert isinstance(self.epoch, int)  # whatever was given: see __post_init__
        return self.epoch

    def encode(self, instant: datetime, family: Family = Family.INTEGER) -> int | Decimal:
        """
        The smallest snowflake of *instant*; negative before the epoch, so that an interval may hold the epoch within.

        Raises:
            ValueError: *instant* is naive, or too far from the epoch for a bigint.
        """
        return fitting((milliseconds(instant) - self._begin) << self.shift, family, self)

    def decode(self, value: KeyValue) -> datetime:
        """
        The instant in UTC at which *value* was made.

        Raises:
            ValueError: *value* is no number, or of a year that Python does not have.
        """
        millis = (exact(value) // 1 >> self.shift) + self._begin
        return instant_at(millis * 1000, value)

    def misplaced(self, column: str, family: Family = Family.INTEGER) -> str | None:
        """None: every number is a time."""
        return None


def _milliseconds_of(epoch: int | str | datetime) -> int:
    if isinstance(epoch, int):
        return int(epoch)
    try:
        return milliseconds(_utc(datetime.fromisoformat(epoch)) if isinstance(epoch, str) else epoch)
    except (ValueError, AttributeError) as error:
        raise DeclarationError(
            f"Snowflake(epoch={epoch!r}): give ISO text such as '2015-01-01T00:00:00+00:00', an aware datetime, or "
            f"milliseconds since 1970 ({error})"
        ) from error


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
