"""What the codecs of integer and numeric columns share."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from sa_partman.bounds.bound import KeyValue
from sa_partman.key import Family

NUMBER_FAMILIES = frozenset({Family.INTEGER, Family.NUMERIC})
_BIGINT = range(-(2**63), 2**63)


def exact(value: KeyValue) -> Fraction:
    """
    *value* without rounding.

    Raises:
        ValueError: It is no finite number.
    """
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not Decimal(value).is_finite():
        raise ValueError(f"{value!r} is not a finite number")
    return Fraction(value)


def fitting(number: int, family: Family, codec: object) -> int | Decimal:
    """
    *number* as a value of *family*.

    Raises:
        ValueError: Not even a bigint can hold it.
    """
    if family is Family.NUMERIC:
        return Decimal(number)
    if number not in _BIGINT:
        raise ValueError(f"{codec!r}: {number} does not fit a bigint; use a numeric column, or start and keep less")
    return number
