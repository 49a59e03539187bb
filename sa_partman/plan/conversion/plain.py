"""
A partitioned table becomes a plain one by copying its rows, in one transaction: for small tables, of whatever strategy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sa_partman.names import QualifiedName, join_name
from sa_partman.plan.actions import Action, CopyRows, DropTable
from sa_partman.plan.conversion import carry
from sa_partman.plan.conversion.attach import statistics_of
from sa_partman.plan.conversion.refusals import cover_refusals, dependent_refusals, table_refusals
from sa_partman.plan.conversion.request import Refusal, new_table
from sa_partman.plan.table_actions import (
    AddConstraint,
    Analyze,
    DropConstraint,
    ExceptTables,
    Rename,
    SetNotNull,
)
from sa_partman.table.definition import InboundKey, TableDefinition


@dataclass(frozen=True, slots=True)
class PlainRequest:
    """
    Args:
        definition: Of the partitioned table, with the storage parameters and the persistence of its partitions.
        primary_key: Column names that the plain table's primary key is to have; none for no primary key.
        nullable: Columns that may be NULL in the plain table.
        own: What single partitions have for themselves, and what refers to them, as PostgreSQL describes it.
    """

    definition: TableDefinition
    primary_key: tuple[str, ...]
    nullable: tuple[str, ...]
    own: tuple[str, ...] = ()

    @property
    def table(self) -> QualifiedName:
        return self.definition.name

    @property
    def new(self) -> QualifiedName:
        """The plain table, until it takes the name."""
        return new_table(self.table)

    @property
    def parts(self) -> QualifiedName:
        """The partitioned table, until it is dropped."""
        return self.table.sibling(join_name(self.table.name, "parts"))


def plain_refusals(request: PlainRequest) -> Iterator[Refusal]:
    yield from table_refusals(request.definition)
    for own in request.own:
        yield Refusal(f"{own}, which belongs to single partitions", "drop it before")
    for name in request.primary_key:
        if request.definition.find(name) is None:
            yield Refusal(f"the column {name} of the wanted primary key does not exist", "migrate that first")
    for key in request.definition.inbound:
        if not _goes_on(key, request):
            yield Refusal(
                f"{key.table} refers to it by {key.name} ({', '.join(key.referenced)}), which would not be unique",
                "drop that foreign key before",
            )
    yield from dependent_refusals(request.definition)
    yield from cover_refusals(request.definition)


def _goes_on(key: InboundKey, request: PlainRequest) -> bool:
    uniques = [{*request.primary_key}] + [
        {*map(str, index.columns)}
        for index in carry.carried(request.definition)
        if index.unique and not index.partial and None not in index.columns
    ]
    return key.table != request.table and {*key.referenced} in uniques


def plain_names(request: PlainRequest) -> Iterator[QualifiedName]:
    """The names of relations that are taken meanwhile."""
    definition = request.definition
    yield from (request.new, request.parts)
    named = [carry.primary_key_name(definition)] if request.primary_key else []
    yield from carry.temporary_names(definition, (*named, *(index.name for index in carry.carried(definition))))


def plain_statistics(request: PlainRequest) -> frozenset[QualifiedName]:
    return statistics_of(request.definition, back=True)


def make_plain(request: PlainRequest) -> Iterator[Action]:
    """What is done, in order; the partitioned table is locked already."""
    definition, new, table = request.definition, request.new, request.table
    yield from carry.create_like(definition, new, None)
    for name in request.nullable:
        yield SetNotNull(new, name, on=False)
    for cover in definition.covers:
        if cover.excepted:
            yield ExceptTables(cover.name, (table, new), cover.others)
    yield CopyRows(table, new)
    yield from carry.keys(definition, new, request.primary_key, frozenset())
    yield from carry.index_targets(definition, new, frozenset())
    yield from carry.identities(definition, new)
    yield from carry.extended_statistics(definition, new)
    yield from carry.foreign_keys(definition.foreign_keys, new)
    yield from carry.table_settings(definition, new)
    yield from carry.triggers(definition, new)
    for key in definition.inbound:
        yield DropConstraint(key.table, key.name)
    yield Rename("TABLE", table, request.parts.name)
    yield Rename("TABLE", new, table.name)
    yield from carry.restored(definition)
    yield from carry.late_policies(definition, table)
    yield from carry.published(definition, request.parts, table)
    for key in definition.inbound:
        yield AddConstraint(key.table, key.name, key.definition, validated=key.validated)
        yield from carry.commented("CONSTRAINT", key.table, key.comment, key.name)
    yield from carry.sequences(definition, table)
    yield DropTable(request.parts)
    yield from carry.take_names(definition, request.primary_key)
    yield from carry.take_sequence_names(definition)
    yield Analyze(table)
