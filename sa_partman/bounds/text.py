"""Bounds and their values as SQL, for people and as JSON; what PostgreSQL prints of a value, read."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from uuid import UUID

from sa_partman.bounds.bound import (
    INFINITY,
    NAN,
    NEGATIVE_INFINITY,
    Bound,
    Extreme,
    FarTime,
    HashBound,
    KeyValue,
    ListBound,
    OrderKey,
    RangeBound,
    order_key,
)
from sa_partman.key import TIME_FAMILIES, Family, KeyType

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


_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMERIC = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NUMERIC_WORDS = {"NaN": NAN, "Infinity": INFINITY, "-Infinity": NEGATIVE_INFINITY}
_BOOLEANS = {"true": True, "t": True, "false": False, "f": False}


def value_of(text: str, type: KeyType) -> KeyValue:
    """
    The value of *type* that PostgreSQL prints as *text*, without the quotes.

    Raises:
        ValueError: *text* is no value of *type*.
    """
    return _READERS[type.family](text, type)


def _read_time(text: str, type: KeyType) -> KeyValue:
    return read_time(text, type.family)


def _read_integer(text: str, type: KeyType) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"{text!r} is not a value of {type.sql}")
    return int(text)


def _read_numeric(text: str, type: KeyType) -> Decimal | Extreme:
    if text in _NUMERIC_WORDS:
        return _NUMERIC_WORDS[text]
    if not _NUMERIC.fullmatch(text):
        raise ValueError(f"{text!r} is not a {type.sql}")
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"{text!r} is out of range") from error


def _read_uuid(text: str, type: KeyType) -> UUID:
    return UUID(text)


def _read_text(text: str, type: KeyType) -> str:
    # A character(5) is printed with its padding, which does not count when values are compared.
    return text.rstrip(" ") if type.unmodified == "bpchar" else text


def _read_boolean(text: str, type: KeyType) -> bool:
    if text not in _BOOLEANS:
        raise ValueError(f"{text!r} is not a {type.sql}")
    return _BOOLEANS[text]


def _read_other(text: str, type: KeyType) -> str:
    return text


_READERS: dict[Family, Callable[[str, KeyType], KeyValue]] = {
    **dict.fromkeys(TIME_FAMILIES, _read_time),
    Family.INTEGER: _read_integer,
    Family.NUMERIC: _read_numeric,
    Family.UUID: _read_uuid,
    Family.TEXT: _read_text,
    Family.BOOLEAN: _read_boolean,
    Family.ENUM: _read_other,
    Family.OTHER: _read_other,
}


def literal(value: KeyValue, type: KeyType) -> str:
    """
    *value* as an SQL literal that means the same under every session setting.

    Returns:
        With an explicit type where every search path finds it (``'42'::bigint``), and with an explicit offset where
        there is one; bare are ``NULL``, ``MINVALUE``, ``MAXVALUE`` and, for boolean itself, ``true`` and ``false``.

    Raises:
        ValueError: *value* is no value of *type*, or holds a NUL byte, which PostgreSQL can't store.
    """
    if value is None:
        return "NULL"
    if isinstance(value, Extreme) and value.unbounded:
        return value.name
    if isinstance(value, bool) and type.sql == "boolean":
        return "true" if value else "false"
    written = _quoted(_written(value, type))
    # An enum or a domain may not be on the search path; a bare literal takes the column's type.
    return f"{written}::{type.unmodified}" if type.resolvable else written


def _quoted(text: str) -> str:
    if "\0" in text:
        raise ValueError(f"{text!r} holds a NUL byte, which PostgreSQL can't store in a text")
    quoted = text.replace("'", "''")
    # An E string reads the same whether standard_conforming_strings is on or off.
    return "E'{}'".format(quoted.replace("\\", "\\\\")) if "\\" in text else f"'{quoted}'"


def _written(value: KeyValue, type: KeyType) -> str:
    """*value* without quotes, as `value_of` reads it."""
    family = type.family
    match value:
        case bool() if family is Family.BOOLEAN:
            return "true" if value else "false"
        case Extreme() if family in _EXTREMES.get(value, ()):
            return _EXTREME_WORDS[value].lower() if family in TIME_FAMILIES else _EXTREME_WORDS[value]
        case FarTime() if family in TIME_FAMILIES:
            return value.text
        case date() if family in TIME_FAMILIES:
            return write_time(value, family)
        case int() if family in (Family.INTEGER, Family.NUMERIC) and not isinstance(value, bool):
            return str(value)
        case Decimal() if family is Family.NUMERIC and value.is_finite():
            return format(value, "f")
        case UUID() if family is Family.UUID:
            return str(value)
        case str() if family in (Family.TEXT, Family.ENUM, Family.OTHER):
            return value
    raise ValueError(f"{value!r} can't be written as {type.sql}; give a value of that type")


_EXTREME_WORDS = {INFINITY: "Infinity", NEGATIVE_INFINITY: "-Infinity", NAN: "NaN"}
_EXTREMES = {
    INFINITY: TIME_FAMILIES | {Family.NUMERIC},
    NEGATIVE_INFINITY: TIME_FAMILIES | {Family.NUMERIC},
    NAN: {Family.NUMERIC},
}


def for_values(bound: Bound, types: Sequence[KeyType]) -> str:
    """
    ``FOR VALUES ...`` or ``DEFAULT``, as it stands behind ATTACH PARTITION.

    Args:
        types: Of the parent's key columns, in key order.

    Raises:
        ValueError: A value does not belong to its column's type.
    """
    match bound:
        case RangeBound():
            return f"FOR VALUES FROM ({_row(bound.lower, types)}) TO ({_row(bound.upper, types)})"
        case ListBound():
            return f"FOR VALUES IN ({', '.join(literal(value, types[0]) for value in in_order(bound.values))})"
        case HashBound():
            return f"FOR VALUES WITH (MODULUS {bound.modulus}, REMAINDER {bound.remainder})"
    return "DEFAULT"


def _row(values: Sequence[KeyValue], types: Sequence[KeyType]) -> str:
    return ", ".join(literal(value, type) for value, type in zip(values, types, strict=True))


def in_order(values: frozenset[KeyValue]) -> list[KeyValue]:
    """The values of a list, the smallest first and NULL last: the same text in every run."""
    return sorted(values, key=_null_last)


def _null_last(value: KeyValue) -> tuple[bool, OrderKey]:
    return (value is None, order_key(value))


Json = None | bool | int | str | list["Json"] | dict[str, "Json"]

_SHOWN_VALUES = 8
_PLAIN_TEXT = re.compile(r"[\w@./+:#-](?:[\w@./+:# -]*[\w@./+:#-])?")
_WORDS = {INFINITY: "infinity", NEGATIVE_INFINITY: "-infinity", NAN: "NaN"}


def describe(bound: Bound) -> str:
    """
    *bound* in a few words: ``[2024-01-01, 2024-02-01)``, ``in (de, fr)``, ``hash 3 of 8``, ``default``.

    Instants are shown in UTC, and as a date when it is midnight there. Long lists are cut.
    """
    match bound:
        case RangeBound():
            return f"[{_ends(bound.lower)}, {_ends(bound.upper)})"
        case ListBound():
            values = [shown(value) for value in in_order(bound.values)]
            more = len(values) - _SHOWN_VALUES
            return f"in ({', '.join(values[:_SHOWN_VALUES])}{f', ... {more} more' if more > 0 else ''})"
        case HashBound():
            return f"hash {bound.remainder} of {bound.modulus}"
    return "default"


def _ends(values: Sequence[KeyValue]) -> str:
    shown_values = ", ".join(map(shown, values))
    return shown_values if len(values) == 1 else f"({shown_values})"


def shown(value: KeyValue) -> str:
    """One value for people; a text in quotes when it could be taken for something else."""
    match value:
        case None:
            return "NULL"
        case bool():
            return "true" if value else "false"
        case datetime():
            return _shown_time(value)
        case str():
            return value if _PLAIN_TEXT.fullmatch(value) and value.lower() not in _RESERVED else repr(value)
        case Extreme():
            return _WORDS.get(value, value.name)
        case FarTime():
            return value.text
        case Decimal():
            return format(value, "f")
    return str(value)


_RESERVED = {"null", "true", "false", "minvalue", "maxvalue"}


def _shown_time(value: datetime) -> str:
    moment = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
    if moment.time() == time():
        return f"{moment.date()}"
    clock = moment.isoformat(sep=" ", timespec="auto" if moment.second or moment.microsecond else "minutes")
    return clock if value.tzinfo is None else f"{clock}+00"


def to_json(value: KeyValue | Bound) -> Json:
    """
    *value* in JSON's own types, exactly: numeric and uuid as text, times in ISO 8601, infinities by their names.

    A bound has the keys ``lower`` and ``upper`` (lists, one value a key column), ``values``, ``modulus`` and
    ``remainder``, or ``default``.
    """
    match value:
        case RangeBound():
            return {"lower": [to_json(each) for each in value.lower], "upper": [to_json(each) for each in value.upper]}
        case ListBound():
            return {"values": [to_json(each) for each in in_order(value.values)]}
        case HashBound():
            return {"modulus": value.modulus, "remainder": value.remainder}
        case None | bool() | int() | str():
            return value
        case date():
            return value.isoformat()
        case Decimal() | UUID() | Extreme() | FarTime():
            return shown(value)
    return {"default": True}
