"""
What a codec must offer, what all of them count in, and what those of numbers share. A class of your own works as
well.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Protocol, runtime_checkable

from sa_partman.bounds.bound import KeyValue
from sa_partman.key import Family


@runtime_checkable
class Codec(Protocol):
    """
    Instants hidden in the values of another type, in the same order.

    A codec is immutable, comparable, and its ``repr()`` is the Python that makes it again, because migration files
    contain it. For every instant on its resolution ``decode(encode(instant)) == instant`` holds; values made within
    a period compare ``>= encode(lower)`` and ``< encode(upper)``.
    """

    @property
    def families(self) -> frozenset[Family]:
        """The key types that this codec can live in."""
        ...

    @property
    def resolution(self) -> timedelta:
        """The shortest time that two different values can be apart."""
        ...

    def encode(self, instant: datetime, family: Family) -> KeyValue:
        """
        The smallest key value of *instant*, as a value of *family*.

        Raises:
            ValueError: *instant* (aware) is outside what the codec can hold.
        """
        ...

    def decode(self, value: KeyValue) -> datetime:
        """
        The aware instant, in UTC, that *value* was made at.

        Raises:
            ValueError: *value* is not of this codec (a UUIDv4 where UUIDv7 is expected).
        """
        ...

    def misplaced(self, column: str, family: Family) -> str | None:
        """
        SQL that is true for a row whose *column* (quoted already, of *family*) this codec can't place; None when it
        can place every value.
        """
        ...


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MILLISECOND = timedelta(milliseconds=1)


def microseconds(instant: datetime) -> int:
    """
    From 1970-01-01 00:00 UTC to *instant*.

    Raises:
        ValueError: *instant* is naive.
    """
    if instant.utcoffset() is None:
        raise ValueError(f"{instant!r} has no time zone; give an aware datetime, such as datetime(..., tzinfo=UTC)")
    return (instant - EPOCH) // MICROSECOND


def milliseconds(instant: datetime) -> int:
    """As `microseconds`, rounded down."""
    return microseconds(instant) // 1000


def instant_at(micros: int, value: KeyValue) -> datetime:
    """
    The instant in UTC, *micros* after 1970-01-01 00:00 UTC, that *value* stands for.

    Raises:
        ValueError: It lies outside the years 1 to 9999.
    """
    try:
        return EPOCH + timedelta(microseconds=micros)
    except OverflowError as error:
        raise ValueError(f"{value!r} would be an instant outside the years 1 to 9999") from error


def milliseconds_in_48_bits(instant: datetime, codec: str) -> int:
    """
    What UUIDv7 and ULID begin with.

    Raises:
        ValueError: *instant* is naive, or before 1970.
    """
    millis = milliseconds(instant)
    if millis < 0:
        raise ValueError(f"{instant} is before 1970, where a {codec} can't reach; start later")
    return millis


NUMBER_FAMILIES = frozenset({Family.INTEGER, Family.NUMERIC})
_BIGINT = range(-(2**63), 2**63)


def exact(value: KeyValue) -> Fraction:
    """
    *value* without rounding.

    Raises:
        ValueError: It is no finite number.
    """
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not Decimal(value).is_finite():
        raise ValueError(f"{value!r} is not a finite number")
    return Fraction(value)


def fitting(number: int, family: Family, codec: object) -> int | Decimal:
    """
    *number* as a value of *family*.

    Raises:
        ValueError: Not even a bigint can hold it.
    """
    if family is Family.NUMERIC:
        return Decimal(number)
    if number not in _BIGINT:
        raise ValueError(f"{codec!r}: {number} does not fit a bigint; use a numeric column, or start and keep less")
    return number
