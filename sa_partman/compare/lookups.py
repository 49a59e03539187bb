"""
Which lookups a new primary key costs: an index serves those by the columns that it begins with, and by no others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile

Columns = tuple[str | None, ...]
"""The key columns of an index, in order; an expression is None."""


def key_in_order(wanted: tuple[str, ...], present: tuple[str, ...]) -> tuple[str, ...]:
    """*wanted*, beginning with what *present*, the key before, begins with: whoever looks rows up by it still can."""
    kept = tuple(takewhile(lambda name: name in wanted, present))
    return (*kept, *(name for name in wanted if name not in kept))


@dataclass(frozen=True, slots=True)
class LostIndex:
    """
    A unique index that goes, and whose columns no other index begins with.

    Args:
        name: Of the index, which is that of its constraint.
    """

    name: str
    columns: tuple[str, ...]

    @property
    def message(self) -> str:
        listed = ", ".join(self.columns)
        return f"{self.name} goes, and no other index begins with ({listed}): a lookup by {listed} reads all partitions"

    @property
    def remedy(self) -> str:
        listed = ", ".join(self.columns)
        quoted = ", ".join(map(repr, self.columns))
        return f"let the new primary key begin with ({listed}), or declare an Index over {quoted} as well"


def lost_indexes(before: Iterable[tuple[str, Columns]], after: Iterable[Columns]) -> tuple[LostIndex, ...]:
    """
    Args:
        before: The unique indexes that go, by name.
        after: The key columns of those that the table has then, and that can be searched for one value.

    Returns:
        Those of *before* whose columns begin no index afterwards; one over expressions is not judged.
    """
    left = tuple(after)
    gone = ((name, tuple(str(each) for each in columns)) for name, columns in before if None not in columns)
    return tuple(LostIndex(name, each) for name, each in gone if not any(one[: len(each)] == each for one in left))
