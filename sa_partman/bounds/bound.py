"""The four kinds of partition bound, as values that can be compared."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

from sa_partman.bounds.values import Extreme, KeyValue, row_order


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
