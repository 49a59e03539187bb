"""What partitions cover, in few words: a converged table is one stretch, however many partitions it has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sa_partman.bounds.bound import MINVALUE, Extreme, FarTime, KeyValue, RangeBound, order_key, row_order
from sa_partman.bounds.interval import Position
from sa_partman.spec.declared import Axis

Stretch = tuple[Position | None, Position | None]
"""The lower and upper position of what is covered without a gap; None: from the beginning, or to the end, of all."""

_COMPARABLE = frozenset({datetime, date, int, UUID})
"""Types of values that sort among each other as PostgreSQL sorts them."""


def covered_by(bounds: Sequence[RangeBound], axis: Axis, place: int = 0) -> tuple[Stretch, ...]:
    """
    The stretches that *bounds* cover, ascending and apart; never more than they cover. A bound that no position can be
    told of is left out.

    Args:
        bounds: Of one line, in any order.
        place: Which column of the key the axis cuts; what comes before it is the same in all of *bounds*.
    """
    kind = next((each for bound in bounds if (each := type(bound.lower[place])) in _COMPARABLE), None)
    rest = (MINVALUE,) * (len(bounds[0].lower) - place - 1) if bounds else ()
    plain: list[Any] = []
    odd: list[RangeBound] = []
    for bound in bounds:
        whole = bound.lower[place + 1 :] == rest == bound.upper[place + 1 :]
        alike = type(bound.lower[place]) is kind is type(bound.upper[place])
        (plain if whole and alike else odd).append(bound)
    plain.sort(key=lambda bound: bound.lower[place])
    found: list[Stretch] = []
    for row in _rows(plain, place):
        last = max(row, key=lambda bound: bound.upper[place])
        stretch = _stretch(row[0].lower, last.upper, axis, place)
        found += (stretch,) if stretch else ()
        odd += () if stretch else row
    found += (one for bound in odd if (one := _stretch(bound.lower, bound.upper, axis, place)))
    return tuple(_merged(found))


def _rows(bounds: list[Any], column: int) -> Iterator[list[Any]]:
    """*bounds*, ascending, in rows without a gap."""
    start = 0
    for place in range(1, len(bounds)):
        if bounds[place].lower[column] > bounds[place - 1].upper[column]:
            yield bounds[start:place]
            start = place
    if bounds:
        yield bounds[start:]


def _stretch(lower: tuple[KeyValue, ...], upper: tuple[KeyValue, ...], axis: Axis, place: int) -> Stretch | None:
    begin, end = _beginning(lower, axis, place), _ending(upper, axis, place)
    if begin is _NOWHERE or end is _NOWHERE or (begin is not None and end is not None and begin >= end):
        return None
    return begin, end


_NOWHERE = object()
"""Instead of a position: none of those that we count is meant, or nobody knows which one."""


def _beginning(end: tuple[KeyValue, ...], axis: Axis, place: int) -> Any:
    """From which position on everything is at or after the lower *end*; None: all is."""
    value = end[place]
    if isinstance(value, Extreme | FarTime):
        return None if order_key(value)[0] < 0 else _NOWHERE
    position = axis.decode(value)
    if position is None:
        return _NOWHERE
    # A UUID with random bits, or 2000.5, lies behind the position that it is in; so does (2000, 5).
    exact = order_key(axis.encode(position)) >= order_key(value) and all(each is MINVALUE for each in end[place + 1 :])
    return position if exact else position + axis.tick


def _ending(end: tuple[KeyValue, ...], axis: Axis, place: int) -> Any:
    """Up to which position everything is before the upper *end*; None: all is."""
    value = end[place]
    if isinstance(value, Extreme | FarTime):
        return None if order_key(value)[0] > 0 else _NOWHERE
    position = axis.decode(value)
    if position is None:
        return _NOWHERE
    return position if order_key(axis.encode(position)) <= order_key(value) else position - axis.tick


def _merged(stretches: list[Stretch]) -> Iterator[Stretch]:
    begun: Stretch | None = None
    for stretch in sorted(stretches, key=lambda each: (each[0] is not None, each[0])):
        if begun is None:
            begun = stretch
        elif begun[1] is None or stretch[0] is None or stretch[0] <= begun[1]:
            begun = (begun[0], None if begun[1] is None or stretch[1] is None else max(begun[1], stretch[1]))
        else:
            yield begun
            begun = stretch
    if begun is not None:
        yield begun


def gaps_in(first: Position, last: Position, stretches: Iterable[Stretch]) -> Iterator[tuple[Position, Position]]:
    """What of ``first <= position < last`` none of *stretches* (ascending) covers, ascending."""
    for lower, upper in stretches:
        if first >= last:
            return
        if lower is not None and first < lower:
            yield first, min(lower, last)
        first = last if upper is None else max(first, upper)
    if first < last:
        yield first, last


def uncovered(wanted: Iterable[RangeBound], found: Iterable[RangeBound]) -> Iterator[RangeBound]:
    """
    What of each bound of *wanted* no bound of *found* covers, whatever their widths.

    Args:
        wanted: Ascending, without overlap.
        found: Without overlap, in any order.
    """
    ascending = tuple(wanted)
    if not ascending:
        return
    start = row_order(ascending[0].lower)
    ahead_of_it = ((row_order(each.lower), upper, each) for each in found if (upper := row_order(each.upper)) > start)
    blocks = sorted(ahead_of_it, key=lambda block: block[0])
    index = 0
    for bound in ascending:
        cursor, here, end = bound.lower, row_order(bound.lower), row_order(bound.upper)
        while index < len(blocks) and blocks[index][1] <= here:
            index += 1
        ahead = index
        while ahead < len(blocks) and blocks[ahead][0] < end:
            lower, upper, block = blocks[ahead]
            if here < lower:
                yield RangeBound(cursor, block.lower)
            if upper > here:
                cursor, here = block.upper, upper
            ahead += 1
        if here < end:
            yield RangeBound(cursor, bound.upper)
