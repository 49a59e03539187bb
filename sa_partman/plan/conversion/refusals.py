"""
What can't be carried, found before anything is touched: foreign keys that refer to the table, whose unique keys hold
the partition key from then on, first of all; and the types of the key that the table has itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from sa_partman.key import KeyPart, PartitionKey
from sa_partman.names import QualifiedName, quote
from sa_partman.plan.conversion.carry import Actions, carried, commented
from sa_partman.plan.conversion.request import ConversionRequest, Profile, Refusal, TargetRequest
from sa_partman.plan.table_actions import AddForeignKey
from sa_partman.spec.declared import ColumnType, DeclaredTable, Level
from sa_partman.table.definition import InboundKey, Index, TableDefinition


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

    def added(self, table: QualifiedName) -> Actions:
        """Adds it, unproven: only new rows are looked at."""
        key = self.key
        # The columns that it had are set, and the partition key beside them stays.
        setting = key.columns if self.composite else ()
        yield AddForeignKey(key.table, key.name, self.columns, table, self.referenced, key.tail, setting)
        yield from commented("CONSTRAINT", key.table, key.comment, key.name)


def again(key: InboundKey, request: TargetRequest, definition: TableDefinition) -> Again | Refusal | None:
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


def inbound_refusals(request: TargetRequest, definition: TableDefinition, profile: Profile) -> Iterator[Refusal]:
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


def _as_it_is(key: InboundKey, request: TargetRequest, definition: TableDefinition) -> Again | None:
    """Where a unique key that holds the partition key goes on, so does what refers to it."""
    unique: list[set[str | None]] = [{*request.primary_key}]
    unique += [
        {*index.columns}
        for index in carried(definition, frozenset(request.choices.unique))
        if index.unique and not index.partial and None not in index.columns
    ]
    return Again(key, key.columns, key.referenced) if {*key.referenced} in unique else None


def _composite(key: InboundKey, request: TargetRequest, definition: TableDefinition) -> Again | None:
    by_referenced = dict(zip(key.referenced, key.columns, strict=True))
    types = dict(key.types)
    own = {name: name for name in request.declared.level.key.columns if types.get(name) == definition.column(name).type}
    wanted = {name: by_referenced.get(name) or own.get(name) for name in request.primary_key}
    if None in wanted.values() or not {*key.referenced} <= {*wanted}:
        return None
    return Again(key, tuple(str(wanted[name]) for name in request.primary_key), request.primary_key)


def _refused(key: InboundKey, request: TargetRequest, definition: TableDefinition) -> Refusal:
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


def _acts(key: InboundKey, request: TargetRequest) -> Refusal:
    return Refusal(
        f"{key.table} refers to it by {key.name} with an ON DELETE action, and PostgreSQL 14 performs that action also "
        f"when an UPDATE moves a row to another partition",
        f"upgrade to PostgreSQL 15, make it NO ACTION, or drop that foreign key ({request.inbound_choice('drop')})",
    )


def refusals_of(request: ConversionRequest, definition: TableDefinition, profile: Profile) -> Iterator[Refusal]:
    """Every reason, in the order of importance."""
    yield from table_refusals(definition)
    yield from row_refusals(request, definition, profile)
    if profile.outside:
        sample = f" ({', '.join(profile.sample)})" if profile.sample else ""
        yield Refusal(
            f"{profile.outside} rows lie outside the bound of the history partition{sample}",
            "choose a later boundary (--boundary), or correct those rows",
        )
    yield from carry_refusals(request, definition, profile)


def carry_refusals(request: TargetRequest, definition: TableDefinition, profile: Profile) -> Iterator[Refusal]:
    """What the partitioned table can't have of what the table has."""
    yield from _primary_key(request, definition)
    yield from _keys(request, definition)
    yield from inbound_refusals(request, definition, profile)
    yield from _triggers(definition)
    yield from dependent_refusals(definition)
    yield from _constraints(definition)
    yield from _publications(definition, profile)
    yield from cover_refusals(definition)
    if definition.replica_identity == "i":
        yield Refusal(
            f"the replica identity is the index {definition.replica_index}, which each new partition would need anew",
            f"{_alter(definition)} REPLICA IDENTITY DEFAULT, or FULL",
        )


def table_refusals(definition: TableDefinition) -> Iterator[Refusal]:
    """What the table is, and what the connected role may not do."""
    for obstacle in definition.obstacles:
        yield Refusal(obstacle, "change that first; it can't be carried")
    for right in definition.missing_rights:
        yield Refusal(right, "connect as a role that may, or have it granted")
    for sequence in definition.sequences:
        if sequence.identity and sequence.users:
            yield Refusal(
                f"the identity sequence {sequence.name} is used by {', '.join(sequence.users)}",
                "give that a sequence of its own",
            )


