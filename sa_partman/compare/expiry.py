"""Which partitions are expired: upper bound <= now - keep, by value, never by name; and detaches that are pending."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sa_partman.bounds.bound import MINVALUE, RangeBound
from sa_partman.bounds.interval import Position
from sa_partman.catalog import FoundTable, Parent, Partition
from sa_partman.compare.context import Context
from sa_partman.compare.shape import descend, divides
from sa_partman.compare.window import Line, cutoff_of, line_of, lines_of, retention_in
from sa_partman.errors import DeclarationError
from sa_partman.finding import Finding, Severity
from sa_partman.marks import is_foreign, is_marked, is_restored
from sa_partman.names import QualifiedName
from sa_partman.spec.declared import DeclaredTable, Level, RangeLevel, TimeAxis
from sa_partman.spec.range_spec import Retention

HAND_OVER = (
    "hand them over, once: sa-partman run --adopt (also what sa-partman 0.1.0 made, which has no mark); or declare "
    "Retention(..., foreign=True), or foreign=False to keep them for good"
)


def has_foreign(partition: Partition) -> bool:
    """
    Whether we did not make *partition*, or something below it that would go with it; of foreign tables, which nobody
    makes but the user, `Retention` says something else.
    """
    return any(is_foreign(each.comment) for each in partition.walk() if each.kind != "f")


Judge = Callable[[Partition], Retention | None]
"""Gives the retention by which a partition is expired; None while it is kept."""


def expiry_of(level: Level, parent: Parent, context: Context) -> Judge:
    """A judge for the partitions of *parent*; what holds for all of them is computed once."""
    if not isinstance(level, RangeLevel) or level.spec.retention is None:
        return _keep
    wanted = frozenset(lines_of(level, parent, context))
    cutoffs: dict[Line, tuple[Retention, Position] | None] = {}

    def cutoff_in(line: Line) -> tuple[Retention, Position] | None:
        if line not in cutoffs:
            retention = retention_for(line, level, context, gone=line not in wanted)
            found = None if retention is None else (retention, cutoff_of(retention, level, parent, context))
            cutoffs[line] = found
        return cutoffs[line]

    for line in wanted:  # what fails of the user's fails here
        cutoff_in(line)

    def judge(partition: Partition) -> Retention | None:
        bound = partition.bound
        if not isinstance(bound, RangeBound) or bound.open_above or is_restored(partition.comment):
            return None
        line = line_of(level, bound)
        found = None if line is None else cutoff_in(line)
        if line is None or found is None:
            return None
        retention, cutoff = found
        upper = level.axis.decode(bound.upper[line.place])
        if upper is None or upper > cutoff:
            return None
        return retention if ended(level, bound, line.place, upper) <= cutoff else None

    return judge


def retention_for(line: Line, level: RangeLevel, context: Context, *, gone: bool = False) -> Retention | None:
    """
    What the declaration says for *line*.

    Args:
        gone: It is of a tenant that left.
    """
    try:
        return retention_in(line, level, context)
    except DeclarationError:
        if gone or context.gone:
            return None  # a callable need not know whom the tenants' source has forgotten
        raise


def ended(level: RangeLevel, bound: RangeBound, place: int, upper: Position) -> Position:
    """
    The first position that lies behind every row of *bound*: *upper*, as a rule.

    Args:
        upper: The position of its upper end.
    """
    axis, value = level.axis, bound.upper[place]
    if axis.encode(upper) == value:
        # Behind the ranged column anything but MINVALUE lets in rows of the upper value itself.
        step: Any = None if all(each is MINVALUE for each in bound.upper[place + 1 :]) else axis.tick
    else:
        # The value itself lies between two positions: 2000.5, or a UUID that some other tool has filled up.
        codec = axis.codec if isinstance(axis, TimeAxis) else None
        step = 1 if codec is None else codec.resolution
    try:
        return upper if step is None else upper + step
    except OverflowError:  # the end of Python's calendar
        return upper


def _keep(_: Partition) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Pending:
    """
    Args:
        parent: That still lists *partition*.
        level: By which *parent* is divided; None where it is divided otherwise than declared.
        retention: By which the partition is expired; None while it is to be kept.
    """

    parent: Parent
    partition: Partition
    level: Level | None = None
    retention: Retention | None = None

    @property
    def ours(self) -> bool:
        """Whether we began it, so that a run ends it."""
        return is_marked(self.partition.comment)

    @property
    def runs(self) -> bool:
        return self.partition.detached_by is not None


def pending_detaches(declared: DeclaredTable, found: FoundTable, context: Context) -> tuple[Pending, ...]:
    """All of *found*, whatever the level; parents before their partitions."""
    parents: tuple[Parent, ...] = (found, *found.walk())
    pairs = [(parent, each) for parent in parents for each in parent.partitions if each.detach_pending]
    if not pairs:
        return ()
    judged = {each.partition.oid: each for each in _judged(declared.level, found, context)}
    return tuple(judged.get(each.oid) or Pending(parent, each) for parent, each in pairs)


def pending_finding(table: QualifiedName, pending: Pending) -> Finding:
    """What a pending detach means for the application, and what ends it."""
    parent, partition = pending.parent.name, pending.partition
    hidden = "its rows are invisible and new ones of its range are refused"
    if pending.runs:
        meant = pending.ours or pending.retention is not None
        return Finding(
            "detach-running",
            Severity.INFO if meant else Severity.ERROR,
            str(table),
            f"pid {partition.detached_by} is detaching {partition.name} concurrently, and waits for older "
            f"transactions: {hidden}",
            f"wait for its end; or SELECT pg_cancel_backend({partition.detached_by}), then: sa-partman run --repair",
        )
    finalize = f"ALTER TABLE {parent.quoted} DETACH PARTITION {partition.name.quoted} FINALIZE"
    if pending.ours:
        remedy = f"run: sa-partman run, or {finalize}"
    elif pending.retention is not None:
        remedy = f"it is expired; end the detach with: sa-partman run --repair, or {finalize}"
    else:
        remedy = f"attach it again with: sa-partman run --repair, or end the detach: {finalize}"
    return Finding(
        "detach-pending",
        Severity.ERROR,
        str(table),
        f"the concurrent detach of {partition.name} was interrupted: {hidden}; a dump would restore it attached",
        remedy,
    )


def _judged(level: Level, parent: Parent, context: Context) -> Iterator[Pending]:
    expiry = expiry_of(level, parent, context)
    for partition in parent.partitions:
        if partition.detach_pending:
            yield Pending(parent, partition, level, expiry(partition))
        elif level.below is not None and divides(level.below, partition):
            yield from _judged(level.below, partition, descend(level, partition.bound, context))
