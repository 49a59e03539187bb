"""
What is to be converted, into what, what the user decided, and which bound the present rows take; and the plan that
comes of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from shlex import quote as in_shell
from typing import Any, Literal

from sa_partman.bounds.bound import MINVALUE, Bound, KeyValue, ListBound, RangeBound
from sa_partman.bounds.interval import Position
from sa_partman.catalog import Partition
from sa_partman.compare.context import Context
from sa_partman.compare.expired_rows import Outlived, outlived_in
from sa_partman.compare.lists import wanted_labels
from sa_partman.names import QualifiedName, join_name
from sa_partman.plan.actions import Action
from sa_partman.plan.steps import Purpose, Step
from sa_partman.spec.declared import DeclaredTable, IntegerAxis, Level, ListLevel, RangeLevel, TimeAxis

InboundPolicy = Literal["refuse", "drop", "composite"]
UniquePolicy = Literal["local", "drop"]


@dataclass(frozen=True, slots=True)
class Choices:
    """
    Args:
        inbound: What becomes of foreign keys of other tables that can't go on as they are: "refuse"; "drop"; or
            "composite", where the referencing table has a column of the partition key's name: it refers by that too.
        unique: By constraint or index name: "local" keeps it on the history partition only, "drop" drops it.
    """

    inbound: InboundPolicy = "refuse"
    unique: Mapping[str, UniquePolicy] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Profile:
    """
    What the rows say.

    Args:
        nulls: Rows whose key is NULL (in any column of it).
        outside: Rows that the history's bound does not take.
        sample: Some of those keys, as text.
        unmatched: By referencing table and foreign key: how many of its rows refer to no row by the composite form.
        slots: Logical replication slots of the database: somebody is sent what is published.
        older: Rows that are older than the retention and stay in the history, as the planner estimates it; None when
            it was not asked.
        analyzed: The planner's statistics cover every column, and are as fresh as autovacuum would have them.
    """

    nulls: int = 0
    outside: int = 0
    sample: tuple[str, ...] = ()
    unmatched: Mapping[tuple[QualifiedName, str], int] = field(default_factory=dict)
    analyzed: bool = False
    slots: tuple[str, ...] = ()
    older: int | None = None


def new_table(table: QualifiedName) -> QualifiedName:
    """What the partitioned table is called until it takes the name of *table*."""
    return table.sibling(join_name(table.name, "pnew"))


def history_table(table: QualifiedName) -> QualifiedName:
    """What the partition is called that *table* becomes."""
    return table.sibling(join_name(table.name, "history"))


def proof(table: QualifiedName) -> str:
    """What the constraint is called that proves the bound of the history."""
    return join_name(table.name, "history_bound")


def key_index(table: QualifiedName) -> str:
    """What the index of the new primary key is called until the swap."""
    return join_name(table.name, "pkey_new")


@dataclass(frozen=True, slots=True)
class TargetRequest:
    """
    What a table is to become.

    Args:
        declared: The target; its name carries the schema.
        primary_key: Column names of the target's primary key; empty for none.
        context: The clock and the tenants.
        choices: What the user decided.
        concurrently: Build indexes without blocking writers; impossible inside a transaction, so False means that an
            operation of a migration asks, and has arguments where the command has options.
    """

    declared: DeclaredTable
    primary_key: tuple[str, ...]
    context: Context
    choices: Choices = field(default_factory=Choices)
    concurrently: bool = True

    @property
    def table(self) -> QualifiedName:
        return self.declared.name

    def unique_choice(self, name: str) -> str:
        """What can become of a unique index without the partition key, as whoever asked would write it."""
        return f"drop it (--unique {name}=drop)"

    def inbound_choice(self, policy: InboundPolicy) -> str:
        """The same for foreign keys that refer to the table."""
        return f"--inbound {policy}" if self.concurrently else f"inbound={policy!r}"


@dataclass(frozen=True, slots=True)
class ConversionRequest(TargetRequest):
    """
    Args:
        history: The bound of the partition that the table's present rows become.
    """

    history: RangeBound | ListBound = field(kw_only=True)

    @property
    def new(self) -> QualifiedName:
        """The partitioned table, until it takes the table's name."""
        return new_table(self.table)

    @property
    def old(self) -> QualifiedName:
        """The partition that the table becomes."""
        return history_table(self.table)

    @property
    def readable(self) -> Bound:
        """The history's bound for people."""
        return self.declared.level.readable(self.history)

    @property
    def outlived(self) -> Outlived | None:
        """What of the history outlives the retention."""
        return outlived_history(self.declared.level, self.history, self.old, self.context)

    def unique_choice(self, name: str) -> str:
        """What can become of a unique index without the partition key, as whoever asked would write it."""
        written = f"--unique {name}={{}}" if self.concurrently else f"unique={{{{{name!r}: '{{}}'}}}}"
        return f"keep it on the history only ({written.format('local')}), or drop it ({written.format('drop')})"

    @property
    def check(self) -> str:
        """The constraint that proves the bound."""
        return proof(self.table)


