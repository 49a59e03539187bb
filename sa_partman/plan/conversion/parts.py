"""What the steps of an attach in place share: names, the proof of the bound, the partitions beside the history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sa_partman.bounds.bound import Bound, DefaultBound
from sa_partman.bounds.text import check_predicate, for_values
from sa_partman.catalog import Partition
from sa_partman.compare.shape import descend
from sa_partman.key import PartitionKey
from sa_partman.names import QualifiedName, join_name, quote
from sa_partman.plan.conversion.history import filled
from sa_partman.plan.conversion.inbound import Again, again
from sa_partman.plan.conversion.request import ConversionRequest, key_index
from sa_partman.plan.naming import partition_name
from sa_partman.plan.provision import first_partitions, missing_bounds
from sa_partman.table.definition import TableDefinition


@dataclass(frozen=True, slots=True)
class Future:
    """
    A partition beside the history.

    Args:
        top: Of the table itself, and not of another partition.
    """

    name: QualifiedName
    parent: QualifiedName
    bound: Bound
    key: PartitionKey
    partition_by: str | None
    unlogged: bool
    top: bool = False

    @property
    def divided(self) -> bool:
        return self.partition_by is not None

    @property
    def statement(self) -> str:
        by = f" PARTITION BY {self.partition_by}" if self.partition_by else ""
        create = f"CREATE {'UNLOGGED ' * self.unlogged}TABLE {self.name.quoted}"
        return f"{create} PARTITION OF {self.parent.quoted} {for_values(self.bound, self.key.types)}{by}"


class Parts:
    """One request, taken apart."""

    def __init__(self, request: ConversionRequest, anatomy: TableDefinition) -> None:
        self.request, self.anatomy = request, anatomy
        self.table, self.new, self.old = request.table, request.new, request.old
        self.key: PartitionKey = request.declared.level.key
        self.local = frozenset(request.choices.unique)
        present = anatomy.primary_key
        self.swaps_key = bool(request.primary_key) and (present is None or present.columns != request.primary_key)
        self.again = [each for key in anatomy.inbound if isinstance(each := again(key, request, anatomy), Again)]

    @property
    def key_index(self) -> str:
        return key_index(self.table)

    @property
    def predicate(self) -> str:
        return str(check_predicate(self.request.history, tuple(part_sql(self.key)), self.key.types))

    def future_partitions(self) -> Iterator[Future]:
        """Every partition beside the history, named after the table and not after its temporary name."""
        level = self.request.declared.level
        beside = Partition(self.table, 0, self.request.history, "p", partitions=(self.history(),))
        situation = filled(level, self.request.history, self.request.situation, beside.oid)
        for bound, label, _ in missing_bounds(level, beside, situation):
            name = partition_name(level, self.table, bound, label)
            below = None if isinstance(bound, DefaultBound) else level.below
            inner = (
                () if below is None else first_partitions(below, name, descend(level, bound, self.request.situation))
            )
            by = None if below is None else below.partition_by
            yield Future(name, self.new, bound, self.key, by, level.spec.unlogged and below is None, top=True)
            for each in inner:
                yield Future(each.name, each.parent, each.bound, each.key, each.partition_by, each.unlogged)

    def history(self) -> Partition:
        return Partition(self.old, 0, self.request.history, "r")


def part_sql(key: PartitionKey) -> Iterator[str]:
    """Each part of *key*, as it stands in a condition."""
    for part in key.parts:
        yield quote(part.column) if part.column is not None else f"({part.expression})"


def history_name(name: str) -> str:
    """What an index or constraint of the history is called, once the partitioned table bears its name."""
    return join_name(name, "history")
