"""Dates and times as PostgreSQL has them: wall-clock time and instants, and both as text with DateStyle ISO."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sa_partman.bounds.bound import INFINITY, NEGATIVE_INFINITY, Extreme, FarTime, KeyValue
from sa_partman.key import Family


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


_TIME = re.compile(
    r"([0-9]{4,7})-([0-9]{2})-([0-9]{2})"
    r"(?: ([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,6}))?)?"
    r"([+-][0-9]{2}(?::[0-9]{2}){0,2})?"
    r"( BC)?"
)
_HAS_TIME_AND_OFFSET = {
    Family.DATE: (False, False),
    Family.TIMESTAMP: (True, False),
    Family.TIMESTAMPTZ: (True, True),
}
_INFINITIES = {"infinity": INFINITY, "-infinity": NEGATIVE_INFINITY}
_EPOCH = datetime(1970, 1, 1)
_TICK = timedelta(microseconds=1)
_CYCLE = timedelta(days=146_097) // _TICK  # 400 years of the Gregorian calendar


def read_time(text: str, family: Family) -> KeyValue:
    """
    The value of *family* (date, timestamp, timestamptz) that PostgreSQL prints as *text*.

    Returns:
        ``date``, naive ``datetime`` or aware ``datetime`` in UTC; a `FarTime` or an `Extreme` where Python has none.

    Raises:
        ValueError: Not written in DateStyle ISO, or a text of another family.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        return _infinity(text, family)
    digits, month, day, hour, minute, second, fraction, offset, era = match.groups()
    if (hour is not None, offset is not None) != _HAS_TIME_AND_OFFSET[family]:
        raise ValueError(f"{text!r} is not a {family}")
    year = int(digits)
    if hour is None:
        if era is None and 0 < year < 10_000:
            return date(year, int(month), int(day))
        hour = minute = second = "0"
    micro = int(fraction.ljust(6, "0")) if fraction else 0
    if era is None and 0 < year < 10_000 and offset in (None, "+00"):
        zone = UTC if offset else None
        return datetime(year, int(month), int(day), int(hour), int(minute), int(second), micro, zone)
    if year == 0:
        raise ValueError(f"{text!r}: there is no year 0")
    cycles, year = divmod(1 - year if era else year, 400)
    # A year of the same place in the cycle, far from both ends of Python's calendar.
    moment = datetime(2000 + year, int(month), int(day), int(hour), int(minute), int(second), micro)
    return _of_ordinal((moment - _EPOCH) // _TICK + (cycles - 5) * _CYCLE - _microseconds(offset), family)


def _infinity(text: str, family: Family) -> Extreme:
    if text not in _INFINITIES:
        raise ValueError(f"{text!r} is not a {family} in DateStyle ISO")
    return _INFINITIES[text]


def _microseconds(offset: str | None) -> int:
    """``+05:30`` -> 19_800_000_000."""
    if offset is None:
        return 0
    hours, minutes, seconds = (*map(int, offset[1:].split(":")), 0, 0)[:3]
    size = (hours * 3600 + minutes * 60 + seconds) * 1_000_000
    return -size if offset[0] == "-" else size


_FIRST = (datetime.min - _EPOCH) // _TICK
_LAST = (datetime.max - _EPOCH) // _TICK


def _of_ordinal(ordinal: int, family: Family) -> KeyValue:
    """The value that lies *ordinal* microseconds after 1970-01-01 00:00."""
    if not _FIRST <= ordinal <= _LAST:
        # Written anew, so that equal instants are equal whatever offset they were printed with.
        return FarTime(_text(ordinal, family), ordinal)
    moment = _EPOCH + timedelta(microseconds=ordinal)
    if family is Family.DATE:
        return moment.date()
    return moment.replace(tzinfo=UTC) if family is Family.TIMESTAMPTZ else moment


def _text(ordinal: int, family: Family) -> str:
    """As PostgreSQL prints it in UTC."""
    cycles, rest = divmod(ordinal, _CYCLE)
    moment = _EPOCH + timedelta(microseconds=rest)
    year = moment.year + 400 * cycles
    era = " BC" if year < 1 else ""
    day = f"{1 - year if era else year:04}-{moment:%m-%d}"
    if family is Family.DATE:
        return day + era
    fraction = f".{moment:%f}".rstrip("0").rstrip(".")
    return f"{day} {moment:%H:%M:%S}{fraction}{'+00' if family is Family.TIMESTAMPTZ else ''}{era}"


def write_time(value: date, family: Family) -> str:
    """
    *value* as PostgreSQL prints it with DateStyle ISO and reads it under any setting; instants in UTC.

    Raises:
        ValueError: A naive value for timestamptz, an aware one for timestamp, a time of day for date.
    """
    moment = value if isinstance(value, datetime) else None
    if family is Family.DATE and moment is None:
        return value.isoformat()
    if family is Family.TIMESTAMP and moment is not None and moment.tzinfo is None:
        return _text((moment - _EPOCH) // _TICK, family)
    offset = moment.utcoffset() if moment is not None else None
    if family is Family.TIMESTAMPTZ and moment is not None and offset is not None:
        return _text((moment.replace(tzinfo=None) - _EPOCH - offset) // _TICK, family)
    raise ValueError(f"{value!r} can't be written as {family}: give {_WANTED[family]}")


_WANTED = {
    Family.DATE: "a date without a time of day",
    Family.TIMESTAMP: "a datetime without a time zone",
    Family.TIMESTAMPTZ: "a datetime with a time zone",
}
