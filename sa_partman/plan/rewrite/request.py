"""What a rewrite is asked for: which partitions become which, and what is known of the table; and the plan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from sa_partman.bounds.bound import Bound
from sa_partman.bounds.text import describe
from sa_partman.key import PartitionKey
from sa_partman.names import QualifiedName, join_name
from sa_partman.plan.conversion.request import Refusal
from sa_partman.plan.rewrite.actions import KeyLog, log_table
from sa_partman.plan.steps import Step
from sa_partman.table.definition import TableDefinition
from sa_partman.table.membership import Membership

Kind = Literal["split", "merge", "drain", "regrid", "copy", "unpartition"]

SMALL = 10_000
"""Rows, as the planner estimates them, that are moved in one transaction, without a log."""

SMALL_BYTES = 8 << 20
"""The same in bytes."""

PAGE = 8192
"""Bytes, for an estimate."""

COPY_BYTES, INDEX_ROWS, SCAN_BYTES = 25e6, 500e3, 250e6
"""A second, of a modest machine, for an estimate: copied into partitions, sorted into an index, and read."""


@dataclass(frozen=True, slots=True)
class Source:
    """
    A partition that is rewritten.

    Args:
        printed: Its bound as the server prints it.
        pages: Of its main fork.
        bytes: With its indexes and its TOAST table.
        own: What it has for itself and would lose, in words.
        hidden: Row security keeps rows of it from the connected role.
        whole: It is a table, and no partition: *bound* says nothing.
    """

    name: QualifiedName
    bound: Bound
    printed: str = ""
    rows: float = -1
    pages: int = 0
    bytes: int = 0
    own: tuple[str, ...] = ()
    hidden: bool = False
    kind: str = "r"
    whole: bool = False

    @property
    def shown(self) -> str:
        return str(self.name) if self.whole else f"{self.name} {describe(self.bound)}"


@dataclass(frozen=True, slots=True)
class NewPartition:
    """
    A partition that it is rewritten into.

    Args:
        name: In the end.
        working: Until the swap; another where a partition bears *name* that goes.
        whole: It is a table, and no partition: *bound* says nothing.
    """

    name: QualifiedName
    bound: Bound
    working: QualifiedName
    whole: bool = False

    @property
    def shown(self) -> str:
        return str(self.name) if self.whole else f"{self.name} {describe(self.bound)}"

    @property
    def proof(self) -> str:
        """The constraint from which the server proves its bound."""
        return join_name(self.name.name, "bound")


@dataclass(frozen=True, slots=True)
class RewriteRequest:
    """
    Args:
        table: The declared table.
        parent: What the partitions belong to: *table*, or a partition of it.
        key: Of *parent*.
        partition_by: Of *parent*, such as ``RANGE (created_at)``.
        sources: In key order.
        pieces: In key order; together they take what *sources* take.
        default: A default partition of *parent* that stays.
        siblings: Bounds of the other partitions of *parent*, the default one left out.
        definition: Of *parent*.
        membership: What every partition of *table* should have.
        unlogged: The pieces are.
        below: What the new partitions would be partitioned by, or empty.
        divided: Tables that refer to *parent* and are partitioned themselves.
        taken: What bears the name of the staging table.
        hidden: Row security keeps rows of *parent* from the connected role.
        sending: Publications that would send the copies, or would miss what is written to them.
        bases: Columns of a domain, each with the type behind it.
        above: What is true of every row of *parent*, where that is a partition.
    """

    kind: Kind
    table: QualifiedName
    parent: QualifiedName
    key: PartitionKey
    partition_by: str
    sources: tuple[Source, ...]
    pieces: tuple[NewPartition, ...]
    definition: TableDefinition
    membership: Membership
    default: QualifiedName | None = None
    siblings: tuple[Bound, ...] = ()
    unlogged: bool = False
    below: str = ""
    divided: tuple[QualifiedName, ...] = ()
    taken: bool = False
    hidden: bool = False
    sending: tuple[Refusal, ...] = ()
    bases: tuple[tuple[str, str], ...] = ()
    above: str = ""

    @property
    def staging(self) -> QualifiedName:
        """The partitioned table that has the pieces until the swap, and the sources after it."""
        return staging_table(self.table)

    @property
    def log(self) -> KeyLog:
        return key_log(self.table, self.definition, self.bases)

    @property
    def identity(self) -> tuple[str, ...] | None:
        return identity_of(self.definition)

    @property
    def columns(self) -> tuple[str, ...]:
        return copied_columns(self.definition)

    @property
    def is_small(self) -> bool:
        """Whether all is done in one transaction; not beside a default partition, which would be searched in it."""
        return self.default is None and are_small(self.sources)

    @property
    def exclusion(self) -> str:
        """The constraint by which a default partition is known to have no row of the sources."""
        return join_name(self.table.name, "rewrite_excluded")


def key_log(table: QualifiedName, definition: TableDefinition, bases: Iterable[tuple[str, str]]) -> KeyLog:
    """
    Where the keys of changed rows of *table* are written.

    Args:
        bases: Columns of a domain, each with the type behind it.
    """
    # A domain may refuse NULL, which the log has where a table was emptied.
    types = {column.name: column.type for column in definition.columns} | dict(bases)
    return KeyLog(log_table(table), tuple((column, types[column]) for column in identity_of(definition) or ()))


def identity_of(definition: TableDefinition) -> tuple[str, ...] | None:
    """The columns by which a row is known again: of the primary key, or of a unique index like it."""
    unique = sorted((each for each in definition.indexes if each.unique), key=lambda each: each.kind != "p")
    for index in unique:
        columns = [column for column in index.columns if column is not None]
        whole = len(columns) == len(index.columns) and not index.partial and index.immediate and index.valid
        if whole and all(definition.column(each).not_null for each in columns):
            return tuple(columns)
    return None


def copied_columns(definition: TableDefinition) -> tuple[str, ...]:
    """Those that are not generated."""
    return tuple(column.name for column in definition.columns if not column.generated)


def are_small(sources: Iterable[Source]) -> bool:
    """Whether their rows are so few, and known to be, that they are moved in one transaction."""
    given = tuple(sources)
    rows = sum(max(each.rows, 0) for each in given)
    known = all(each.rows >= 0 or each.pages == 0 for each in given)
    return known and rows <= SMALL and sum(each.bytes for each in given) <= SMALL_BYTES


def staging_table(table: QualifiedName) -> QualifiedName:
    """What the partitioned table is called that has the new partitions until the swap, and the old ones after it."""
    return table.sibling(join_name(table.name, "rewrite"))


def named(pieces: Iterable[NewPartition], taken: Iterable[QualifiedName]) -> tuple[NewPartition, ...]:
    """*pieces*, whose working name differs where one of *taken* bears the name."""
    borne = frozenset(taken)
    return tuple(
        replace(each, working=each.name.sibling(join_name(each.name.name, "new"))) if each.name in borne else each
        for each in pieces
    )


def retired(source: QualifiedName) -> QualifiedName:
    """What a source is called after the swap: nobody finds it by its own name then."""
    return source.sibling(join_name(source.name, "old"))


@dataclass(frozen=True, slots=True)
class RewritePlan:
    """
    Args:
        steps: In order; empty when it is refused, or when there is nothing to do.
        refusals: All of them.
        notes: What changes for the application, and is worth knowing.
        sources: The partitions that are rewritten.
        pieces: What they become.
        back: The steps of the way back, once they are swapped.
        mark: The fingerprint of the table that it was made for; empty where nobody compares it.
    """

    kind: Kind
    table: QualifiedName
    steps: tuple[Step, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    pieces: tuple[NewPartition, ...] = ()
    back: tuple[Step, ...] = ()
    mark: str = ""

    def __bool__(self) -> bool:
        return bool(self.steps)

    @property
    def rows(self) -> int:
        """That move, as the planner estimates them."""
        return round(sum(max(each.rows, 0) for each in self.sources))

    @property
    def bytes(self) -> int:
        """On disk that the copies take until the old partitions go; the write-ahead log takes as much."""
        return sum(each.bytes for each in self.sources)

    @property
    def beside(self) -> tuple[QualifiedName, ...]:
        """Old and new partitions, by all names that they have meanwhile."""
        old = (name for each in self.sources for name in (each.name, retired(each.name)))
        new = (name for each in self.pieces for name in (each.name, each.working, retired(each.name)))
        return tuple(each for each in dict.fromkeys((*old, *new)) if each != self.table)

    def seconds(self, step: Step, rows: float | None = None) -> float:
        """
        How long *step* may take; those that read no rows take milliseconds.

        Args:
            rows: A second, at most, as a throttle says; None: as fast as it goes.
        """
        heap = sum(each.pages for each in self.sources) * PAGE
        kind, _, rest = step.id.partition(":")
        if kind == "copy":
            (source,) = (each for each in self.sources if str(each.name) == rest)
            limited = max(source.rows, 0.0) / rows if rows else 0.0
            return max(source.pages * PAGE / COPY_BYTES, limited)
        if kind == "index":
            return self.rows / INDEX_ROWS
        passes = {"proof": 1, "verify": 8, "retire": 1, "foreign_keys_validated": 2}
        return passes.get(kind, 0) * heap / SCAN_BYTES
