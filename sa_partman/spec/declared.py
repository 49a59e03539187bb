"""A declaration bound to its table: what planners and checks work from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from sa_partman.bounds.bound import Bound, KeyValue, RangeBound
from sa_partman.codecs.uuid7 import UUIDv7
from sa_partman.key import Family, KeyPart, KeyType, PartitionKey
from sa_partman.names import QualifiedName
from sa_partman.spec.axis import Axis, TimeAxis, axis_of
from sa_partman.spec.base import KeyExpression, KeyItem, PartitionSpec
from sa_partman.spec.hash_spec import HashSpec
from sa_partman.spec.list_spec import ListSpec
from sa_partman.spec.range_spec import RangeSpec


@dataclass(frozen=True, slots=True)
class Level:
    """
    One level of a declaration, with the types of its key.

    Args:
        depth: 0 for the table itself.
        key: Its key, with database names and types.
        below: The level that each partition of this one is partitioned by, if any.
        spec: The declaration of this level.
    """

    depth: int
    key: PartitionKey
    below: Level | None
    spec: PartitionSpec

    @property
    def partition_by(self) -> str:
        """Such as ``RANGE (created_at)``, with database names."""
        items = [item for item in self.spec.key if isinstance(item, str)]
        return self.spec.partition_by(dict(zip(items, self.key.columns, strict=True)))

    def readable(self, bound: Bound) -> Bound:
        """*bound* for people."""
        return bound


@dataclass(frozen=True, slots=True)
class RangeLevel(Level):
    """A level of ranges, with the axis that its interval cuts."""

    spec: RangeSpec
    axis: Axis

    @property
    def place(self) -> int:
        """Which key column the interval cuts: the second where the first one holds tenants."""
        return 0 if self.spec.tenants is None else 1

    def readable(self, bound: Bound) -> Bound:
        """The instants in place of the values that a codec hides them in."""
        if not isinstance(bound, RangeBound) or not isinstance(self.axis, TimeAxis) or self.axis.codec is None:
            return bound
        lower, upper = self._readable(bound.lower), self._readable(bound.upper)
        return bound if lower == upper else RangeBound(lower, upper)

    def _readable(self, end: tuple[KeyValue, ...]) -> tuple[KeyValue, ...]:
        instant = self.axis.decode(end[self.place])
        return end if instant is None else (*end[: self.place], instant, *end[self.place + 1 :])


@dataclass(frozen=True, slots=True)
class ListLevel(Level):
    """A level of lists."""

    spec: ListSpec


@dataclass(frozen=True, slots=True)
class HashLevel(Level):
    """A level of hashes."""

    spec: HashSpec


@dataclass(frozen=True, slots=True)
class DeclaredTable:
    """A partitioned table as the model wants it."""

    name: QualifiedName
    level: Level

    @property
    def spec(self) -> PartitionSpec:
        return self.level.spec

    def levels(self) -> Iterator[Level]:
        level: Level | None = self.level
        while level is not None:
            yield level
            level = level.below

    def renamed(self, name: QualifiedName) -> DeclaredTable:
        return replace(self, name=name)


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A column's name in the database and its type."""

    name: str
    type: KeyType


def bind(name: QualifiedName, spec: PartitionSpec, columns: Mapping[str, ColumnType]) -> DeclaredTable:
    """
    Args:
        columns: By the key that the declaration uses (SQLAlchemy's ``Column.key``).
    """
    return DeclaredTable(name, _level(0, spec, columns))


def _level(depth: int, spec: PartitionSpec, columns: Mapping[str, ColumnType]) -> Level:
    key = PartitionKey(tuple(_part(item, columns) for item in spec.key))
    below = None if spec.subpartition is None else _level(depth + 1, spec.subpartition, columns)
    if isinstance(spec, ListSpec):
        return ListLevel(depth, key, below, spec)
    if isinstance(spec, HashSpec):
        return HashLevel(depth, key, below, spec)
    if not isinstance(spec, RangeSpec):
        raise TypeError(spec)
    kind = key.parts[spec.key.index(spec.ranged)].type
    completed = with_default_codec(spec, kind.family)
    return RangeLevel(depth, key, below, completed, axis_of(completed, kind))


def with_default_codec(spec: RangeSpec, family: Family) -> RangeSpec:
    """*spec*, with ``UUIDv7()`` where a UUID column names no codec."""
    return spec.with_(codec=UUIDv7()) if family is Family.UUID and spec.codec is None else spec


def _part(item: KeyItem, columns: Mapping[str, ColumnType]) -> KeyPart:
    if isinstance(item, KeyExpression):
        return KeyPart(None, item.sql, KeyType.of(item.type))
    column = columns[item]
    return KeyPart(column.name, None, column.type)
