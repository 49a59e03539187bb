"""The four kinds of partition bound, their values and the order of those."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from math import gcd
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


@dataclass(frozen=True, slots=True)
class RangeBound:
    """
    Rows with ``lower <= key < upper``, compared column by column: PostgreSQL's own half-open reading.

    Args:
        lower: One value per key column; inclusive.
        upper: As many values; exclusive, after *lower*.

    Source: PostgreSQL, CREATE TABLE, ``partition_bound_spec``.
    """

    lower: tuple[KeyValue, ...]
    upper: tuple[KeyValue, ...]

    def __post_init__(self) -> None:
        if not self.lower or len(self.lower) != len(self.upper):
            raise ValueError(f"a range bound needs as many upper as lower values: {self.lower} and {self.upper}")

    @property
    def open_above(self) -> bool:
        """True when no upper end is known: MAXVALUE, infinity or NaN in the first column that differs."""
        for low, high in zip(self.lower, self.upper, strict=True):
            if isinstance(high, Extreme):
                return high in (Extreme.MAXVALUE, Extreme.INFINITY, Extreme.NAN)
            if low != high:
                return False
        return False

    def overlaps(self, other: RangeBound) -> bool:
        """Whether a row could lie in both; text compares by code point."""
        return row_order(self.lower) < row_order(other.upper) and row_order(other.lower) < row_order(self.upper)


@dataclass(frozen=True, slots=True)
class ListBound:
    """Rows whose key is one of *values*; ``None`` stands for NULL. Order does not matter."""

    values: frozenset[KeyValue]

    def overlaps(self, other: ListBound) -> bool:
        return not self.values.isdisjoint(other.values)


@dataclass(frozen=True, slots=True)
class HashBound:
    """Rows whose key hashes to *remainder* modulo *modulus*."""

    modulus: int
    remainder: int

    def __post_init__(self) -> None:
        if not 0 <= self.remainder < self.modulus:
            raise ValueError(f"the remainder {self.remainder} is not below the modulus {self.modulus}")

    def overlaps(self, other: HashBound) -> bool:
        return (self.remainder - other.remainder) % gcd(self.modulus, other.modulus) == 0


@dataclass(frozen=True, slots=True)
class DefaultBound:
    """Rows that no other partition takes."""


Bound = RangeBound | ListBound | HashBound | DefaultBound

DEFAULT = DefaultBound()
