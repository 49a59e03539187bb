"""
Calendar intervals in PostgreSQL's own words, and the grid that each one lays over wall-clock time.

Every grid is anchored, so it never depends on the day of the run: months count from January of year 0 (three months
start in January, ten years in 2020), weeks, days and shorter units from Monday 2001-01-01 00:00.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

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
