"""Coverage: what is missing now, soon or in the past, and how far the partitions go without a gap."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from sa_partman.bounds.bound import MINVALUE, Bound, OrderKey, RangeBound, row_order
from sa_partman.bounds.interval import Duration, Position, UtcGrid, WallGrid
from sa_partman.bounds.text import describe, shown, to_json
from sa_partman.catalog import FoundTable, Parent, Partition, default_of
from sa_partman.compare.context import Context
from sa_partman.compare.shape import descend, divides
from sa_partman.compare.window import Line, current_cell, lines_of
from sa_partman.finding import Finding, Severity
from sa_partman.names import QualifiedName
from sa_partman.spec.declared import Axis, DeclaredTable, IntegerAxis, Level, RangeLevel, TimeAxis


class Divided(NamedTuple):
    """
    Args:
        level: What the declaration says of the partitions here.
        parent: Whose partitions they are.
        context: As seen from here.
    """

    level: Level
    parent: Parent
    context: Context


def places_of(declared: DeclaredTable, found: FoundTable, context: Context, *, gone: bool = False) -> Iterator[Divided]:
    """
    The table, then what is below it; branches of another form are left out.

    Args:
        gone: Give the branches of tenants that left, too: things expire there, and nothing is made.
    """
    yield from _below(Divided(declared.level, found, context), gone)


def _below(place: Divided, gone: bool) -> Iterator[Divided]:
    yield place
    level, parent, context = place
    if level.below is None:
        return
    for partition in parent.partitions:
        if divides(level.below, partition):
            inside = descend(level, partition.bound, context)
            if gone or not inside.gone:
                yield from _below(Divided(level.below, partition, inside), gone)


MONTH = timedelta(days=30)
"""A month where an age is measured; runways are measured by the calendar."""


@dataclass(frozen=True, slots=True)
class Asked:
    """
    Args:
        min_horizon: A runway that is shorter is an error; None: what premake= asks for is enough.
        max_age: A last good run that is older is stale; None: two of the shortest declared interval.
        as_role: Say what this role lacks too; None: the connected role only.
    """

    min_horizon: Duration | None = None
    max_age: timedelta | None = None
    as_role: str | None = None

    @classmethod
    def of(
        cls,
        min_horizon: str | timedelta | Duration | None = None,
        max_age: str | timedelta | Duration | None = None,
        as_role: str | None = None,
    ) -> Asked:
        """
        From words: ``"7d"``, ``"2 weeks"``, a ``timedelta``.

        Raises:
            ValueError: That is no length of time.
        """
        age = None if max_age is None else _duration(max_age)
        return cls(
            None if min_horizon is None else _duration(min_horizon),
            None if age is None else age.months * MONTH + timedelta(days=age.days, seconds=age.seconds),
            as_role,
        )


def _duration(value: str | timedelta | Duration) -> Duration:
    if not isinstance(value, str | timedelta | Duration):
        raise ValueError(f"{value!r} is not a length of time; write a text such as '7d', or a timedelta")
    return value if isinstance(value, Duration) else Duration.parse(value)


RUN = "run: sa-partman run"
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Missing:
    """
    A partition that a plan would make.

    Args:
        parent: Of what it will be a partition.
    """

    name: QualifiedName
    bound: Bound
    parent: QualifiedName


@dataclass(frozen=True, slots=True)
class Due:
    """
    What a plan made at the same instant would do.

    Args:
        missing: Partitions to create.
        expired: Partitions to detach or drop.
    """

    missing: tuple[Missing, ...] = ()
    expired: tuple[QualifiedName, ...] = ()


def coverage_findings(
    found: FoundTable, places: Sequence[Divided], runways: Sequence[Runway], due: Due, asked: Asked
) -> Iterator[Finding]:
    """Gaps, a runway that is shorter than premake= asks for, or than whoever checks asks for."""
    table, nearest = str(found.name), shortest(runways)
    by_parent = {place.parent.name: place for place in places}
    sorted_out: dict[str, list[str]] = {"no-current": [], "gap": [], "horizon": [], "missing": []}
    for missing in due.missing:
        place = by_parent.get(missing.parent)
        sorted_out[_kind(place, missing.bound)].append(_said(place, missing.bound))
    fails = Severity.WARNING if default_of(found) is not None else Severity.ERROR
    goes = "fall into the default partition" if fails is Severity.WARNING else "fail"
    yield from _listed("no-current", fails, table, f"no partition for now, so inserts of now {goes}", sorted_out)
    yield from _listed("gap", fails, table, f"gaps, so inserts there {goes}", sorted_out)
    yield from _listed("missing", fails, table, f"missing partitions, so their inserts {goes}", sorted_out)
    ready = "" if nearest is None else f" (ready: {nearest})"
    said = f"not ready as far ahead as premake= asks{ready}"
    yield from _listed("horizon", Severity.WARNING, table, said, sorted_out)
    yield from _too_short(table, runways, due, asked)


def _too_short(table: str, runways: Sequence[Runway], due: Due, asked: Asked) -> Iterator[Finding]:
    """The runway that was asked for: the first to end of those that are shorter."""
    if asked.min_horizon is None:
        return
    wanted = asked.min_horizon
    runway = shortest(each for each in runways if each.shorter_than(wanted))
    if runway is None:
        return
    where = str(runway.parent) + (f", tenant {runway.tenant}," if runway.tenant else "")
    needed = max(each.premake_for(wanted) for each in runways if each.shorter_than(wanted))
    raised = f"set premake={needed} in the declaration, then run: sa-partman run"
    yield Finding(
        "short-runway",
        Severity.ERROR,
        table,
        f"{where} is ready for {runway}; at least {wanted} were asked for",
        RUN if due.missing and needed <= runway.level.spec.premake else raised,
    )


def _kind(place: Divided | None, bound: Bound) -> str:
    if place is None or not isinstance(place.level, RangeLevel) or not isinstance(bound, RangeBound):
        return "missing"
    level, parent, context = place.level, place.parent, place.context
    lower, upper = level.axis.decode(bound.lower[level.place]), level.axis.decode(bound.upper[level.place])
    current = current_cell(level, parent, context)
    if lower is None or upper is None:
        return "missing"
    if upper <= current.lower:
        return "gap"
    return "horizon" if lower >= current.upper else "no-current"


def _said(place: Divided | None, bound: Bound) -> str:
    return describe(bound if place is None else place.level.readable(bound))


def _listed(code: str, severity: Severity, table: str, message: str, found: dict[str, list[str]]) -> Iterator[Finding]:
    if found[code]:
        yield Finding(code, severity, table, f"{message}: {some(found[code])}", RUN)


def some(texts: Sequence[str]) -> str:
    """The first few of *texts*, and how many more there are."""
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more


FAR = 10_000
"""Whole intervals that are counted at most."""


@dataclass(frozen=True, slots=True)
class Runway:
    """
    Args:
        parent: Whose partitions they are.
        tenant: Of which tenant, as text; empty where there are none.
        here: Where it is written to now; the current interval's beginning for integers.
        reached: Where the partitions end; *here* when there is none for now.
        ahead: Whole intervals from the current one's end to there; -1 when there is no partition for now.
        last: The partition that ends there; None when there is none.
    """

    level: RangeLevel
    parent: QualifiedName
    tenant: str
    here: Position
    reached: Position
    ahead: int
    last: Partition | None

    @property
    def horizon(self) -> str | None:
        """The upper bound up to which inserts are safe, as text; None when they fail already."""
        return None if self.last is None else str(to_json(self.level.axis.encode(self.reached)))

    @property
    def until(self) -> str | None:
        """The horizon for people: the instant, also where a codec hides it in the key."""
        return None if self.last is None else shown(self.reached)

    @property
    def left(self) -> timedelta | int:
        """Time until the horizon is reached; for integers keys, from the current interval's beginning on."""
        left: timedelta | int = self.reached - self.here
        return left

    @property
    def seconds(self) -> float | None:
        """Until the horizon is reached; None for integers."""
        return self.left.total_seconds() if isinstance(self.left, timedelta) else None

    def shorter_than(self, wanted: Duration) -> bool:
        """By the calendar; False for integers, of which nobody knows how fast they grow."""
        axis = self.level.axis
        return isinstance(axis, TimeAxis) and axis.back(self.reached, wanted) < self.here

    def premake_for(self, wanted: Duration) -> int:
        """The least premake= whose runway is never shorter than *wanted*."""
        axis = self.level.axis
        assert isinstance(axis, TimeAxis)
        # At the end of the current interval the runway is at its shortest: just the intervals after it.
        end = axis.grid.cell(self.here).upper
        upper, needed = end, 0
        while axis.back(upper, wanted) < end and needed < FAR:
            upper, needed = axis.grid.cell(upper).upper, needed + 1
        return needed

    def __str__(self) -> str:
        intervals = f"{self.ahead} whole {'interval' if self.ahead == 1 else 'intervals'}"
        if self.last is None:
            return "0 intervals: there is no partition for now"
        if isinstance(self.left, timedelta):
            return f"{intervals} and {days(self.left)} from now, up to {self.until}"
        return f"{intervals}, {self.left:,} keys from the current interval's beginning, up to {self.until}"


