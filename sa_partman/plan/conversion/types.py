"""The table's own types of the partition key: what the model calls them may differ, and then no proof is found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from sa_partman.key import KeyPart, PartitionKey
from sa_partman.names import quote
from sa_partman.plan.conversion.steps import Refusal
from sa_partman.spec.declared import ColumnType, DeclaredTable, Level
from sa_partman.table.definition import TableDefinition


def type_refusals(
    declared: DeclaredTable, columns: Mapping[str, ColumnType], anatomy: TableDefinition
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
        elif anatomy.column(name).generated:
            # PostgreSQL 18 can't make a virtual column an ordinary one.
            stored = f"ALTER TABLE {anatomy.name.quoted} ALTER COLUMN {quote(name)} DROP EXPRESSION"
            ordinary = stored if anatomy.column(name).generated == "s" else "make it an ordinary column"
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
