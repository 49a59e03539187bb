"""What is to be converted, into what, and what the user decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sa_partman.bounds.bound import Bound, ListBound, RangeBound
from sa_partman.compare.expired_rows import Outlived
from sa_partman.compare.situation import Situation
from sa_partman.names import QualifiedName, join_name
from sa_partman.plan.conversion.history import outlived_history
from sa_partman.spec.declared import DeclaredTable

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
class ConversionRequest:
    """
    Args:
        declared: The target; its name carries the schema.
        primary_key: Column names of the target's primary key; empty for none.
        history: The bound of the partition that the table's present rows become.
        situation: The clock and the tenants.
        choices: What the user decided.
        concurrently: Build indexes without blocking writers; impossible inside a transaction, so False means that an
            operation of a migration asks, and has arguments where the command has options.
    """

    declared: DeclaredTable
    primary_key: tuple[str, ...]
    history: RangeBound | ListBound
    situation: Situation
    choices: Choices = field(default_factory=Choices)
    concurrently: bool = True

    @property
    def table(self) -> QualifiedName:
        return self.declared.name

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
        return outlived_history(self.declared.level, self.history, self.old, self.situation)

    def unique_choice(self, name: str) -> str:
        """What can become of a unique index without the partition key, as whoever asked would write it."""
        written = f"--unique {name}={{}}" if self.concurrently else f"unique={{{{{name!r}: '{{}}'}}}}"
        return f"keep it on the history only ({written.format('local')}), or drop it ({written.format('drop')})"

    def inbound_choice(self, policy: InboundPolicy) -> str:
        """The same for foreign keys that refer to the table."""
        return f"--inbound {policy}" if self.concurrently else f"inbound={policy!r}"

    @property
    def check(self) -> str:
        """The constraint that proves the bound."""
        return proof(self.table)
