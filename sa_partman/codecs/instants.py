"""Instants as whole numbers since 1970, and back: what every codec counts in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sa_partman.bounds.bound import KeyValue

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
