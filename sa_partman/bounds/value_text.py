"""One key value and its text: what PostgreSQL prints, read; what PostgreSQL reads, written."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal, InvalidOperation
from uuid import UUID

from sa_partman.bounds.time_text import read_time, write_time
from sa_partman.bounds.values import INFINITY, NAN, NEGATIVE_INFINITY, Extreme, FarTime, KeyValue
from sa_partman.key import TIME_FAMILIES, Family, KeyType

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
