"""Dropping a branch: the partition of one tenant or label, with all below it."""

from __future__ import annotations

from sa_partman.bounds.bound import ListBound, RangeBound
from sa_partman.bounds.values import KeyValue
from sa_partman.catalog import FoundTable, Parent, Partition
from sa_partman.compare.situation import Path
from sa_partman.errors import DeclarationError
from sa_partman.plan.prune import below_of, dropped
from sa_partman.plan.steps import Purpose, Step
from sa_partman.spec.declared import DeclaredTable, Level


def branch_steps(declared: DeclaredTable, found: FoundTable | None, path: Path) -> tuple[Step, ...]:
    """
    One step, or one per partition of a tenant that is the first column of a range key.

    Raises:
        DeclarationError: *path* leads nowhere, or to a partition that holds other values too.
    """
    if found is None:
        raise DeclarationError(f"{declared.name} does not exist; nothing was changed")
    level, parent, partitions = _follow(declared, found, path)
    return tuple(
        Step(Purpose.DROP, found.name, each.name, each.bound, dropped(found, level, parent, each), below=below_of(each))
        for each in partitions
    )


def _follow(declared: DeclaredTable, found: FoundTable, path: Path) -> tuple[Level, Parent, tuple[Partition, ...]]:
    level: Level | None = declared.level
    parent: Parent = found
    for depth, value in enumerate(path):
        if level is None:
            raise DeclarationError(f"{declared.name} has {depth} levels, and {path!r} names more; nothing was changed")
        here = tuple(each for each in parent.partitions if _belongs(each, value, str(declared.name)))
        if not here:
            raise DeclarationError(f"{declared.name} has no partition for {path[: depth + 1]!r}; nothing was changed")
        if depth == len(path) - 1:
            return level, parent, here
        parent, level = here[0], level.below
    raise DeclarationError(f"{declared.name}: name at least one value; nothing was changed")


def _belongs(partition: Partition, value: KeyValue, table: str) -> bool:
    bound = partition.bound
    if isinstance(bound, RangeBound):
        return len(bound.lower) > 1 and bound.lower[0] == value == bound.upper[0]
    if not isinstance(bound, ListBound) or value not in bound.values:
        return False
    if len(bound.values) > 1:
        others = sorted(repr(other) for other in bound.values if other != value)
        raise DeclarationError(
            f"{table}: {partition.name} holds {', '.join(others)} beside {value!r}; nothing was changed. "
            f"Move the value to a partition of its own first."
        )
    return True
