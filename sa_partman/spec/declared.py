"""A declaration bound to its table, what planners and checks work from: its levels, and the axis of a range level."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from sa_partman.bounds.bound import MAXVALUE, MINVALUE, Bound, Extreme, FarTime, KeyValue, RangeBound
from sa_partman.bounds.interval import (
    FIRST,
    LAST,
    Duration,
    Grid,
    IntegerGrid,
    Interval,
    Position,
    UtcGrid,
    WallGrid,
    ZonedGrid,
    months_after,
    months_before,
    to_instant,
    to_wall,
    zone_named,
)
from sa_partman.bounds.text import literal
from sa_partman.codecs.codec import Codec
from sa_partman.codecs.uuid7 import UUIDv7
from sa_partman.key import Family, KeyPart, KeyType, PartitionKey
from sa_partman.names import QualifiedName
from sa_partman.spec.base import KeyExpression, KeyItem, PartitionSpec
from sa_partman.spec.hash_spec import HashSpec
from sa_partman.spec.list_spec import ListSpec, TenantSource, plain_value
from sa_partman.spec.range_spec import RangeSpec


def fitted(value: Any, kind: KeyType, *, null: bool = True) -> KeyValue:
    """
    *value* as a key value of *kind*: an enum member by its name, a UUID also when it comes as text.

    Args:
        null: Whether None will do, as it does in a list and not in a range.

    Raises:
        ValueError: It is no value of *kind*.
    """
    if value is None and not null:
        raise ValueError("no range takes a NULL")
    plain: KeyValue = plain_value(value)
    if kind.family is Family.UUID and isinstance(plain, str):
        plain = UUID(plain)
    literal(plain, kind)
    return plain


class Axis(Protocol):
    """One per range level; pure."""

    @property
    def grid(self) -> Grid: ...

    @property
    def tick(self) -> timedelta | int:
        """The least distance of two positions."""
        ...

    def encode(self, position: Position) -> KeyValue:
        """The key value at which *position* begins; an open end for what the type does not hold, or Python has not."""
        ...

    def decode(self, value: KeyValue) -> Position | None:
        """The position of a key value; None for infinities, and for what the codec can't place."""
        ...

    def parse(self, text: str | int) -> Position:
        """The position of a declaration's ``start``."""
        ...

    def suffix(self, position: Position) -> str:
        """What a partition that begins at *position* is called after its table: ``p20240101``."""
        ...

    def wall(self, position: Position) -> datetime | int:
        """What a name template may format: wall-clock time in the declared zone, or the number."""
        ...


class TimeAxis:
    """
    Time in a key of type date, timestamp or timestamptz, or hidden in another type by a codec.

    Positions are naive wall-clock times for date and timestamp, and aware instants in UTC for the others.
    """

    def __init__(self, interval: Interval, zone: ZoneInfo, kind: KeyType, codec: Codec | None) -> None:
        self.interval, self.zone, self.family, self.codec = interval, zone, kind.family, codec
        self.kind = kind
        family = kind.family
        self.aware = family not in (Family.DATE, Family.TIMESTAMP)
        self.grid: Grid = self._grid()

    def _grid(self) -> Grid:
        if not self.aware:
            return WallGrid(self.interval)
        return UtcGrid(self.interval) if self.zone.key == "UTC" else ZonedGrid(self.interval, self.zone)

    @property
    def tick(self) -> timedelta:
        return timedelta(microseconds=1)

    def encode(self, position: datetime) -> KeyValue:
        if position.replace(tzinfo=None) == LAST:
            return MAXVALUE
        if self.codec is not None:
            return within(self.codec.encode(position, self.family), self.kind)
        return position.date() if self.family is Family.DATE else position

    def decode(self, value: KeyValue) -> datetime | None:
        if value is None or isinstance(value, Extreme | FarTime):
            return None
        if self.codec is not None:
            try:
                return self.codec.decode(value)
            except ValueError:
                return None
        if isinstance(value, datetime):
            return value
        return datetime(value.year, value.month, value.day) if isinstance(value, date) else None

    def position(self, now: datetime) -> datetime:
        """Where the clock stands: *now* (aware), as a position."""
        return now.astimezone(UTC) if self.aware else to_wall(now, self.zone)

    def back(self, position: datetime, length: Duration) -> datetime:
        """
        *position* - *length*: months and days by the wall clock of the zone, the rest as elapsed time; the beginning of
        year 1 for what would be before it.
        """
        wall = to_wall(position, self.zone) if self.aware else position
        try:
            moved = months_before(wall, length.months) - timedelta(days=length.days)
            start = position if moved == wall else (to_instant(moved, self.zone) if self.aware else moved)
            return start - timedelta(seconds=length.seconds)
        except OverflowError:
            return FIRST.replace(tzinfo=position.tzinfo)

    def ahead(self, position: datetime, length: Duration) -> datetime | None:
        """
        The first position from which *length* goes `back` to *position* or a later one, give or take the hour by which
        clocks are turned; None where Python's calendar ends before.
        """
        try:
            start = position + timedelta(seconds=length.seconds)
            wall = to_wall(start, self.zone) if self.aware else start
            moved = months_after(wall + timedelta(days=length.days), length.months)
        except OverflowError:
            return None
        return start if moved == wall else (to_instant(moved, self.zone) if self.aware else moved)

    def parse(self, text: str | int) -> datetime:
        parsed = datetime.fromisoformat(str(text))
        if not self.aware:
            return parsed if parsed.tzinfo is None else to_wall(parsed, self.zone)
        return to_instant(parsed, self.zone) if parsed.tzinfo is None else parsed.astimezone(UTC)

    def wall(self, position: datetime) -> datetime:
        return to_wall(position, self.zone) if self.aware else position

    def suffix(self, position: datetime) -> str:
        wall = self.wall(position)
        # A day whose midnight is skipped begins at 01:00 and is still that day; a cut cell is not.
        whole = not self.interval.below_a_day and self.grid.cell(position).lower == position
        # Not %Y: not every platform writes four digits of an early year.
        return f"p{wall.year:04}{wall:%m%d}" if whole else f"p{wall.year:04}{wall:%m%d_%H%M%S}"


