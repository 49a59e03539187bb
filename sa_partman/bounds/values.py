"""
Values of a partition bound, and their order.

A key value is what Python has for it: ``datetime`` (aware and in UTC for timestamptz, naive for timestamp),
``date``, ``int``, ``Decimal``, ``UUID``, ``str``, ``bool``, ``None`` for NULL. Beside those stand the values that
Python lacks: `Extreme` and `FarTime`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID


class Extreme(Enum):
    """
    The ends of a range. ``infinity`` is a value of the time types (and numeric); MAXVALUE lies beyond it.

    ``NaN``, a value of numeric, lies between the two and equals itself, which Python's does not.

    Source: PostgreSQL, CREATE TABLE, ``partition_bound_spec``; Numeric Types.
    """

    MINVALUE = -2
    NEGATIVE_INFINITY = -1
    INFINITY = 1
    MAXVALUE = 2
    NAN = 3

    def __repr__(self) -> str:
        return self.name

    @property
    def unbounded(self) -> bool:
        """True for MINVALUE and MAXVALUE: no value of the key is outside them."""
        return self in (Extreme.MINVALUE, Extreme.MAXVALUE)


MINVALUE = Extreme.MINVALUE
MAXVALUE = Extreme.MAXVALUE
NEGATIVE_INFINITY = Extreme.NEGATIVE_INFINITY
INFINITY = Extreme.INFINITY
NAN = Extreme.NAN


@dataclass(frozen=True, slots=True)
class FarTime:
    """
    An instant before year 1 or after year 9999, which PostgreSQL has and Python has not.

    Args:
        text: As PostgreSQL writes it with DateStyle ISO.
        ordinal: Microseconds since 1970-01-01 00:00; orders it among its like.
    """

    text: str
    ordinal: int


KeyValue = datetime | date | int | Decimal | UUID | str | bool | Extreme | FarTime | None

OrderKey = tuple[int, Any]
_EXTREME_RANK = {MINVALUE: -3, NEGATIVE_INFINITY: -2, INFINITY: 2, NAN: 3, MAXVALUE: 4}


def order_key(value: KeyValue) -> OrderKey:
    """
    A key that sorts values of one column as PostgreSQL does.

    Text sorts by code point, which a collation may see otherwise: compare text bounds for equality only.
    """
    if isinstance(value, Extreme):
        return (_EXTREME_RANK[value], 0)
    if isinstance(value, FarTime):
        return (-1 if value.ordinal < 0 else 1, value.ordinal)
    return (0, value)


def row_order(values: tuple[KeyValue, ...]) -> tuple[OrderKey, ...]:
    """
    The order of a multi-column bound. Columns after a MINVALUE or MAXVALUE do not count.

    Source: PostgreSQL, CREATE TABLE: "a partition bound of MINVALUE or MAXVALUE" is followed by its like.
    """
    if len(values) == 1:
        return (order_key(values[0]),)
    keys: list[OrderKey] = []
    for value in values:
        keys.append(order_key(value))
        if isinstance(value, Extreme) and value.unbounded:
            break
    return tuple(keys)
