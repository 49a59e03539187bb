"""What expired and is still there: just now, or for so long that nobody seems to remove it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import timedelta
from typing import NamedTuple

from sa_partman.bounds.bound import RangeBound
from sa_partman.catalog import FoundTable
from sa_partman.checks.coverage import RUN, some
from sa_partman.checks.places import Place
from sa_partman.checks.runway import days
from sa_partman.compare.expiry import expiry_of
from sa_partman.compare.reached import cutoff_of
from sa_partman.finding import Finding, Severity
from sa_partman.names import QualifiedName
from sa_partman.spec.declared import RangeLevel


class _Expired(NamedTuple):
    name: QualifiedName
    since: timedelta | int
    overdue: bool


def overdue_findings(
    found: FoundTable, places: Iterable[Place], expired: Collection[QualifiedName]
) -> Iterator[Finding]:
    """
    Something expires at the end of every interval, and stays until the next run: that alone is no problem.

    Args:
        expired: What a run would remove now.
    """
    if not expired:
        return
    table, wanted = str(found.name), frozenset(expired)
    seen = [each for place in places for each in _expired(place, wanted)]
    late = [each for each in seen if each.overdue]
    if late:
        since = max(late, key=lambda each: each.since if isinstance(each.since, int) else each.since.total_seconds())
        names = some([str(each.name) for each in late])
        message = f"{len(late)} expired more than an interval ago, {since.name} {_words(since.since)} ago: {names}"
        yield Finding("overdue", Severity.WARNING, table, message, RUN)
    fresh = [str(each.name) for each in seen if not each.overdue]
    if fresh:
        message = f"{len(fresh)} expired within the last interval: {some(fresh)}"
        yield Finding("expired", Severity.INFO, table, message, RUN)
    kept = [str(each.name) for each in found.detached if each.name in wanted]
    if kept:
        message = f"{len(kept)} detached tables were kept as long as grace= asks: {some(kept)}"
        yield Finding("grace-over", Severity.INFO, table, message, RUN)


def _expired(place: Place, wanted: frozenset[QualifiedName]) -> Iterator[_Expired]:
    level, parent, situation = place
    if not isinstance(level, RangeLevel) or level.spec.retention is None:
        return
    judge = expiry_of(level, parent, situation)
    for partition in parent.partitions:
        if partition.name not in wanted or not isinstance(partition.bound, RangeBound):
            continue
        retention, upper = judge(partition), level.axis.decode(partition.bound.upper[level.place])
        if retention is not None and upper is not None:
            cutoff = cutoff_of(retention, level, parent, situation)
            yield _Expired(partition.name, cutoff - upper, level.axis.grid.cell(upper).upper <= cutoff)


def _words(since: timedelta | int) -> str:
    return days(since) if isinstance(since, timedelta) else f"{since:,} keys"
