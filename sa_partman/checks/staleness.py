"""Whether anybody maintains these tables at all, by what the audit tables say."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from sa_partman.checks.data import LastRuns
from sa_partman.checks.runway import days
from sa_partman.finding import Finding, Severity
from sa_partman.spec.axis import TimeAxis
from sa_partman.spec.declared import DeclaredTable, RangeLevel

LATE = 2
"""Intervals of the shortest declared one after which a run is overdue."""


def stale_finding(last: LastRuns | None, tables: Iterable[DeclaredTable], max_age: timedelta | None) -> Finding | None:
    """
    Args:
        last: None: nothing is known, because no run was audited.
        max_age: None: two of the shortest declared interval, where runs are audited.
    """
    limit = max_age or _default(tables)
    if last is None:
        return None if max_age is None else _unknown(max_age)
    if limit is None:
        return None
    age = last.first if last.age is None else last.age
    if age <= limit.total_seconds():
        return None
    since = f"for {days(timedelta(seconds=age))}"
    said = f"no run has ended well {since}" if last.age is not None else f"no run has ever ended well, {since}"
    return Finding(
        "stale-maintenance",
        Severity.WARNING,
        "",
        f"{said}; at most {days(limit)} were expected (sa_partman_runs has the runs and their errors)",
        "schedule: sa-partman run --yes",
    )


def _unknown(max_age: timedelta) -> Finding:
    return Finding(
        "stale-maintenance",
        Severity.WARNING,
        "",
        f"no successful run on record, and one within the last {days(max_age)} was asked for: this role sees no table "
        f"sa_partman_runs",
        "audit the runs: sa-partman run --yes --audit; let this role read its tables, and name their schema here too "
        "if it is another one: --audit=SCHEMA",
    )


def _default(tables: Iterable[DeclaredTable]) -> timedelta | None:
    axes = (level.axis for table in tables for level in table.levels() if isinstance(level, RangeLevel))
    return min((LATE * axis.interval.shortest for axis in axes if isinstance(axis, TimeAxis)), default=None)
