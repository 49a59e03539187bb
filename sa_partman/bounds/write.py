"""A partition bound as SQL: the FOR VALUES clause."""

from __future__ import annotations

from collections.abc import Sequence

from sa_partman.bounds.bound import Bound, HashBound, ListBound, RangeBound
from sa_partman.bounds.value_text import literal
from sa_partman.bounds.values import KeyValue, OrderKey, order_key
from sa_partman.key import KeyType


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
