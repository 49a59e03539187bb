"""A whole table rewritten, plain or partitioned, into the other: what is asked for, and what both ways share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from sa_partman.bounds.bound import DEFAULT
from sa_partman.names import QualifiedName, join_name
from sa_partman.plan.actions import Action, CreatePartition
from sa_partman.plan.conversion import carry
from sa_partman.plan.conversion.refusals import Again
from sa_partman.plan.conversion.request import Refusal
from sa_partman.plan.provision import statistics_name
from sa_partman.plan.rewrite.actions import KeyLog, RequirePartition
from sa_partman.plan.rewrite.parts import ACCESS_EXCLUSIVE, LogParts
from sa_partman.plan.rewrite.request import (
    Kind,
    NewPartition,
    Source,
    are_small,
    copied_columns,
    identity_of,
    key_log,
    retired,
    staging_table,
)
from sa_partman.plan.steps import Step
from sa_partman.plan.table_actions import ContinueSequence, CreateIndex, DropConstraint, OwnSequence, Rename
from sa_partman.table.definition import Constraint, TableDefinition


@dataclass(frozen=True, slots=True)
class WholeRequest:
    """
    Args:
        kind: "copy" makes a plain table partitioned, "unpartition" a partitioned one plain.
        definition: Of the table as it is.
        primary_key: Column names of the new table's primary key; empty for none.
        sources: The tables that hold its rows: itself, or its lowest partitions.
        partition_by: Of the new table, such as ``HASH (id)``; None: it is plain.
        partitions: Of the new table, parents first; named as they are in the end, and with the staging table as parent.
        dropped: Names of indexes that the new table does not get.
        again: Foreign keys of other tables, each as it goes on.
        local: What single partitions of the table have, which are there until the swap.
        bases: Columns of a domain, each with the type behind it.
        refusals: What was found in the rows and around the table; those that the definition tells are in it too.
        notes: What is worth knowing.
    """

    kind: Kind
    definition: TableDefinition
    primary_key: tuple[str, ...]
    sources: tuple[Source, ...]
    partition_by: str | None = None
    partitions: tuple[CreatePartition, ...] = ()
    dropped: frozenset[str] = frozenset()
    again: tuple[Again, ...] = ()
    local: tuple[RequirePartition, ...] = ()
    bases: tuple[tuple[str, str], ...] = ()
    refusals: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def table(self) -> QualifiedName:
        return self.definition.name

    @property
    def staging(self) -> QualifiedName:
        """The new table, until it takes the name."""
        return staging_table(self.table)

    @property
    def old(self) -> QualifiedName:
        """What the table is called after the swap."""
        return retired(self.table)

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
    def divides(self) -> bool:
        """Whether the new table is the partitioned one."""
        return self.partition_by is not None

    @property
    def is_small(self) -> bool:
        return are_small(self.sources)

    @property
    def helper(self) -> CreateIndex | None:
        """
        An index of the new table by which a replay finds its rows, kept as long as the old table; None where one is
        there anyhow.
        """
        identity = self.identity or ()
        kept = [index.columns for index in carry.carried(self.definition, self.dropped) if index.searched]
        if any({*columns[: len(identity)]} == {*identity} for columns in (self.primary_key, *kept)):
            return None
        return CreateIndex(self.staging, join_name(self.table.name, "rewrite_key"), columns=identity)

    @property
    def leaves(self) -> tuple[CreatePartition, ...]:
        """The new partitions that hold rows."""
        return tuple(each for each in self.partitions if each.partition_by is None)

    @property
    def pieces(self) -> tuple[NewPartition, ...]:
        if not self.divides:
            return (NewPartition(self.table, DEFAULT, self.staging, whole=True),)
        return tuple(NewPartition(each.name, each.bound, each.name) for each in self.leaves)

    def names(self) -> Iterator[QualifiedName]:
        """Every relation that is made or renamed, as it is called then."""
        yield from (self.staging, self.old)
        yield from (each.name for each in self.partitions)
        definition = self.definition
        named = [index.name for index in carry.carried(definition, self.dropped)]
        named += [carry.primary_key_name(definition)] if self.primary_key else []
        yield from carry.temporary_names(definition, named)
        yield from (self.table.sibling(kept_name(index.name)) for index in definition.indexes)
        if self.helper is not None:
            yield self.table.sibling(self.helper.name)
        if self.primary_key and definition.primary_key is None:
            yield self.table.sibling(carry.primary_key_name(definition))
        for each in definition.sequences:
            if each.identity:
                yield each.name.sibling(kept_name(each.name.name))

    def statistics(self) -> Iterator[QualifiedName]:
        """The same of extended statistics, whose names are their own."""
        for each in self.definition.statistics:
            yield carry.beside(each)
            yield each.name.sibling(kept_name(each.name.name))
            yield from (statistics_name(leaf.name, each.name.name) for leaf in self.partitions)


def kept_name(name: str) -> str:
    """What an index, a sequence or extended statistics of the old table are called after the swap."""
    return join_name(name, "old")


def _same(name: str) -> str:
    return name


Named = Callable[[str], str]


class WholeParts(LogParts):
    """Of one request."""

    def __init__(self, request: WholeRequest, log: KeyLog, *, source: QualifiedName, target: QualifiedName) -> None:
        super().__init__(request.table, request.definition, log, request.columns, source=source, target=target)
        self.request, self.staging, self.old = request, request.staging, request.old

    def outbound(self) -> tuple[Constraint, ...]:
        return self.definition.foreign_keys

    def locked(self) -> tuple[str, ...]:
        """Referenced tables first, as an application locks them that writes both."""
        names = (
            *(each.quoted for each in self.referenced()),
            self.table.quoted,
            *sorted(each.table.quoted for each in self.definition.inbound),
            *(table for dependent in self.definition.dependents for table in dependent.locks),
        )
        return tuple(dict.fromkeys(names))

    def declared(self, root: QualifiedName, leaves: Sequence[QualifiedName], what: str) -> Iterator[Step]:
        """
        Foreign keys, first of each partition of *root*, so that it takes them over without reading it. As late as can
        be: until the swap, a row that a copy still refers to can't be deleted from the table that it is in.

        Args:
            leaves: Empty where *root* is plain.
            what: *root*, in words.
        """
        yield from self.foreign_keys(leaves or [root], what)
        by_table = sorted(self.outbound(), key=lambda each: str(each.references)) if leaves else ()
        for references, group in groupby(by_table, key=lambda each: each.references):
            keys = tuple(group)
            yield self.step(
                f"foreign_key:{references}",
                f"declare the foreign keys to {references} on {what}",
                carry.foreign_keys(keys, root),
                (DropConstraint(root, each.name) for each in keys),
                lock=f"{ACCESS_EXCLUSIVE} on {references} for an instant",
                locked=() if references is None else (references.quoted,),
                guarded=True,
            )

    @property
    def taken(self) -> tuple[str, ...]:
        """The indexes of the new table, as they are called in the end."""
        present = [carry.primary_key_name(self.definition)] if self.request.primary_key else []
        return (*present, *(index.name for index in carry.carried(self.definition, self.request.dropped)))

    def stowed(self) -> Iterator[Action]:
        """What belongs to the old table lets go of its names, and sequences of their owner."""
        yield from self._renamed((index.name for index in self.definition.indexes), _same, kept_name)
        for sequence in self.definition.sequences:
            if sequence.identity:
                yield ContinueSequence(carry.beside(sequence), sequence.name)
                yield Rename("SEQUENCE", sequence.name, kept_name(sequence.name.name))

    def unstowed(self) -> Iterator[Action]:
        """The way back: what belongs to the new table lets go of them, and the old one has them again."""
        for sequence in self.definition.sequences:
            if sequence.identity:
                kept = sequence.name.sibling(kept_name(sequence.name.name))
                yield ContinueSequence(kept, sequence.name)
                yield Rename("SEQUENCE", sequence.name, carry.beside(sequence).name)
                yield Rename("SEQUENCE", kept, sequence.name.name)
        yield from self._renamed(self.taken, _same, carry.temporary)
        yield from self._renamed((index.name for index in self.definition.indexes), kept_name, _same)

    def _renamed(self, indexes: Iterable[str], before: Named, after: Named) -> Iterator[Action]:
        for name in indexes:
            yield Rename("INDEX", self.table.sibling(before(name)), after(name))
        for each in self.definition.statistics:
            yield Rename("STATISTICS", each.name.sibling(before(each.name.name)), after(each.name.name))

    def owned(self) -> Iterator[Action]:
        """Sequences go with whatever bears the name of the table now."""
        for sequence in self.definition.sequences:
            if not sequence.identity:
                yield OwnSequence(sequence.name, self.table, sequence.column)
