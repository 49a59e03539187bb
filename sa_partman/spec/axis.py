"""The axis of a range level: how its key's values, its grid and the clock meet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from sa_partman.bounds.bound import MAXVALUE, MINVALUE, Extreme, FarTime, KeyValue
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
from sa_partman.key import Family, KeyType
from sa_partman.spec.list_spec import plain_value
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
