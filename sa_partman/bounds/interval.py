"""
Calendar intervals in PostgreSQL's own words, wall-clock time and instants, and grids of cells over the positions of a
range key.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def zone_named(name: str) -> ZoneInfo:
    """
    Raises:
        ValueError: There is no such IANA zone on this machine.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f"time zone {name!r} is unknown here; use an IANA name such as 'UTC' or 'Europe/Paris' "
            f"(on Windows and slim images: pip install tzdata)"
        ) from error


def to_instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """
    The instant, in UTC, at which the clocks of *zone* show *wall* (naive).

    Where they show it twice, PostgreSQL takes the second time; where they skip it, the offset before the change holds.
    The ends of Python's calendar stand for what lies beyond them.

    Source: PostgreSQL, ``timestamp AT TIME ZONE zone``, ``DetermineTimeZoneOffset``.
    """
    first = wall.replace(tzinfo=zone)
    second = first.replace(fold=1)
    # PEP 495: the offset shrinks between the folds of a repeated hour and grows between those of a skipped one.
    chosen = second if (first.utcoffset() or _ZERO) > (second.utcoffset() or _ZERO) else first
    try:
        return chosen.astimezone(UTC)
    except OverflowError:
        return _end(wall).replace(tzinfo=UTC)


def to_wall(instant: datetime, zone: ZoneInfo) -> datetime:
    """What the clocks of *zone* show at *instant* (aware); naive, and within Python's calendar."""
    try:
        return instant.astimezone(zone).replace(tzinfo=None, fold=0)
    except OverflowError:
        return _end(instant)


def _end(moment: datetime) -> datetime:
    return datetime.min if moment.year == 1 else datetime.max


_ZERO = datetime.min - datetime.min


ANCHOR = datetime(2001, 1, 1)
FIRST, LAST = datetime.min, datetime.max
"""The ends of Python's calendar."""

_DAY = 86_400
_UNITS: dict[str, tuple[str, int]] = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), ("seconds", 1)),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), ("seconds", 60)),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), ("seconds", 3600)),
    **dict.fromkeys(("d", "day", "days"), ("days", 1)),
    **dict.fromkeys(("w", "week", "weeks"), ("days", 7)),
    **dict.fromkeys(("mon", "mons", "month", "months"), ("months", 1)),
    **dict.fromkeys(("quarter", "quarters"), ("months", 3)),
    **dict.fromkeys(("y", "yr", "yrs", "year", "years"), ("months", 12)),
}
_TERM = re.compile(r"\s*(\d+)\s*([a-z]+)\s*,?")
_NAMES = (("months", 12, "year"), ("months", 1, "month"), ("days", 7, "week"), ("days", 1, "day"))
_SHORT_NAMES = ((3600, "hour"), (60, "minute"), (1, "second"))


@dataclass(frozen=True, slots=True)
class Duration:
    """
    A length of calendar time. The three parts stay apart, because none of them is a fixed number of another.

    Args:
        months: 0 or more.
        days: 0 or more; wall-clock days, which daylight saving makes 23 or 25 hours long.
        seconds: 0 or more; elapsed time.
    """

    months: int = 0
    days: int = 0
    seconds: int = 0

    @classmethod
    def parse(cls, value: str | timedelta) -> Duration:
        """
        ``"14 months"``, ``"1 year 6 months"``, ``"90 minutes"``, or a ``timedelta`` of whole seconds.

        Raises:
            ValueError: No such unit, no number, nothing at all.
        """
        if isinstance(value, timedelta):
            return cls._of_timedelta(value)
        parts = {"months": 0, "days": 0, "seconds": 0}
        text, position = value.strip().lower(), 0
        while position < len(text) or not text:
            term = _TERM.match(text, position)
            unit = _UNITS.get(term[2]) if term else None
            if term is None or unit is None:
                raise ValueError(
                    f"{value!r} is not an interval; write a number and a unit: '1 month', '2 weeks', '15 minutes' "
                    f"(units: second, minute, hour, day, week, month, quarter, year)"
                )
            parts[unit[0]] += int(term[1]) * unit[1]
            position = term.end()
        return cls(**parts)

    @classmethod
    def _of_timedelta(cls, value: timedelta) -> Duration:
        if value < timedelta(0) or value.microseconds:
            raise ValueError(f"{value!r} is not a positive number of whole seconds")
        return cls(days=value.days, seconds=value.seconds)

    def __bool__(self) -> bool:
        return bool(self.months or self.days or self.seconds)

    def __str__(self) -> str:
        words: list[str] = []
        rest = {"months": self.months, "days": self.days}
        for part, size, name in _NAMES:
            # Mixed weeks read badly: 30 days stay 30 days, 14 days are 2 weeks.
            whole = rest[part] // size if rest[part] % size == 0 or part == "months" else 0
            if whole:
                words.append(f"{whole} {name}{'s' * (whole != 1)}")
                rest[part] -= whole * size
        seconds = self.seconds
        for size, name in _SHORT_NAMES:
            whole, seconds = divmod(seconds, size)
            if whole:
                words.append(f"{whole} {name}{'s' * (whole != 1)}")
        return " ".join(words) or "0 days"


