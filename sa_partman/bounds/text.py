"""Bounds and their values as SQL, for people and as JSON; what PostgreSQL prints of a value, read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from itertools import zip_longest
from uuid import UUID

from sa_partman.bounds.bound import (
    INFINITY,
    MAXVALUE,
    MINVALUE,
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
from sa_partman.bounds.times import read_time, write_time
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


def check_predicate(bound: Bound, columns: Sequence[str], types: Sequence[KeyType]) -> str | None:
    """
    A condition that holds for the rows of *bound* and no others, in a shape from which PostgreSQL can prove it.

    Args:
        columns: SQL of each key part, in key order: a quoted name, or an expression in parentheses.
        types: Of the key parts.

    Returns:
        None for HASH and DEFAULT: a hash depends on the parent's oid, a default on all its other partitions.

    Raises:
        ValueError: A value does not belong to its column's type.

    Source: PostgreSQL, CREATE TABLE / ALTER TABLE ... ATTACH PARTITION; ``get_qual_for_range`` (``partbounds.c``).
    """
    match bound:
        case RangeBound():
            return " AND ".join(_range(bound, columns, types))
        case ListBound():
            return _list(bound, columns[0], types[0])
    return None


def _list(bound: ListBound, column: str, type: KeyType) -> str:
    literals = [literal(value, type) for value in in_order(bound.values) if value is not None]
    # IN over arrays would look into them; PostgreSQL itself compares them one by one.
    alternatives = [f"{column} = {each}" for each in literals] if type.sql.endswith("[]") else []
    held = " OR ".join(alternatives) or f"{column} IN ({', '.join(literals)})"
    if None in bound.values:
        return f"{column} IS NULL OR {held}" if literals else f"{column} IS NULL"
    return f"{column} IS NOT NULL AND ({held})" if len(alternatives) > 1 else f"{column} IS NOT NULL AND {held}"


@dataclass(frozen=True, slots=True)
class _Side:
    """
    One side of a range.

    Args:
        sign: Between a key beyond the end and the end.
        last: The same for the last column, where being equal counts too or does not.
        open: The end that is none.
    """

    sign: str
    last: str
    open: Extreme


_ABOVE_LOWER = _Side(">", ">=", MINVALUE)
_BELOW_UPPER = _Side("<", "<", MAXVALUE)


def _range(bound: RangeBound, columns: Sequence[str], types: Sequence[KeyType]) -> Iterator[str]:
    """The conditions, all of which hold."""
    if bound.lower == bound.upper:
        raise AssertionError(f"{bound} is empty: the server has no such partition")
    yield from (f"{column} IS NOT NULL" for column in columns)
    lower = list(map(_Edge, columns, types, bound.lower))
    upper = list(map(_Edge, columns, types, bound.upper))
    shared = 0
    while lower[shared] == upper[shared]:
        yield lower[shared].compared("=")
        shared += 1
    yield from _either(list(_arms(lower[shared:], _ABOVE_LOWER)))
    yield from _either(list(_arms(upper[shared:], _BELOW_UPPER)))


@dataclass(frozen=True, slots=True)
class _Edge:
    """Where a range ends in one column."""

    column: str
    type: KeyType
    value: KeyValue

    @property
    def is_value(self) -> bool:
        return not (isinstance(self.value, Extreme) and self.value.unbounded)

    def compared(self, sign: str) -> str:
        return f"{self.column} {sign} {literal(self.value, self.type)}"


def _arms(edges: Sequence[_Edge], side: _Side) -> Iterator[str]:
    """Alternatives: beyond in the first column; or equal there and beyond in the second; and so on."""
    equal: list[str] = []
    for edge, following in zip_longest(edges, edges[1:]):
        if not edge.is_value:
            return
        yield " AND ".join((*equal, edge.compared(_sign(following, side))))
        equal.append(edge.compared("="))


def _sign(following: _Edge | None, side: _Side) -> str:
    """Where nothing ends in the next column, being equal in this one is enough."""
    if following is None:
        return side.last
    return f"{side.sign}=" if following.value is side.open else side.sign


def _either(arms: Sequence[str]) -> tuple[str, ...]:
    """One condition that holds where one of *arms* does; none for an open end."""
    if len(arms) < 2:
        return tuple(arms)
    return (f"({' OR '.join(f'({arm})' for arm in arms)})",)


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
