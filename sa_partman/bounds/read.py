"""
A partition bound, read from what ``pg_get_expr(relpartbound, oid)`` prints.

The session must be pinned: TimeZone UTC, DateStyle ISO, IntervalStyle postgres, extra_float_digits 1, bytea_output hex,
standard_conforming_strings on. PostgreSQL 14 to 18 then print the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sa_partman.bounds.bound import Bound, HashBound, ListBound, RangeBound
from sa_partman.bounds.grammar import bound_of
from sa_partman.bounds.value_text import value_of
from sa_partman.bounds.values import MAXVALUE, MINVALUE, KeyValue
from sa_partman.errors import UnreadableBound
from sa_partman.key import KeyType

_CONSTANT = r"'[^']*(?:''[^']*)*'|[0-9]+(?:\.[0-9]+)?|true|false"
_END = rf"(?:{_CONSTANT}|MINVALUE|MAXVALUE)"
_MEMBER = rf"(?:{_CONSTANT}|NULL)"
_PRINTED = re.compile(
    rf"FOR VALUES (?:"
    rf"FROM \(({_END}(?:, {_END})*)\) TO \(({_END}(?:, {_END})*)\)"
    rf"|IN \(({_MEMBER}(?:, {_MEMBER})*)\)"
    rf"|WITH \(modulus ([0-9]+), remainder ([0-9]+)\))"
)
_ITEM = re.compile(rf"{_CONSTANT}|[A-Z]+")
_WORDS: dict[str, KeyValue] = {"MINVALUE": MINVALUE, "MAXVALUE": MAXVALUE, "NULL": None}


def parse_bound(text: str, types: Sequence[KeyType]) -> Bound:
    """
    The bound that *text* says, as values.

    Args:
        text: From ``DEFAULT`` or ``FOR VALUES`` to the end.
        types: Of the parent's key columns, in key order.

    Raises:
        UnreadableBound: *text* is no bound, or not one of a key of *types*.
    """
    try:
        printed = printed_bound(text, types)
        return bound_of(text, types) if printed is None else printed
    except ValueError as error:
        raise UnreadableBound(_complaint(text, types, error)) from error


def printed_bound(text: str, types: Sequence[KeyType]) -> Bound | None:
    """
    What `bound_of` says, in a third of the time, for the forms that PostgreSQL 14 to 18 print.

    Returns:
        None for any other form.

    Raises:
        ValueError: A value that is none of its column's type.
    """
    match = _PRINTED.fullmatch(text)
    if match is None:
        return None
    lower, upper, members, modulus, remainder = match.groups()
    if modulus is not None:
        return HashBound(int(modulus), int(remainder))
    if members is not None:
        if len(types) != 1:
            return None
        return ListBound(frozenset([_constant(item, types[0]) for item in _ITEM.findall(members)]))
    lowers, uppers = _ITEM.findall(lower), _ITEM.findall(upper)
    if not len(lowers) == len(uppers) == len(types):
        return None
    return RangeBound(tuple(map(_constant, lowers, types)), tuple(map(_constant, uppers, types)))


def _constant(item: str, type: KeyType) -> KeyValue:
    if item[0] == "'":
        return value_of(item[1:-1].replace("''", "'"), type)
    return _WORDS[item] if item in _WORDS else value_of(item, type)


def _complaint(text: str, types: Sequence[KeyType], error: ValueError) -> str:
    shown = text if len(text) <= 500 else f"{text[:500]}... ({len(text)} characters)"
    return (
        f"the partition bound {shown!r} can't be read for a key of type ({', '.join(type.sql for type in types)}): "
        f"{error}. Nothing was changed. Its session must have DateStyle 'ISO, YMD' and TimeZone 'UTC'; "
        f"if it has, please report this text."
    )
