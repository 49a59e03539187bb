"""HASH: rows spread evenly over a fixed number of partitions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from sa_partman.errors import DeclarationError
from sa_partman.spec.base import Arguments, KeyItem, PartitionSpec, given, is_whole

_DEFAULTS: dict[str, Any] = {"modulus": None, "name": None, "unlogged": False, "subpartition": None}


@dataclass(frozen=True, init=False, repr=False)
class HashSpec(PartitionSpec):
    """
    *modulus* partitions, all made when the table is made.

    Args:
        key: One column or more.
        modulus: The number of partitions, 1 or more.
        name: Template for the names of partitions, such as ``"{table}_part{remainder}"``.
        unlogged: Make the partitions UNLOGGED.
        subpartition: How each partition is partitioned itself.
    """

    modulus: int

    strategy = "HASH"

    def __init__(
        self,
        *key: KeyItem,
        modulus: int,
        name: str | None = None,
        unlogged: bool = False,
        subpartition: PartitionSpec | None = None,
    ) -> None:
        self._init_base(key, False, name, unlogged, subpartition)
        if not is_whole(modulus) or not 1 <= modulus <= 10_000:
            raise DeclarationError(f"modulus={modulus!r}: the number of hash partitions is between 1 and 10,000")
        self._set(modulus=modulus)

    def arguments(self) -> Arguments:
        return Arguments(self.key, given(_DEFAULTS, {name: getattr(self, name) for name in _DEFAULTS}))

    def structural(self) -> Self:
        below = None if self.subpartition is None else self.subpartition.structural()
        return self.with_(subpartition=below)