def months_before(wall: datetime, months: int) -> datetime:
    """
    *wall* moved back by *months*; a day that the month lacks becomes its last one. The ends of Python's calendar stand
    for what lies beyond them.

    Source: PostgreSQL, ``timestamp - interval`` ("2026-03-31 - 1 month" is 2026-02-28).
    """
    index = wall.year * 12 + wall.month - 1 - months
    if not 12 <= index < 120_000:
        return (FIRST if months > 0 else LAST).replace(tzinfo=wall.tzinfo)
    year, month = index // 12, index % 12 + 1
    return wall.replace(year=year, month=month, day=min(wall.day, calendar.monthrange(year, month)[1]))


def months_after(wall: datetime, months: int) -> datetime:
    """
    The first moment whose `months_before` is *wall* or later: where the month lacks the day, the first of the next one.

    Raises:
        OverflowError: Python's calendar ends before.
    """
    index = wall.year * 12 + wall.month - 1 + months
    year, month = index // 12, index % 12 + 1
    if year > LAST.year:
        raise OverflowError
    if wall.day <= calendar.monthrange(year, month)[1]:
        return wall.replace(year=year, month=month)
    # Only months of 31 days come before one that lacks a day, so there is a next one in the same year.
    return datetime(year, month + 1, 1, tzinfo=wall.tzinfo)


@dataclass(frozen=True, slots=True)
class Interval:
    """
    The width of a range partition: N months, or N days, or N seconds, never a mixture.

    Exactly one of the three is positive, the others are 0.
    """

    months: int = 0
    days: int = 0
    seconds: int = 0

    def __post_init__(self) -> None:
        if sorted((self.months > 0, self.days > 0, self.seconds > 0)) != [False, False, True]:
            raise ValueError(
                f"{Duration(self.months, self.days, self.seconds)} can't be the width of a partition: "
                f"months, days and hours have no common grid; use one unit"
            )

    @classmethod
    def parse(cls, value: str | timedelta) -> Interval:
        """
        As `Duration.parse`, and a whole number of days is counted in days.

        Raises:
            ValueError: Not an interval, or a mixture of units.
        """
        duration = Duration.parse(value)
        whole_days, rest = divmod(duration.seconds, _DAY)
        if rest:
            return cls(duration.months, duration.days, duration.seconds)
        return cls(duration.months, duration.days + whole_days)

    def __str__(self) -> str:
        return str(Duration(self.months, self.days, self.seconds))

    @property
    def shortest(self) -> timedelta:
        """No partition of this interval is shorter, daylight saving aside."""
        return timedelta(days=self.days + 28 * self.months, seconds=self.seconds)

    @property
    def below_a_day(self) -> bool:
        return self.seconds > 0

    def floor(self, wall: datetime) -> datetime:
        """The last point of the grid at or before *wall* (naive)."""
        return self.moved(wall, 0)

    def after(self, wall: datetime) -> datetime:
        """The first point of the grid after *wall* (naive)."""
        return self.moved(wall, 1)

    def moved(self, wall: datetime, cells: int) -> datetime:
        """
        The point of the grid *cells* after the last one at or before *wall* (naive); the ends of Python's calendar
        stand for what lies beyond them.
        """
        if self.months:
            return _month((self.index(wall) + cells) * self.months)
        step = self._step
        try:
            return wall + (cells * step - (wall - ANCHOR) % step)
        except OverflowError:
            return LAST if cells > 0 else FIRST

    def index(self, wall: datetime) -> int:
        """The number of the cell that holds *wall* (naive); each next one has the next number."""
        if self.months:
            return (wall.year * 12 + wall.month - 1) // self.months
        return (wall - ANCHOR) // self._step

    @property
    def _step(self) -> timedelta:
        return timedelta(days=self.days, seconds=self.seconds)