@dataclass(frozen=True, slots=True)
class IntegerAxis:
    """Integers in partitions of a fixed width; positions are the integers themselves."""

    width: int
    kind: KeyType

    @property
    def grid(self) -> Grid:
        return IntegerGrid(self.width)

    @property
    def tick(self) -> int:
        return 1

    def encode(self, position: int) -> KeyValue:
        return within(position, self.kind)

    def decode(self, value: KeyValue) -> int | None:
        return int(value) if _is_number(value) else None  # type: ignore[arg-type]

    def parse(self, text: str | int) -> int:
        return int(text)

    def suffix(self, position: int) -> str:
        return f"p{position}" if position >= 0 else f"pm{-position}"

    def wall(self, position: int) -> int:
        return position


def _is_number(value: KeyValue) -> bool:
    return value is not None and not isinstance(value, Extreme | FarTime | str | date)


_BITS = {"smallint": 15, "integer": 31, "bigint": 63}


def within(value: KeyValue, kind: KeyType) -> KeyValue:
    """*value*, or the open end where *kind* has no number so large or so small."""
    bits = _BITS.get(kind.sql)
    if bits is None or not isinstance(value, int) or -(2**bits) <= value < 2**bits:
        return value
    return MAXVALUE if value > 0 else MINVALUE


def axis_of(spec: RangeSpec, kind: KeyType) -> Axis:
    """The axis of *spec* over a key of *kind*; the declaration was validated before."""
    if isinstance(spec.interval, int):
        return IntegerAxis(spec.interval, kind)
    return TimeAxis(spec.interval, zone_named(spec.timezone), kind, spec.codec)


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

    @property
    def source(self) -> TenantSource | None:
        """Where the values of a list, or the tenants of a range, come from."""
        if isinstance(self.spec, ListSpec):
            return self.spec.values
        return self.spec.tenants if isinstance(self.spec, RangeSpec) else None

    @property
    def removes(self) -> bool:
        """Whether this level has a retention, or one below it."""
        own = isinstance(self.spec, RangeSpec) and self.spec.retention is not None
        return own or (self.below is not None and self.below.removes)

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

    @property
    def asks(self) -> bool:
        """Whether a level has a ``select()`` or a callable."""
        return any(not level.source.literal for level in self.levels() if level.source is not None)

    @property
    def counts(self) -> bool:
        """Whether a level is cut by number, so that there is a highest key to look for."""
        return any(isinstance(level, RangeLevel) and isinstance(level.axis, IntegerAxis) for level in self.levels())

    @property
    def enums(self) -> dict[int, str | None]:
        """The column of each level whose values are those of an enum, by depth."""
        return {
            level.depth: level.key.parts[0].column
            for level in self.levels()
            if level.source is not None and level.key.types[0].family is Family.ENUM
        }

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
