"""The CHECK expression that says what a bound says, so that ATTACH PARTITION need not scan the table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from sa_partman.bounds.bound import (
    MAXVALUE,
    MINVALUE,
    Bound,
    Extreme,
    KeyValue,
    ListBound,
    RangeBound,
)
from sa_partman.bounds.text import in_order, literal
from sa_partman.key import KeyType


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