def _month(index: int) -> datetime:
    """The first of a month, counted from January of year 0."""
    if index < 12:
        return FIRST
    return LAST if index >= 120_000 else datetime(index // 12, index % 12 + 1, 1)


Position = Any
"""``datetime`` (aware or naive) or ``int``; one grid uses one of them throughout."""

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Cell:
    """``lower <= position < upper``."""

    lower: Position
    upper: Position


class Grid(Protocol):
    """Cells that tile the line without gap or overlap, whatever position is asked for."""

    def cell(self, position: Position) -> Cell:
        """The cell that holds *position*."""
        ...

    def back(self, lower: Position, cells: int) -> Position:
        """The lower end of the cell that is *cells* before the one that begins at *lower*."""
        ...

    def ahead(self, lower: Position, cells: int) -> Position:
        """The lower end of the cell that is *cells* after the one that begins at *lower*."""
        ...

    def count(self, lower: Position, upper: Position) -> int:
        """How many cells have a part in ``lower <= position < upper``, which is not empty; nothing is counted out."""
        ...


def cells_from(grid: Grid, position: Position) -> Iterator[Cell]:
    """The cell that holds *position*, then each next one, to the end of time."""
    while (cell := grid.cell(position)).upper > position:
        yield cell
        position = cell.upper


@dataclass(frozen=True, slots=True)
class WallGrid:
    """Cells in wall-clock time that belongs to no zone: keys of type date and timestamp."""

    interval: Interval

    def cell(self, position: datetime) -> Cell:
        return Cell(self.interval.floor(position), self.interval.after(position))

    def back(self, lower: datetime, cells: int) -> datetime:
        return self.interval.moved(lower, -cells)

    def ahead(self, lower: datetime, cells: int) -> datetime:
        return self.interval.moved(lower, cells)

    def count(self, lower: datetime, upper: datetime) -> int:
        return self.interval.index(upper - _TICK) - self.interval.index(lower) + 1


@dataclass(frozen=True, slots=True)
class UtcGrid:
    """`ZonedGrid` for UTC, where nothing is ever turned; some ten times as fast."""

    interval: Interval

    def cell(self, position: datetime) -> Cell:
        wall = position.replace(tzinfo=None)
        return Cell(self.interval.floor(wall).replace(tzinfo=UTC), self.interval.after(wall).replace(tzinfo=UTC))

    def back(self, lower: datetime, cells: int) -> datetime:
        return self.interval.moved(lower.replace(tzinfo=None), -cells).replace(tzinfo=UTC)

    def ahead(self, lower: datetime, cells: int) -> datetime:
        return self.back(lower, -cells)

    def count(self, lower: datetime, upper: datetime) -> int:
        return WallGrid(self.interval).count(lower.replace(tzinfo=None), upper.replace(tzinfo=None))


@dataclass(frozen=True, slots=True)
class ZonedGrid:
    """
    Instants cut where the clocks of *zone* show the points of the interval's grid.

    A skipped hour gives no cell of its own and a repeated one makes its cell longer, so the cells still tile.
    """

    interval: Interval
    zone: ZoneInfo

    def cell(self, position: datetime) -> Cell:
        wall = self.interval.floor(to_wall(position, self.zone))
        lower = to_instant(wall, self.zone)
        while lower > position:
            if wall == FIRST:
                lower = FIRST.replace(tzinfo=UTC)
                break
            wall = self.interval.floor(wall - _TICK)
            lower = to_instant(wall, self.zone)
        while True:
            wall = self.interval.after(wall)
            upper = LAST.replace(tzinfo=UTC) if wall == LAST else to_instant(wall, self.zone)
            if upper > position or wall == LAST:
                return Cell(lower, upper)
            lower = upper

    def back(self, lower: datetime, cells: int) -> datetime:
        """Behind the first `STEPS` ones skipped hours are counted like others."""
        for _ in range(min(cells, STEPS)):
            if lower.replace(tzinfo=None) == FIRST:
                return lower
            lower = self.cell(lower - _TICK).lower
        return self._jump(lower, cells - STEPS) if cells > STEPS else lower

    def ahead(self, lower: datetime, cells: int) -> datetime:
        """As `back`, the other way."""
        for _ in range(min(cells, STEPS)):
            lower = self.cell(lower).upper
            if lower.replace(tzinfo=None) == LAST:
                return lower
        return self._jump(lower, STEPS - cells) if cells > STEPS else lower

    def _jump(self, lower: datetime, cells: int) -> datetime:
        return to_instant(self.interval.moved(to_wall(lower, self.zone), -cells), self.zone)

    def count(self, lower: datetime, upper: datetime) -> int:
        """A skipped hour is counted like any other."""
        return WallGrid(self.interval).count(to_wall(lower, self.zone), to_wall(upper, self.zone))


STEPS = 1_000
"""Cells that are looked at one by one."""


@dataclass(frozen=True, slots=True)
class IntegerGrid:
    """Cells of a fixed *width*, anchored at 0."""

    width: int

    def cell(self, position: int) -> Cell:
        lower = position - position % self.width
        return Cell(lower, lower + self.width)

    def back(self, lower: int, cells: int) -> int:
        return lower - cells * self.width

    def ahead(self, lower: int, cells: int) -> int:
        return lower + cells * self.width

    def count(self, lower: int, upper: int) -> int:
        return (upper - 1) // self.width - lower // self.width + 1
