"""What can't be carried, found before anything is touched; and the types of the key that the table has itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from sa_partman.key import KeyPart, PartitionKey
from sa_partman.names import quote
from sa_partman.plan.conversion.inbound import inbound_refusals
from sa_partman.plan.conversion.request import ConversionRequest, Profile, Refusal
from sa_partman.spec.declared import ColumnType, DeclaredTable, Level
from sa_partman.table.definition import Index, TableDefinition


def refusals_of(request: ConversionRequest, definition: TableDefinition, profile: Profile) -> Iterator[Refusal]:
    """Every reason, in the order of importance."""
    yield from table_refusals(definition)
    if definition.persistence == "u" and not request.declared.level.spec.unlogged:
        yield Refusal("the table is UNLOGGED", f"{_alter(definition)} SET LOGGED first, or declare unlogged=True")
    yield from _rows(request, profile)
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


def _rows(request: ConversionRequest, profile: Profile) -> Iterator[Refusal]:
    sample = f" ({', '.join(profile.sample)})" if profile.sample else ""
    if profile.nulls:
        key = ", ".join(request.declared.level.key.columns)
        yield Refusal(
            f"{profile.nulls} rows have NULL in the partition key ({key})",
            f"fill them: UPDATE {request.table.quoted} SET ... WHERE {key} IS NULL",
        )
    if profile.outside:
        yield Refusal(
            f"{profile.outside} rows lie outside the bound of the history partition{sample}",
            "choose a later boundary (--boundary), or correct those rows",
        )


def _primary_key(request: ConversionRequest, definition: TableDefinition) -> Iterator[Refusal]:
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


def _keys(request: ConversionRequest, definition: TableDefinition) -> Iterator[Refusal]:
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


def _unique(request: ConversionRequest, index: Index, missing: list[str]) -> Refusal:
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
