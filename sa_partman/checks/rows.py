"""Rows: what checks need to know of them, which are in the wrong place, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from shlex import quote as in_shell
from typing import NamedTuple

from sa_partman.bounds.bound import RangeBound, row_order
from sa_partman.bounds.interval import Cell
from sa_partman.bounds.predicate import check_predicate
from sa_partman.bounds.text import describe
from sa_partman.catalog import FoundTable, Parent, Partition, default_of
from sa_partman.checks.coverage import RUN, some
from sa_partman.compare.context import Context
from sa_partman.compare.expired_rows import FEW, MOVED_AT_MOST, ExpiredRows, Outlived, row_cutoff
from sa_partman.compare.expiry import HAND_OVER, has_foreign
from sa_partman.compare.window import current_cell, cutoff_of, lacking_in, lines_of, retention_in
from sa_partman.finding import Finding, Severity
from sa_partman.marks import is_restored
from sa_partman.names import QualifiedName
from sa_partman.spec.declared import RangeLevel, TimeAxis
from sa_partman.spec.range_spec import Retention


def row_findings(table: QualifiedName, facts: DataFacts) -> Iterator[Finding]:
    for default in facts.default_rows:
        yield from _default_findings(table, default)
    for misplaced in facts.misplaced:
        seen = "at least " if misplaced.sampled else ""
        yield Finding(
            "misplaced-rows",
            Severity.WARNING,
            str(table),
            f"{seen}{misplaced.rows} rows in {misplaced.partition} have a key that the codec can't place in time",
            "find out what writes them; retention goes by the partition that they are in",
        )


def _default_findings(table: QualifiedName, default: DefaultRows) -> Iterator[Finding]:
    """One for each fate of rows, so that none promises what happens to others only."""
    about = "about " if default.sampled else ""
    sits = f"{about}{default.rows} rows sit in the default partition {default.partition}"
    if not default.blocked:
        yield Finding("default-rows", Severity.WARNING, str(table), sits, "look what they are: no run moves them")
        return
    for fate in Fate:
        some = [each for each in default.blocked if each.fate is fate]
        if some and fate is not Fate.KEPT:
            yield _of_fate(table, default, f"{sits}; of these", fate, some)


def _of_fate(table: QualifiedName, default: DefaultRows, sits: str, fate: Fate, some: list[Blocked]) -> Finding:
    listed = ", ".join(f"{each.what} ({each.rows} rows)" for each in some)
    most = max(each.rows for each in some)
    severity = Severity.INFO if fate in (Fate.LATER, Fate.DELETED, Fate.GRACE) else Severity.WARNING
    if fate is Fate.NEXT and default.held:
        message = f"{sits}, {listed} belong into partitions that are missing, and no run moves them: {default.held}"
        remedy = "sa-partman run, which fails there, prints what to do"
    elif fate is Fate.NEXT and most > MOVED_AT_MOST:
        message = f"{sits}, more than {MOVED_AT_MOST} belong into one partition that is missing: {listed}"
        remedy = (
            f"move them while the application goes on, with sa-partman drain; or in a maintenance window, because "
            f"nobody reads or writes them meanwhile: sa-partman run --max-rows {most}"
        )
    elif fate is Fate.NEXT:
        message, remedy = f"{sits}, the next run moves {listed} into partitions that it makes", RUN
    elif fate is Fate.LATER:
        message, remedy = f"{sits}, {listed} lie ahead; the run that makes their partitions moves them", ""
    elif fate is Fate.DELETED:
        message, remedy = f"{sits}, {listed} are expired, and the next run deletes them", RUN
    elif fate is Fate.GRACE:
        message, remedy = f"{sits}, {listed} are expired; the run after their grace= deletes them", ""
    elif fate is Fate.FOREIGN:
        message = f"{sits}, {listed} are expired, and kept, because sa-partman did not make the default partition"
        remedy = HAND_OVER
    elif fate is Fate.TIMELESS:
        message = f"{sits}, {listed} are expired, and kept: grace= is a time, and the key has none"
        remedy = _deleting(default, some)
    elif fate is Fate.STAYING:
        message = (
            f"{sits}, {listed} are expired, and kept: rows of a default partition can't be detached, and retention "
            f"deletes none that it does not drop"
        )
        made = _provisions(table, some)
        remedy = (
            f"make partitions, which the next run removes like others: {made}" if made else _deleting(default, some)
        )
    elif some[0].at:
        message = f"{sits}, no run makes a partition for {listed}"
        remedy = f"make one, which moves them: {_provisions(table, some)}"
    else:
        message = f"{sits}, no run makes a partition for {listed}"
        remedy = "declare what they belong to, make a partition in a migration, or delete them"
    return Finding("default-rows", severity, str(table), message, remedy)


def _provisions(table: QualifiedName, some: list[Blocked]) -> str:
    """
    What makes their partitions and moves them there; empty where the key has no time. In this table only: the others
    would get partitions of that time, too, and every run would fill what lies between.
    """
    command = f"sa-partman provision --table {in_shell(table.name)} --at"
    return "; ".join(f"{command} {each.at}{_enough(each.rows)}" for each in some if each.at)


def _enough(rows: int) -> str:
    return f" --max-rows {rows}" if rows > MOVED_AT_MOST else ""


def _deleting(default: DefaultRows, some: list[Blocked]) -> str:
    rows = " OR ".join(f"({each.where})" for each in some)
    return f"delete them: DELETE FROM {default.partition.quoted} WHERE {rows}"


def unread_rows(table: QualifiedName, reason: str, remedy: str) -> Finding:
    """The rows of *table* can't be read."""
    return Finding(
        "rows-unread",
        Severity.WARNING,
        str(table),
        f"the rows of {table} can't be read: {reason}",
        remedy,
    )


