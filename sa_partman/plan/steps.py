"""Steps and plans: actions in transactions, in order; of maintenance and of conversions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

from sa_partman.bounds.bound import Bound
from sa_partman.finding import Finding
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import Action, CreatePartition, CreateTable, DeleteExpired, DeleteReferring


class Purpose(StrEnum):
    """Why a step exists; steps run in this order."""

    HEAL = "heal"
    REPAIR = "repair"
    ADOPT = "adopt"
    REGRID = "regrid"
    PROVISION = "provision"
    DETACH = "detach"
    ARCHIVE = "archive"
    DROP = "drop"
    CONVERT = "convert"
    UNDO = "undo"

    @property
    def removes(self) -> bool:
        """Whether rows leave the partitioned table, or a table that left it goes."""
        return self in (Purpose.DETACH, Purpose.ARCHIVE, Purpose.DROP)


@dataclass(frozen=True, slots=True)
class Step:
    """
    The changes of one transaction (or one statement outside of any, when its action asks for that).

    Args:
        purpose: Why.
        table: The declared table.
        partition: The partition that the step is about, or *table*.
        bound: That partition's bound; None when it does not matter.
        actions: In order; at least one.
        role: Who does it, by SET ROLE: the owner of the table. None: whoever connected.
        below: Partitions, of all levels, that go with *partition*.
        shown: The bound for people, where it differs; see `showing`.
        past: It makes a partition of a range that is over, which every table's urgent ones go before.
        id: Stable, unique within its plan: of a resume point.
        title: What it does, for people.
        undo: What takes it back, in order.
        lock: The strongest lock that it takes, on which table, for how long; for people.
        scans: What it reads, or empty: the work that grows with the table.
        locked: Quoted tables that are locked ACCESS EXCLUSIVE before anything else.
        builds: The quoted name of an index that it builds concurrently, to look at when it was interrupted.
        guarded: Nothing in it may scan a table; checked while it runs.
    """

    purpose: Purpose
    table: QualifiedName
    partition: QualifiedName
    bound: Bound | None
    actions: tuple[Action, ...]
    role: str | None = None
    below: int = 0
    past: bool = False
    shown: Bound | None = field(default=None, compare=False, repr=False)
    id: str = ""
    title: str = ""
    undo: tuple[Action, ...] = ()
    lock: str = ""
    scans: str = ""
    locked: tuple[str, ...] = ()
    builds: str | None = None
    guarded: bool = False

    @property
    def in_transaction(self) -> bool:
        return all(action.in_transaction for action in self.actions)

    @property
    def prepares(self) -> bool:
        """Whether it only clears the way: rows of other tables go, and the partition stays as it is."""
        return all(isinstance(action, DeleteReferring) for action in self.actions)

    @property
    def deletes_rows(self) -> bool:
        """Whether it only deletes rows of *partition*, which stays."""
        return all(isinstance(action, DeleteExpired) for action in self.actions)

    @property
    def partitions(self) -> int:
        """How many partitions it makes or removes, of all levels."""
        if self.purpose.removes:
            return 1 + self.below
        return max(1, sum(isinstance(action, CreateTable | CreatePartition) for action in self.actions))


@dataclass(frozen=True, slots=True)
class TablePlan:
    """
    What one table needs.

    Args:
        table: The declared table.
        steps: In order: heal, provision, prune.
        findings: What stands in the way, and is not done.
    """

    table: QualifiedName
    steps: tuple[Step, ...] = ()
    findings: tuple[Finding, ...] = ()

    def only(self, *purposes: Purpose) -> TablePlan:
        return TablePlan(self.table, tuple(step for step in self.steps if step.purpose in purposes), self.findings)


def in_order(tables: Sequence[TablePlan]) -> Iterator[Step]:
    """
    What is made before what is removed, and what is written to now before the past.

    Args:
        tables: Referenced ones first. Removing goes the other way: what refers to a row goes before the row.
    """
    for table in tables:
        yield from (step for step in table.steps if not step.purpose.removes and not step.past)
    for table in tables:
        yield from (step for step in table.steps if step.past)
    for table in reversed(tables):
        yield from (step for step in table.steps if step.purpose.removes)


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What all tables need at *now*. Truthy when there is anything to do.

    Args:
        now: The instant that it was made for; aware.
        tables: In the order of the metadata: referenced tables first.
    """

    now: datetime
    tables: tuple[TablePlan, ...]

    def __bool__(self) -> bool:
        return any(table.steps for table in self.tables)

    @property
    def steps(self) -> Iterator[Step]:
        """In the order in which they are done."""
        yield from in_order(self.tables)

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(finding for table in self.tables for finding in table.findings)

    def only(self, *purposes: Purpose) -> Self:
        return replace(self, tables=tuple(table.only(*purposes) for table in self.tables))
