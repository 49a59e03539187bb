"""The structure of partitions: list values, modulus, default partitions, and the template of sub-partitions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from alembic.operations.ops import MigrateOperation
from alembic.util import CommandError
from sqlalchemy import Table

from alembic_ext import ops, table_ops
from alembic_ext.literals import in_file, plain_literal, schema_argument, wanted_lists
from sa_partman.bounds.bound import DEFAULT, Bound, ListBound
from sa_partman.bounds.text import in_order
from sa_partman.catalog import FoundTable, Parent, Partition, default_of
from sa_partman.compare.lists import hash_bounds
from sa_partman.compare.shape import divides
from sa_partman.names import QualifiedName
from sa_partman.plan.provision import partition_name
from sa_partman.plan.repartition import WantedLabel, exchange_values, found_lists
from sa_partman.spec.base import PartitionSpec
from sa_partman.spec.declared import DeclaredTable, HashLevel, Level, ListLevel


@dataclass(frozen=True, slots=True)
class _Compared:
    """One table under comparison; *spec* are its levels as a file holds them."""

    table: Table
    found: FoundTable
    spec: tuple[PartitionSpec, ...]

    def schema_of(self, parent: Parent) -> str | None:
        return schema_argument(parent.name, self.found.name, self.table.schema)


def compare_partitions(table: Table, declared: DeclaredTable, found: FoundTable) -> Iterator[MigrateOperation]:
    """
    What differs, in the order in which it can be done: rows always have a place to go to.

    Raises:
        CommandError: An existing list or hash partition is divided otherwise than declared.
    """
    spec = tuple(in_file(declared.spec, table).levels())
    yield from _level(_Compared(table, found, spec), declared.level, found)


def _level(compared: _Compared, level: Level, parent: Parent) -> Iterator[MigrateOperation]:
    default = default_of(parent)
    if level.spec.default and default is None:
        yield _created(compared, level, parent, DEFAULT, None)
    if isinstance(level, ListLevel) and level.spec.values.literal and not level.spec.values.at_run_time:
        yield from _lists(compared, level, parent)
    elif isinstance(level, HashLevel):
        yield from _modulus(compared, level, parent)
    if default is not None and not level.spec.default:
        yield _detached(compared, parent, default)


def _lists(compared: _Compared, level: ListLevel, parent: Parent) -> Iterator[MigrateOperation]:
    wanted, found = wanted_lists(level, parent), found_lists(parent)
    if exchange_values(wanted, found):
        spec = compared.spec[level.depth]
        existing = spec.with_(values=found_values(level, parent, wanted))
        yield table_ops.RepartitionTableOp(parent.name.name, spec, existing=existing, schema=compared.schema_of(parent))
        return
    held = {partition.bound: partition for partition in found}
    for label in wanted:
        if label.bound not in held:
            yield _created(compared, level, parent, label.bound, label)
        else:
            yield from _inside(compared, level, held[label.bound])
    bounds = {label.bound for label in wanted}
    for partition in found:
        if partition.bound not in bounds:
            yield _detached(compared, parent, partition)


def _modulus(compared: _Compared, level: HashLevel, parent: Parent) -> Iterator[MigrateOperation]:
    moduli = {bound.modulus for bound in hash_bounds(parent)}
    if moduli and level.spec.modulus not in moduli:
        spec = compared.spec[level.depth]
        existing = spec.with_(modulus=max(moduli))
        yield table_ops.RepartitionTableOp(parent.name.name, spec, existing=existing, schema=compared.schema_of(parent))
        return
    for partition in parent.partitions:
        yield from _inside(compared, level, partition)


def _inside(compared: _Compared, level: Level, partition: Partition) -> Iterator[MigrateOperation]:
    """
    Raises:
        CommandError: *partition* is not divided as the next level says; nothing divides it anew.
    """
    if partition.detach_pending or partition.kind == "f" or partition.bound == DEFAULT:
        return
    below = level.below
    if below is not None and divides(below, partition):
        yield from _level(compared, below, partition)
    elif below is not None or partition.key is not None:
        wanted = "not partitioned itself" if below is None else f"PARTITION BY {below.partition_by}"
        has = "not partitioned" if partition.key is None else f"PARTITION BY {partition.strategy} ({partition.key})"
        raise CommandError(
            f"{partition.name} is declared {wanted}, and is {has} in the database; no migration was written. A "
            f"partition can't be divided anew in place: declare subpartition= as it is, or replace the partition in a "
            f"migration of your own (op.detach_partition, op.create_partition with partition_by= under another name, "
            f"copy the rows)."
        )


def _created(
    compared: _Compared, level: Level, parent: Parent, bound: Bound, label: WantedLabel | None
) -> ops.CreatePartitionOp:
    name = partition_name(level, parent.name, bound, None if label is None else label.name)
    below = compared.spec[level.depth].subpartition if bound != DEFAULT else None
    return ops.CreatePartitionOp(
        name.name,
        parent.name.name,
        bound,
        partition_by=below,
        unlogged=level.spec.unlogged and below is None,
        schema=compared.schema_of(parent),
    )


def _detached(compared: _Compared, parent: Parent, partition: Partition) -> ops.DetachPartitionOp:
    apart = partition.name.schema != parent.name.schema
    return ops.DetachPartitionOp(
        partition.name.name,
        parent.name.name,
        partition.bound,
        schema=compared.schema_of(parent),
        partition_schema=partition.name.schema if apart else None,
    )


def found_values(level: ListLevel, parent: Parent, wanted: Iterable[WantedLabel]) -> dict[str, list[object]]:
    """What ``values=`` would have to say for the partitions that are there, each called as it is."""
    labels = [label.name for label in wanted]
    found: dict[str, list[object]] = {}
    for partition in found_lists(parent):
        assert isinstance(partition.bound, ListBound)
        label = _label(level, parent.name, partition, labels)
        found[label] = [plain_literal(value) for value in in_order(partition.bound.values)]
    return found


def _label(level: ListLevel, parent: QualifiedName, partition: Partition, labels: Iterable[str]) -> str:
    """The label that gives *partition* its name, where one does."""
    prefix = f"{parent.name}_"
    candidates = [*labels, partition.name.name.removeprefix(prefix)]
    for label in candidates:
        if partition_name(level, parent, partition.bound, label).name == partition.name.name:
            return label
    return partition.name.name