# -- the bound that the present rows take


def copying(table: QualifiedName) -> str:
    """What moves the rows of *table*."""
    return f"copy the rows: sa-partman convert {in_shell(str(table))} --strategy copy"


def unserved(declared: DeclaredTable) -> Refusal | None:
    """Why no table can be attached in place for this declaration, if so."""
    level = declared.level
    if declared.spec.strategy == "HASH":
        return Refusal("HASH spreads the rows over all partitions", copying(declared.name))
    if declared.spec.has_expression:
        return Refusal("the partition key is an expression", copying(declared.name))
    if isinstance(level, RangeLevel) and level.spec.tenants is not None:
        return Refusal("each tenant has partitions of its own", copying(declared.name))
    return None


def range_history(
    level: RangeLevel, context: Context, highest: KeyValue, lead: timedelta, boundary: Position | None
) -> RangeBound:
    """
    From MINVALUE up to the first point of the grid that is after now + *lead* and after the highest key.

    Args:
        highest: The highest key present, or None when the table is empty.
        lead: How long the conversion may take until the cut-over: newer rows are refused meanwhile.
        boundary: The user's own end; it is put on the grid.
    """
    axis = level.axis
    reached = None if highest is None else axis.decode(highest)
    if boundary is not None:
        end = axis.grid.cell(boundary).lower
    elif isinstance(axis, TimeAxis):
        soon = axis.position(context.now + lead)
        end = axis.grid.cell(soon if reached is None else max(soon, reached)).upper
    else:
        end = axis.grid.cell(reached if reached is not None else 0).upper
    rest = (MINVALUE,) * (len(level.key.parts) - 1)
    return RangeBound((MINVALUE, *rest), (axis.encode(end), *rest))


def list_history(
    level: ListLevel, context: Context, present: frozenset[KeyValue], table: QualifiedName
) -> ListBound | Refusal:
    """
    The values of the one label that holds every value of *table*.

    Args:
        present: The distinct values of the table.
    """
    for _, values in wanted_labels(level, context):
        if present <= frozenset(values):
            return ListBound(frozenset(values))
    if not present:
        return Refusal("the declaration has no value yet, so there is no partition to become", "add the first value")
    shown = ", ".join(sorted(map(repr, present))[:5])
    return Refusal(f"the values present ({shown}) belong to no label, or to more than one", copying(table))


def outlived_history(
    level: Level, history: RangeBound | ListBound, name: QualifiedName, context: Context
) -> Outlived | None:
    """
    The rows of the history that outlive the retention.

    Args:
        history: Its bound, such as `range_history` gives.
        name: What the history is called.
    """
    if not level.removes:
        return None
    partition = Partition(name, _HISTORY, history, "r")
    table = Partition(name, _TABLE, history, "p", partitions=(partition,))
    return outlived_in(level, table, partition, filled(level, history, context, _TABLE))


def filled(level: Level, history: Bound, context: Context, oid: int) -> Context:
    """
    *context* with the rows of *history*: of integers, the highest key lies in its last interval.

    Args:
        oid: Of the table that the history is a partition of.
    """
    if isinstance(level, RangeLevel) and isinstance(level.axis, IntegerAxis) and isinstance(history, RangeBound):
        end = level.axis.decode(history.upper[level.place])
        return context if end is None else replace(context, highest={oid: end - 1})
    return context


_TABLE, _HISTORY = 0, 1
"""Oids of what is not there yet."""


# -- the plan


def resume_point(
    purpose: Purpose,
    table: QualifiedName,
    id: str,
    title: str,
    actions: Iterable[Action],
    undo: Iterable[Action] = (),
    **more: Any,
) -> Step:
    """A step of a conversion of *table*; *more* as `Step` has it."""
    return Step(purpose, table, table, None, tuple(actions), id=id, title=title, undo=tuple(undo), **more)


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    Why a conversion is refused before anything is touched.

    Args:
        what: What can't be carried, by name.
        choices: What the user can do about it.
    """

    what: str
    choices: str

    def __str__(self) -> str:
        return f"{self.what}; {self.choices}"


@dataclass(frozen=True, slots=True)
class ConversionPlan:
    """
    Args:
        steps: In order; empty when it is refused, or when there is nothing to do.
        refusals: All of them, so that one look is enough.
        notes: What changes for the application, and is worth knowing.
    """

    steps: tuple[Step, ...]
    refusals: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()
