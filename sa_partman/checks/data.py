"""What checks need to know of the rows themselves; read by the floor above, judged here."""

from __future__ import annotations

from dataclasses import dataclass

from sa_partman.names import QualifiedName


@dataclass(frozen=True, slots=True)
class DefaultRows:
    """
    Rows that sit in a default partition.

    Args:
        partition: The default partition.
        rows: How many.
        blocked: The cells or values that they keep from being created, as text, each with its number of rows; the
            first ones, when there are many.
    """

    partition: QualifiedName
    rows: int
    blocked: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Misplaced:
    """
    Rows whose key a codec can't place.

    Args:
        partition: Where they sit.
        rows: How many were seen.
        sampled: The table is large and only a part of it was read.
    """

    partition: QualifiedName
    rows: int
    sampled: bool


@dataclass(frozen=True, slots=True)
class DataFacts:
    """Everything that was read of one table's rows."""

    default_rows: tuple[DefaultRows, ...] = ()
    misplaced: tuple[Misplaced, ...] = ()