class Fate(StrEnum):
    """
    What becomes of rows of a default partition: the next run moves them, a later one does, or none. Of expired ones:
    the next run deletes them, a later one does; they are of a partition that we did not make, which the declaration may
    want; or its retention keeps what leaves the table, or counts its grace in time and the key has none.
    """

    NEXT = "next"
    LATER = "later"
    DELETED = "deleted"
    GRACE = "grace"
    FOREIGN = "foreign"
    KEPT = "kept"
    STAYING = "staying"
    TIMELESS = "timeless"
    NONE = "none"


class Blocked(NamedTuple):
    """
    Args:
        what: A cell of the grid, or a value, as text.
        rows: That lie in it, as far as they were seen.
        at: The first instant of the cell, for ``--at``; empty where there is none.
        where: The condition of its rows.
    """

    what: str
    rows: int
    fate: Fate = Fate.NONE
    at: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True)
class DefaultRows:
    """
    Rows that sit in a default partition.

    Args:
        partition: The default partition.
        rows: How many; estimated when the table is large.
        blocked: The cells or values that they belong to; the first ones, when there are many.
        sampled: The table is large and only a part of it was read.
        held: Why a run moves none of them although it makes their partitions, in words.
    """

    partition: QualifiedName
    rows: int
    blocked: tuple[Blocked, ...] = ()
    sampled: bool = False
    held: str = ""


@dataclass(frozen=True, slots=True)
class Misplaced:
    """
    Rows whose key a codec can't place.

    Args:
        partition: Where they sit.
        rows: How many were seen.
        sampled: The table is large and only a part of it was read.
    """

    partition: QualifiedName
    rows: int
    sampled: bool


@dataclass(frozen=True, slots=True)
class ByPartition:
    """
    Publications without ``publish_via_partition_root``.

    Args:
        publications: Their names; at least one.
        subscribed: The database has a slot of a subscriber, of whichever publication.
    """

    publications: tuple[str, ...]
    subscribed: bool


@dataclass(frozen=True, slots=True)
class TableFacts:
    """
    What the catalog says of one table beside its partitions.

    Args:
        indexes: Of the table itself; each partition has as many.
        nullable: Columns that may be NULL.
        written: Partitions at the end of a runway that have been written to.
        by_partition: None unless a publication sends its rows by the names of its partitions.
    """

    indexes: int = 0
    nullable: frozenset[str] = frozenset()
    written: frozenset[QualifiedName] = frozenset()
    by_partition: ByPartition | None = None


@dataclass(frozen=True, slots=True)
class LockTable:
    """
    How many locks all sessions together can hold.

    Args:
        per_transaction: ``max_locks_per_transaction``.
        transactions: ``max_connections`` and ``max_prepared_transactions`` together.
    """

    per_transaction: int
    transactions: int

    @property
    def size(self) -> int:
        """In locks."""
        return self.per_transaction * self.transactions


