"""Bounds for people, and for JSON."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from uuid import UUID

from sa_partman.bounds.bound import Bound, HashBound, ListBound, RangeBound
from sa_partman.bounds.values import INFINITY, NAN, NEGATIVE_INFINITY, Extreme, FarTime, KeyValue
from sa_partman.bounds.write import in_order

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
