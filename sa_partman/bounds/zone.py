"""Wall-clock time and instants, with PostgreSQL's answer where the clock is turned."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def zone_named(name: str) -> ZoneInfo:
    """
    Raises:
        ValueError: There is no such IANA zone on this machine.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f"time zone {name!r} is unknown here; use an IANA name such as 'UTC' or 'Europe/Paris' "
            f"(on Windows and slim images: pip install tzdata)"
        ) from error


def to_instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """
    The instant, in UTC, at which the clocks of *zone* show *wall* (naive).

    Where they show it twice, PostgreSQL takes the second time; where they skip it, the offset before the change holds.
    The ends of Python's calendar stand for what lies beyond them.

    Source: PostgreSQL, ``timestamp AT TIME ZONE zone``, ``DetermineTimeZoneOffset``.
    """
    first = wall.replace(tzinfo=zone)
    second = first.replace(fold=1)
    # PEP 495: the offset shrinks between the folds of a repeated hour and grows between those of a skipped one.
    chosen = second if (first.utcoffset() or _ZERO) > (second.utcoffset() or _ZERO) else first
    try:
        return chosen.astimezone(UTC)
    except OverflowError:
        return _end(wall).replace(tzinfo=UTC)


def to_wall(instant: datetime, zone: ZoneInfo) -> datetime:
    """What the clocks of *zone* show at *instant* (aware); naive, and within Python's calendar."""
    try:
        return instant.astimezone(zone).replace(tzinfo=None, fold=0)
    except OverflowError:
        return _end(instant)


def _end(moment: datetime) -> datetime:
    return datetime.min if moment.year == 1 else datetime.max


_ZERO = datetime.min - datetime.min