def row_refusals(request: TargetRequest, definition: TableDefinition, profile: Profile) -> Iterator[Refusal]:
    """Rows that no partition takes, whatever its bound is; and how they are stored."""
    if definition.persistence == "u" and not request.declared.level.spec.unlogged:
        yield Refusal("the table is UNLOGGED", f"{_alter(definition)} SET LOGGED first, or declare unlogged=True")
    if profile.nulls:
        key = ", ".join(request.declared.level.key.columns)
        yield Refusal(
            f"{profile.nulls} rows have NULL in the partition key ({key})",
            f"fill them: UPDATE {request.table.quoted} SET ... WHERE {key} IS NULL",
        )


def _primary_key(request: TargetRequest, definition: TableDefinition) -> Iterator[Refusal]:
    """The table may lack what the model's primary key needs, or have one that the model does not know."""
    present = definition.primary_key
    for name in request.primary_key:
        column = definition.find(name)
        if column is None:
            yield Refusal(f"the column {name} of the model's primary key does not exist", "migrate that first")
        elif not column.not_null and name not in request.declared.level.key.columns:
            yield Refusal(
                f"{name} is to be in the primary key and may be NULL",
                f"{_alter(definition)} ALTER COLUMN {quote(name)} SET NOT NULL first",
            )
    if present is None:
        return
    if not request.primary_key and present.name not in request.choices.unique:
        yield Refusal(
            f"the model declares no primary key, and the table has {present.name}",
            f"declare it, {request.unique_choice(present.name)}",
        )
    included = sorted({*present.included} & {*request.primary_key})
    if included:
        yield Refusal(
            f"{present.name} includes {', '.join(included)}, which is to be one of its columns",
            "take it out of INCLUDE first",
        )
    if request.primary_key and present.name in request.choices.unique:
        yield Refusal(f"{present.name} is the primary key, which the model declares", _CHOSEN)
    if present.columns != request.primary_key or present.name in request.choices.unique:
        for user in definition.key_users:
            yield Refusal(
                f"the {user} groups by the primary key {present.name}, which changes",
                "let it group by all its columns, or drop it before",
            )


def _keys(request: TargetRequest, definition: TableDefinition) -> Iterator[Refusal]:
    key = {column for level in request.declared.levels() for column in level.key.columns}
    present = {index.name for index in definition.indexes if index.unique or index.kind == "x"}
    for name in request.choices.unique:
        if name not in present:
            yield Refusal(f"there is no unique index {name}", f"there are: {', '.join(sorted(present)) or 'none'}")
    for index in definition.indexes:
        if not index.valid:
            name = request.table.sibling(index.name).quoted
            remedy = f"REINDEX INDEX CONCURRENTLY {name}, or DROP INDEX {name}"
            yield Refusal(f"the index {index.name} is invalid", remedy)
        elif index.name in request.choices.unique:
            continue
        elif index.kind == "x":
            yield Refusal(f"the exclusion constraint {index.name}", request.unique_choice(index.name))
        elif not index.immediate:
            remedy = f"drop it and add it again NOT DEFERRABLE, {request.unique_choice(index.name)}"
            yield Refusal(f"the constraint {index.name} is deferrable", remedy)
        elif index.unique and index.kind != "p":
            missing = sorted(key - {*index.columns})
            if missing:
                yield _unique(request, index, missing)


def _unique(request: TargetRequest, index: Index, missing: list[str]) -> Refusal:
    shown = ", ".join("(an expression)" if column is None else column for column in index.columns)
    return Refusal(
        f"{index.name} is unique over ({shown}) and lacks {', '.join(missing)}: a partitioned table can't enforce it",
        f"extend it in the model and migrate that first, {request.unique_choice(index.name)}",
    )


def _triggers(definition: TableDefinition) -> Iterator[Refusal]:
    for trigger in definition.triggers:
        if trigger.row and trigger.transition_tables:
            yield Refusal(
                f"the row trigger {trigger.name} has transition tables, which partitioned tables refuse",
                "make it a statement trigger, or drop it",
            )


def dependent_refusals(definition: TableDefinition) -> Iterator[Refusal]:
    for dependent in definition.dependents:
        if not dependent.restore:
            yield Refusal(
                f"the {dependent.identity} depends on the table and would stay with its history",
                "drop it before, and make it again after the conversion",
            )


_CHOSEN = "leave that choice out: the model says what becomes of a primary key"
_NOT_ENFORCED = " NOT ENFORCED"
_NOT_PROVEN = {"c": "the CHECK constraint", "f": "the foreign key", "n": "the NOT NULL constraint"}