@dataclass(frozen=True, slots=True)
class LastRuns:
    """
    What the audit tables say of the runs.

    Args:
        age: Seconds since the last good run ended, by the server's clock; None: there was none.
        first: Seconds since the oldest run that is known began.
        began: When the last run began, in seconds since 1970.
        succeeded: When the last good run ended; None: there was none.
        seconds: How long the last run that ended took; None: there was none.
    """

    age: float | None
    first: float
    began: float
    succeeded: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class DataFacts:
    """Everything that was read of one table's rows."""

    default_rows: tuple[DefaultRows, ...] = ()
    misplaced: tuple[Misplaced, ...] = ()


Telling = Callable[[Cell, RangeBound, int], Blocked]
"""Takes a cell, its bound and the number of its rows."""


def fates(level: RangeLevel, parent: Parent, context: Context) -> Telling:
    """For the cells of *parent*, whose key has no tenants: what holds for all of them is computed once."""
    (line,) = lines_of(level, parent, context)
    lacking = lacking_in(line, level, parent, context)
    missing = () if context.gone else (*lacking.ahead, *lacking.past)
    made = [(row_order(each.lower), row_order(each.upper)) for each in missing]
    retention = retention_in(line, level, context)
    cutoff = None if retention is None else cutoff_of(retention, level, parent, context)
    rows_until = None if retention is None else row_cutoff(retention, level, parent, context)
    default = default_of(parent)
    ahead = current_cell(level, parent, context).upper
    key = parent.key or level.key
    names = [part.sql for part in key.parts]

    def fate(cell: Cell, bound: RangeBound) -> Fate:
        lower, upper = row_order(bound.lower), row_order(bound.upper)
        if any(first < upper and lower < last for first, last in made):
            return Fate.NEXT
        if retention is not None and cutoff is not None and cell.upper <= cutoff:
            if rows_until is None:
                return Fate.TIMELESS if retention.then == "drop" else Fate.STAYING
            deleted = _deleted(default, retention)
            return Fate.GRACE if deleted is Fate.DELETED and cell.upper > rows_until else deleted
        return Fate.LATER if cell.lower >= ahead and not context.gone else Fate.NONE

    def told(cell: Cell, bound: RangeBound, rows: int) -> Blocked:
        at = cell.lower.isoformat() if isinstance(level.axis, TimeAxis) and isinstance(cell.lower, datetime) else ""
        return Blocked(
            describe(level.readable(bound)), rows, fate(cell, bound), at, check_predicate(bound, names, key.types) or ""
        )

    return told


def told_of(expired: ExpiredRows, default: Partition, rows: int) -> Blocked:
    """For a key with tenants, whose rows are not told apart."""
    return Blocked("those past their retention", rows, _deleted(default, expired.retention), where=expired.where)


def _deleted(default: Partition | None, retention: Retention) -> Fate:
    if default is None or retention.foreign or not has_foreign(default):
        return Fate.DELETED
    return Fate.FOREIGN if retention.foreign is None else Fate.KEPT


def outlived_findings(
    table: QualifiedName, partitions: Iterable[tuple[Partition, Outlived]], rows: Mapping[int, int]
) -> Iterator[Finding]:
    """
    One for all of them: nothing is wrong, and it ends by itself.

    Args:
        rows: The planner's estimates by oid, as far as it was asked.
    """
    found = [each for each in partitions if rows.get(each[0].oid, FEW + 1) > FEW]
    told = [outlived.told(str(partition.name), rows.get(partition.oid)) for partition, outlived in found]
    if told:
        first = next((partition for partition, outlived in found if outlived.splits), None)
        split = "" if first is None else f"cut it in intervals: sa-partman split {in_shell(str(first.name))}"
        yield Finding("outlived", Severity.INFO, str(table), together(told), split)


def together(told: Sequence[str]) -> str:
    """The first of them; how many partitions more there are of the kind."""
    more = len(told) - 1
    return told[0] + (f"; and {more} more {'partition' if more == 1 else 'partitions'} like it" if more else "")


def restored_findings(found: FoundTable) -> Iterator[Finding]:
    """One for all of them; they are there because somebody wants them."""
    names = [str(each.name) for each in found.walk() if is_restored(each.comment)]
    if names:
        yield Finding(
            "restored",
            Severity.INFO,
            str(found.name),
            f"{len(names)} restored from an archive, and kept until you drop them: {some(names)}",
            "drop them when they are no longer needed, or remove their comments and run: sa-partman run --adopt",
        )