def days(length: timedelta) -> str:
    """``17.5 days``."""
    return f"{length / timedelta(days=1):.1f} days"


def runways_of(declared: DeclaredTable, found: FoundTable, context: Context) -> Iterator[Runway]:
    """One for each line of each range level; none where the partitions never end."""
    if any(isinstance(level, RangeLevel) for level in declared.levels()):
        for place in places_of(declared, found, context):
            yield from runways_at(place)


def runways_at(place: Divided) -> Iterator[Runway]:
    """Those of one parent; none where the range above bounds them."""
    level, parent, context = place
    if not isinstance(level, RangeLevel):
        return
    if context.within is not None and context.within[0] == level.spec.ranged:
        return
    blocks = _blocks(parent)
    lowers = [block.lower for block in blocks]
    for line in lines_of(level, parent, context):
        runway = _runway(Divided(level, parent, context), line, blocks, lowers)
        if runway is not None:
            yield runway


def shortest(runways: Iterable[Runway]) -> Runway | None:
    """The one that ends first; by time where there is any."""
    return min(runways, key=lambda each: (each.seconds is None, each.seconds or 0, each.ahead), default=None)


class _Block(NamedTuple):
    lower: tuple[OrderKey, ...]
    upper: tuple[OrderKey, ...]
    bound: RangeBound
    partition: Partition


