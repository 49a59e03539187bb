"""How a table that nothing declares is partitioned, as a declaration: what a downgrade has to go back to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from alembic_ext.literals import plain
from sa_partman.bounds.bound import HashBound, ListBound, RangeBound
from sa_partman.bounds.text import in_order
from sa_partman.catalog import FoundTable, Parent, default_of
from sa_partman.codecs.uuid7 import UUIDv7
from sa_partman.key import Family, KeyType
from sa_partman.orm.registry import PartitionByHash, PartitionByList, PartitionByRange
from sa_partman.spec.axis import axis_of
from sa_partman.spec.base import PartitionSpec

_INTERVALS = ("1 month", "1 day", "1 week", "1 year", "3 months", "1 hour", "6 months", "2 weeks", "15 minutes")


def guessed(found: FoundTable) -> PartitionSpec | None:
    """None when its partitions follow no pattern, or its key is an expression."""
    if found.key is None or found.key.has_expression:
        return None
    return _level(found)


def _level(parent: Parent) -> PartitionSpec | None:
    assert parent.key is not None
    more: dict[str, Any] = {"default": True} if default_of(parent) is not None else {}
    below = _below(parent)
    if below is not None:
        more["subpartition"] = below
    if parent.strategy == "HASH":
        moduli = {each.bound.modulus for each in parent.partitions if isinstance(each.bound, HashBound)}
        more.pop("default", None)
        return PartitionByHash(*parent.key.columns, modulus=max(moduli), **more) if moduli else None
    if parent.strategy == "LIST":
        return PartitionByList(parent.key.columns[0], values=_values(parent), **more)
    interval = _interval(parent)
    return None if interval is None else PartitionByRange(*parent.key.columns, interval=interval, **more)


def _below(parent: Parent) -> PartitionSpec | None:
    divided = [each for each in parent.partitions if each.key is not None and not each.key.has_expression]
    return _level(divided[-1]) if divided else None


def _values(parent: Parent) -> dict[str, list[object]]:
    prefix = f"{parent.name.name}_"
    return {
        each.name.name.removeprefix(prefix): [plain(value) for value in in_order(each.bound.values)]
        for each in parent.partitions
        if isinstance(each.bound, ListBound)
    }


def _interval(parent: Parent) -> str | int | None:
    """The interval whose grid most of the partitions lie on."""
    assert parent.key is not None
    kind = parent.key.types[0]
    bounds = [each.bound for each in parent.partitions if isinstance(each.bound, RangeBound)]
    if kind.family in (Family.INTEGER, Family.NUMERIC):
        widths = Counter(_width(bound) for bound in bounds)
        widths.pop(None, None)
        return widths.most_common(1)[0][0] if widths else None
    fitting = Counter(word for bound in bounds for word in _fitting(bound, kind))
    return fitting.most_common(1)[0][0] if fitting else None


def _width(bound: RangeBound) -> int | None:
    lower, upper = bound.lower[0], bound.upper[0]
    return upper - lower if isinstance(lower, int) and isinstance(upper, int) else None


def _fitting(bound: RangeBound, kind: KeyType) -> Iterator[str]:
    if kind.family not in (Family.DATE, Family.TIMESTAMP, Family.TIMESTAMPTZ, Family.UUID):
        return
    for word in _INTERVALS:
        if kind.family is Family.DATE and ("hour" in word or "minute" in word):
            continue
        codec = UUIDv7() if kind.family is Family.UUID else None
        axis = axis_of(PartitionByRange("key", interval=word, codec=codec), kind)
        lower, upper = axis.decode(bound.lower[0]), axis.decode(bound.upper[0])
        if lower is not None and upper is not None:
            cell = axis.grid.cell(lower)
            if (cell.lower, cell.upper) == (lower, upper):
                yield word
