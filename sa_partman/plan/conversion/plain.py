"""
A partitioned table becomes a plain one by copying its rows, in one transaction: for small tables, of whatever strategy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sa_partman.names import QualifiedName, join_name, quote
from sa_partman.plan.conversion import carry, settings
from sa_partman.plan.conversion.attach import statistics_of
from sa_partman.plan.conversion.refusals import cover_refusals, dependent_refusals, table_refusals
from sa_partman.plan.conversion.request import new_table
from sa_partman.plan.conversion.steps import Refusal
from sa_partman.plan.moving import copying
from sa_partman.table.definition import InboundKey, TableDefinition


@dataclass(frozen=True, slots=True)
class PlainRequest:
    """
    Args:
        anatomy: Of the partitioned table, with the storage parameters and the persistence of its partitions.
        primary_key: Column names that the plain table's primary key is to have; none for no primary key.
        nullable: Columns that may be NULL in the plain table.
        own: What single partitions have for themselves, and what refers to them, as PostgreSQL describes it.
    """

    anatomy: TableDefinition
    primary_key: tuple[str, ...]
    nullable: tuple[str, ...]
    own: tuple[str, ...] = ()

    @property
    def table(self) -> QualifiedName:
        return self.anatomy.name

    @property
    def new(self) -> QualifiedName:
        """The plain table, until it takes the name."""
        return new_table(self.table)

    @property
    def parts(self) -> QualifiedName:
        """The partitioned table, until it is dropped."""
        return self.table.sibling(join_name(self.table.name, "parts"))


def plain_refusals(request: PlainRequest) -> Iterator[Refusal]:
    yield from table_refusals(request.anatomy)
    for own in request.own:
        yield Refusal(f"{own}, which belongs to single partitions", "drop it before")
    for name in request.primary_key:
        if request.anatomy.find(name) is None:
            yield Refusal(f"the column {name} of the wanted primary key does not exist", "migrate that first")
    for key in request.anatomy.inbound:
        if not _goes_on(key, request):
            yield Refusal(
                f"{key.table} refers to it by {key.name} ({', '.join(key.referenced)}), which would not be unique",
                "drop that foreign key before",
            )
    yield from dependent_refusals(request.anatomy)
    yield from cover_refusals(request.anatomy)


def _goes_on(key: InboundKey, request: PlainRequest) -> bool:
    uniques = [{*request.primary_key}] + [
        {*map(str, index.columns)}
        for index in carry.carried(request.anatomy, frozenset())
        if index.unique and not index.partial and None not in index.columns
    ]
    return key.table != request.table and {*key.referenced} in uniques


def plain_names(request: PlainRequest) -> Iterator[QualifiedName]:
    """The names of relations that are taken meanwhile."""
    anatomy = request.anatomy
    yield from (request.new, request.parts)
    if request.primary_key:
        yield request.table.sibling(carry.temporary(carry.primary_key_name(anatomy)))
    yield from (request.table.sibling(carry.temporary(index.name)) for index in carry.carried(anatomy, frozenset()))
    yield from (each.name.sibling(carry.temporary(each.name.name)) for each in anatomy.sequences if each.identity)


def plain_statistics(request: PlainRequest) -> frozenset[QualifiedName]:
    return statistics_of(request.anatomy, back=True)


def make_plain(request: PlainRequest) -> Iterator[str]:
    """The statements, in order; the partitioned table is locked already."""
    anatomy, new, table = request.anatomy, request.new, request.table
    yield from carry.create_like(anatomy, new, None)
    for name in request.nullable:
        yield f"ALTER TABLE {new.quoted} ALTER COLUMN {quote(name)} DROP NOT NULL"
    for cover in anatomy.covers:
        if cover.excepted:
            yield cover.excepting(table, new)
    yield copying(table, new)
    yield from carry.keys(anatomy, new, request.primary_key, frozenset())
    yield from carry.index_targets(anatomy, new, frozenset())
    yield from carry.identities(anatomy, new)
    yield from settings.extended_statistics(anatomy, new)
    yield from _foreign_keys(anatomy, new)
    yield from settings.table_settings(anatomy, new)
    yield from carry.triggers(anatomy, new)
    for key in anatomy.inbound:
        yield f"ALTER TABLE {key.table.quoted} DROP CONSTRAINT {quote(key.name)}"
    yield f"ALTER TABLE {table.quoted} RENAME TO {quote(request.parts.name)}"
    yield f"ALTER TABLE {new.quoted} RENAME TO {quote(table.name)}"
    yield from _dependents(request)
    yield from _sequences(anatomy, table)
    yield f"DROP TABLE {request.parts.quoted}"
    yield from _names(request)
    yield f"ANALYZE {table.quoted}"


def _foreign_keys(anatomy: TableDefinition, new: QualifiedName) -> Iterator[str]:
    for each in anatomy.foreign_keys:
        yield f"ALTER TABLE {new.quoted} ADD CONSTRAINT {quote(each.name)} {each.definition}"
        yield from settings.commented(f"CONSTRAINT {quote(each.name)} ON {new.quoted}", each.comment)


def _dependents(request: PlainRequest) -> Iterator[str]:
    anatomy, table = request.anatomy, request.table
    for dependent in anatomy.dependents:
        yield from dependent.restore
    yield from settings.late_policies(anatomy, table)
    for publication in anatomy.publications:
        name = quote(publication.name)
        yield f"ALTER PUBLICATION {name} DROP TABLE {request.parts.quoted}"
        yield f"ALTER PUBLICATION {name} ADD TABLE {table.quoted}{publication.tail}"
    for key in anatomy.inbound:
        yield f"ALTER TABLE {key.table.quoted} ADD CONSTRAINT {quote(key.name)} {key.definition}" + (
            "" if key.validated else " NOT VALID"
        )
        yield from settings.commented(f"CONSTRAINT {quote(key.name)} ON {key.table.quoted}", key.comment)


def _sequences(anatomy: TableDefinition, table: QualifiedName) -> Iterator[str]:
    for each in anatomy.sequences:
        if each.identity:
            yield carry.continued(each.name.sibling(carry.temporary(each.name.name)), each.name)
        else:
            yield f"ALTER SEQUENCE {each.name.quoted} OWNED BY {table.quoted}.{quote(each.column)}"


def _names(request: PlainRequest) -> Iterator[str]:
    anatomy, schema = request.anatomy, request.table.schema
    if request.primary_key:
        name = carry.primary_key_name(anatomy)
        yield carry.rename_index(schema, carry.temporary(name), name)
    for index in carry.carried(anatomy, frozenset()):
        yield carry.rename_index(schema, carry.temporary(index.name), index.name)
    for each in anatomy.statistics:
        yield settings.rename_statistics(each.name.sibling(carry.temporary(each.name.name)), each.name.name)
    for sequence in anatomy.sequences:
        if sequence.identity:
            temporary = sequence.name.sibling(carry.temporary(sequence.name.name))
            yield f"ALTER SEQUENCE {temporary.quoted} RENAME TO {quote(sequence.name.name)}"