def _constraints(definition: TableDefinition) -> Iterator[Refusal]:
    for constraint in definition.constraints:
        kind = _NOT_PROVEN.get(constraint.kind)
        if kind is None:
            continue
        alter, name = _alter(definition), quote(constraint.name)
        drop = f"{alter} DROP CONSTRAINT {name}"
        again = f"{alter} ADD CONSTRAINT {name} {_ordinary(constraint.definition)}"
        if constraint.definition.endswith(_NOT_ENFORCED):
            # PostgreSQL 18 proves nothing that is not enforced, and can make only a foreign key enforced.
            enforce = f"{alter} ALTER CONSTRAINT {name} ENFORCED" if constraint.kind == "f" else f"{drop}; {again}"
            yield Refusal(f"{kind} {constraint.name} is NOT ENFORCED", f"{enforce}; or drop it: {drop}")
        elif not constraint.validated:
            prove = f"{alter} VALIDATE CONSTRAINT {name}"
            yield Refusal(f"{kind} {constraint.name} is NOT VALID", f"{prove}; or drop it: {drop}")
        if constraint.no_inherit and constraint.kind == "c":
            yield Refusal(f"{kind} {constraint.name} is NO INHERIT", f"{drop}; {again}; or only drop it")
        elif constraint.no_inherit and constraint.kind == "n":
            inherit = f"{alter} ALTER CONSTRAINT {name} INHERIT"
            yield Refusal(f"{kind} {constraint.name} is NO INHERIT", f"{inherit}; or drop it: {drop}")


def _ordinary(definition: str) -> str:
    """A constraint's *definition*, enforced, proved and inherited."""
    for words in (_NOT_ENFORCED, " NOT VALID", " NO INHERIT"):
        definition = definition.removesuffix(words)
    return definition


def _alter(definition: TableDefinition) -> str:
    return f"ALTER TABLE {definition.name.quoted}"


def cover_refusals(definition: TableDefinition) -> Iterator[Refusal]:
    """The new table must be in the EXCEPT clause that the old one is in."""
    for cover in definition.covers:
        if cover.excepted and not cover.ours:
            yield Refusal(
                f"it is in the EXCEPT clause of the publication {cover.name}, where the new table has to be too, and "
                f"only a superuser may change that clause",
                f"let a superuser run this conversion; or let one drop the publication, and create it again afterwards "
                f"with EXCEPT (TABLE {definition.name.quoted})",
            )


def _publications(definition: TableDefinition, profile: Profile) -> Iterator[Refusal]:
    by_leaf = [(each.name, "") for each in definition.publications if not each.via_root and not each.tail]
    by_leaf += [
        (each.name, f" ({each.scope})") for each in definition.covers if not each.via_root and not each.excepted
    ]
    for name, scope in by_leaf if profile.slots else ():
        yield Refusal(
            f"the publication {name}{scope} publishes partitions under their own names: subscribers (slots: "
            f"{', '.join(profile.slots)}) have no such tables, and would stop at the first row",
            f"ALTER PUBLICATION {quote(name)} SET (publish_via_partition_root = true), and they go on with the name "
            f"of this table; where it publishes other partitioned tables, ALTER SUBSCRIPTION ... REFRESH PUBLICATION "
            f"after that",
        )
    for publication in definition.publications:
        if publication.tail and not publication.via_root:
            yield Refusal(
                f"the publication {publication.name} filters rows or columns of it, which PostgreSQL allows for a "
                f"partitioned table only with publish_via_partition_root",
                f"ALTER PUBLICATION {quote(publication.name)} SET (publish_via_partition_root = true), or drop the "
                f"filter",
            )


def type_refusals(
    declared: DeclaredTable, columns: Mapping[str, ColumnType], definition: TableDefinition
) -> Iterator[Refusal]:
    """
    Args:
        columns: The table's, by name.
    """
    for part in {part for level in declared.levels() for part in level.key.parts if part.column is not None}:
        name, found = str(part.column), columns.get(str(part.column))
        if found is None:
            yield Refusal(f"the partition key {name} is no column of the table", "migrate that first")
        elif found.type.family != part.type.family:
            yield Refusal(
                f"{name} is {found.type.sql} in the table and {part.type.sql} in the model", "migrate that first"
            )
        elif definition.column(name).generated:
            # PostgreSQL 18 can't make a virtual column an ordinary one.
            stored = f"ALTER TABLE {definition.name.quoted} ALTER COLUMN {quote(name)} DROP EXPRESSION"
            ordinary = stored if definition.column(name).generated == "s" else "make it an ordinary column"
            yield Refusal(
                f"{name} is a generated column, which PostgreSQL takes in no partition key",
                f"{ordinary}, and fill it by a trigger or in the application",
            )


def retyped(declared: DeclaredTable, columns: Mapping[str, ColumnType]) -> DeclaredTable:
    """*declared*, with the types that the table has."""
    return replace(declared, level=_level(declared.level, columns))


def _level(level: Level, columns: Mapping[str, ColumnType]) -> Level:
    parts = tuple(_part(part, columns) for part in level.key.parts)
    below = None if level.below is None else _level(level.below, columns)
    return replace(level, key=PartitionKey(parts), below=below)


def _part(part: KeyPart, columns: Mapping[str, ColumnType]) -> KeyPart:
    return part if part.column is None else replace(part, type=columns[part.column].type)
