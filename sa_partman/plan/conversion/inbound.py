"""
What becomes of the foreign keys that refer to the table: a partitioned table's unique keys hold its partition key, so
most of them can't go on as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sa_partman.plan.conversion.carry import Actions, carried, commented
from sa_partman.plan.conversion.request import ConversionRequest, Profile, Refusal
from sa_partman.plan.table_actions import AddForeignKey
from sa_partman.table.definition import InboundKey, TableDefinition


@dataclass(frozen=True, slots=True)
class Again:
    """
    A foreign key that refers to the partitioned table after the cut-over.

    Args:
        columns: Of the referencing table.
        referenced: Of the partitioned table, each for the one of *columns* at its place.
    """

    key: InboundKey
    columns: tuple[str, ...]
    referenced: tuple[str, ...]

    @property
    def composite(self) -> bool:
        return self.referenced != self.key.referenced

    def actions(self, request: ConversionRequest) -> Actions:
        """Adds it, unproven: only new rows are looked at."""
        key = self.key
        # The columns that it had are set, and the partition key beside them stays.
        setting = key.columns if self.composite else ()
        yield AddForeignKey(key.table, key.name, self.columns, request.table, self.referenced, key.tail, setting)
        yield from commented("CONSTRAINT", key.table, key.comment, key.name)


def again(key: InboundKey, request: ConversionRequest, definition: TableDefinition) -> Again | Refusal | None:
    """How *key* goes on: as it is, in its composite form, or not; None when it is dropped, because somebody said so."""
    policy = request.choices.inbound
    if key.table != definition.name:
        found = _as_it_is(key, request, definition) or (
            _composite(key, request, definition) if policy == "composite" else None
        )
        if found is not None and (definition.features.has_actions_on_partitions or not key.acts):
            return found
        if found is not None and policy != "drop":
            return _acts(key, request)
    if policy == "drop":
        return None
    return _refused(key, request, definition)


def inbound_refusals(request: ConversionRequest, definition: TableDefinition, profile: Profile) -> Iterator[Refusal]:
    for key in definition.inbound:
        found = again(key, request, definition)
        unmatched = profile.unmatched.get((key.table, key.name), 0)
        if isinstance(found, Refusal):
            yield found
        elif isinstance(found, Again) and unmatched:
            yield Refusal(
                f"{unmatched} rows of {key.table} refer to no row by {key.name} in its composite form "
                f"({', '.join(found.columns)})",
                f"fill those columns of it first, or drop that foreign key ({request.inbound_choice('drop')})",
            )


def _as_it_is(key: InboundKey, request: ConversionRequest, definition: TableDefinition) -> Again | None:
    """Where a unique key that holds the partition key goes on, so does what refers to it."""
    unique: list[set[str | None]] = [{*request.primary_key}]
    unique += [
        {*index.columns}
        for index in carried(definition, frozenset(request.choices.unique))
        if index.unique and not index.partial and None not in index.columns
    ]
    return Again(key, key.columns, key.referenced) if {*key.referenced} in unique else None


def _composite(key: InboundKey, request: ConversionRequest, definition: TableDefinition) -> Again | None:
    by_referenced = dict(zip(key.referenced, key.columns, strict=True))
    types = dict(key.types)
    own = {name: name for name in request.declared.level.key.columns if types.get(name) == definition.column(name).type}
    wanted = {name: by_referenced.get(name) or own.get(name) for name in request.primary_key}
    if None in wanted.values() or not {*key.referenced} <= {*wanted}:
        return None
    return Again(key, tuple(str(wanted[name]) for name in request.primary_key), request.primary_key)


def _refused(key: InboundKey, request: ConversionRequest, definition: TableDefinition) -> Refusal:
    drop = f"drop that foreign key ({request.inbound_choice('drop')})"
    if key.table == definition.name:
        return Refusal(f"the foreign key {key.name} refers to the table itself", drop)
    composite = f", let it refer by the partition key too ({request.inbound_choice('composite')})" * (
        _composite(key, request, definition) is not None
    )
    return Refusal(
        f"{key.table} refers to it by {key.name} ({', '.join(key.columns)}), and a partitioned table's unique keys "
        f"contain the partition key",
        f"{drop}{composite}, or replace it by one that contains the partition key",
    )


def _acts(key: InboundKey, request: ConversionRequest) -> Refusal:
    return Refusal(
        f"{key.table} refers to it by {key.name} with an ON DELETE action, and PostgreSQL 14 performs that action also "
        f"when an UPDATE moves a row to another partition",
        f"upgrade to PostgreSQL 15, make it NO ACTION, or drop that foreign key ({request.inbound_choice('drop')})",
    )