def _blocks(parent: Parent) -> list[_Block]:
    ranges = [
        _Block(row_order(each.bound.lower), row_order(each.bound.upper), each.bound, each)
        for each in parent.partitions
        if isinstance(each.bound, RangeBound) and not each.detach_pending
    ]
    return sorted(ranges, key=lambda block: block.lower)


def _runway(place: Divided, line: Line, blocks: list[_Block], lowers: list[tuple[OrderKey, ...]]) -> Runway | None:
    level, parent, context = place
    assert isinstance(level, RangeLevel)
    axis, current = level.axis, current_cell(level, parent, context)
    here = axis.position(context.now) if isinstance(axis, TimeAxis) else current.lower
    start = row_order((*line.prefix, axis.encode(here), *(MINVALUE,) * (line.width - line.place - 1)))
    last = _end(start, blocks, lowers, place)
    tenant = "" if not line.prefix else str(line.prefix[0])
    if last is None:
        return Runway(level, parent.name, tenant, here, here, -1, None)
    reached = None if last.bound.upper[: line.place] != line.prefix else axis.decode(last.bound.upper[line.place])
    if reached is None:
        return None
    return Runway(level, parent.name, tenant, here, reached, _cells(axis, current.upper, reached), last.partition)


def _cells(axis: Axis, upper: Position, reached: Position) -> int:
    """How many cells lie from *upper* on to *reached*; one that is cut counts."""
    step = _step(axis)
    if step is not None:
        whole: int = -((upper - reached) // step)
        return max(0, min(whole, FAR))
    number = 0
    while upper < reached and number < FAR:
        upper, number = axis.grid.cell(upper).upper, number + 1
    return number


def _step(axis: Axis) -> timedelta | int | None:
    """The width of every cell; None where they differ: months, and days in a zone that turns its clocks."""
    if isinstance(axis, IntegerAxis):
        return axis.width
    if not isinstance(axis, TimeAxis) or axis.interval.months or not isinstance(axis.grid, UtcGrid | WallGrid):
        return None
    return timedelta(days=axis.interval.days, seconds=axis.interval.seconds)


def _end(
    start: tuple[OrderKey, ...], blocks: list[_Block], lowers: list[tuple[OrderKey, ...]], place: Divided
) -> _Block | None:
    """The last of the blocks that follow each other without a gap, from the one that holds *start* on."""
    index = bisect_right(lowers, start) - 1
    if index < 0 or blocks[index].upper <= start:
        return None
    while index + 1 < len(blocks) and _follows(blocks[index + 1], blocks[index], place.level):
        index += 1
    return blocks[index]


def _follows(block: _Block, before: _Block, level: Level) -> bool:
    """Also when both ends are one instant that was written in two ways, as other tools do with UUIDs."""
    if block.lower <= before.upper:
        return True
    if not isinstance(level, RangeLevel) or block.bound.lower[: level.place] != before.bound.upper[: level.place]:
        return False
    place = level.place
    position = level.axis.decode(block.bound.lower[place])
    return position is not None and position == level.axis.decode(before.bound.upper[place])
