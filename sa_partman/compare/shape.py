"""Whether a found table can be maintained as declared at all, level by level."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from shlex import quote as in_shell

from sa_partman.bounds.bound import Bound, ListBound, RangeBound
from sa_partman.catalog import LARGE_LOG, FoundTable, LostConversion, Parent, Partition, UnfinishedConversion
from sa_partman.compare.context import Context
from sa_partman.compare.lists import is_active
from sa_partman.finding import Finding, Severity
from sa_partman.key import Family, KeyPart
from sa_partman.spec.declared import DeclaredTable, HashLevel, Level, RangeLevel

MISSING_TABLE = (
    "run the migrations: alembic upgrade head; if the table is in another schema, connect with a search_path that has "
    "it, or name it with schemas= (--schema), or in the model"
)
"""What to do about a table that is not there."""


def shape_finding(declared: DeclaredTable, found: FoundTable | None) -> Finding | None:
    """Why *found* can't be maintained as *declared*, if it can't: missing, plain, or partitioned otherwise."""
    name = str(declared.name if found is None else found.name)
    if found is None:
        return _shape("missing-table", name, f"{name} does not exist", MISSING_TABLE)
    wanted = declared.level.partition_by
    if found.conversion is not None and _differs(declared, found):
        return conversion_finding(found.conversion)
    if found.strategy is None or found.key is None:
        return _shape(
            "not-partitioned",
            name,
            f"{name} is declared PARTITION BY {wanted} and is a plain table in the database",
            f"convert it: sa-partman convert {in_shell(name)}; or in a migration: alembic revision --autogenerate, "
            f"then alembic upgrade head",
        )
    if _differs(declared, found):
        return _shape(
            "other-key",
            name,
            f"{name} is PARTITION BY {found.strategy} ({found.key}) in the database, declared is {wanted}",
            "PostgreSQL can't change a partition key: declare what is there; or take the declaration off the model and "
            "migrate, which makes the table plain, then declare it and migrate again",
        )
    return next(_other_types(name, declared.level, found), None)


_ALIKE = (
    frozenset({Family.INTEGER, Family.NUMERIC}),
    frozenset({Family.TEXT, Family.ENUM, Family.OTHER}),
)
"""Families whose values are read and written alike, each of a type that has them."""


def _other_types(table: str, level: Level, parent: Parent) -> Iterator[Finding]:
    """
    Key columns whose bounds would be read as something else than what is declared: nothing can be compared then.

    Lower levels are seen by the partitions that are divided; a table has one type for a column at all levels.
    """
    assert parent.key is not None
    for mine, theirs in zip(_compared(level), parent.key.parts, strict=False):
        one, other = mine.type.family, theirs.type.family
        if mine.column is not None and one != other and not any({one, other} <= alike for alike in _ALIKE):
            yield _shape(
                "other-key-type",
                table,
                f"{table}: the key column {mine.column} is {theirs.type.sql} in the database and {mine.type.sql} in "
                f"the model, so its partition bounds can't be compared; nothing was changed",
                f"give the model's column the type that is there, {theirs.type.sql}; PostgreSQL can't change the type "
                f"of a partition key",
            )
    divided = (each for each in parent.partitions if level.below is not None and divides(level.below, each))
    first = next(divided, None)
    if first is not None and level.below is not None:
        yield from _other_types(table, level.below, first)


def _compared(level: Level) -> tuple[KeyPart, ...]:
    """The parts of the key whose values are compared: none of a hash, and none behind what an interval cuts."""
    if isinstance(level, HashLevel):
        return ()
    return level.key.parts[: level.place + 1] if isinstance(level, RangeLevel) else level.key.parts


def conversion_finding(conversion: UnfinishedConversion | LostConversion) -> Finding:
    """A conversion is in progress, and nobody else's business until it is over; or it is forgotten."""
    table, message, remedy = str(conversion.table), conversion.message, conversion.remedy
    if isinstance(conversion, LostConversion):
        return Finding("conversion-lost", Severity.ERROR, table, message, remedy)
    if conversion.kept:
        severity = Severity.WARNING if conversion.logged >= LARGE_LOG else Severity.INFO
        return Finding("rewrite-kept", severity, table, message, remedy)
    if conversion.rewrites:
        return Finding("rewrite-in-progress", Severity.WARNING, table, message, remedy)
    return Finding("conversion-in-progress", Severity.WARNING, table, message, remedy)


def _differs(declared: DeclaredTable, found: FoundTable) -> bool:
    return found.key is None or found.strategy != declared.spec.strategy or not _same_key(declared, found)


def _same_key(declared: DeclaredTable, found: FoundTable) -> bool:
    assert found.key is not None
    wanted = declared.level.key
    if len(wanted.parts) != len(found.key.parts):
        return False
    # Expressions come back rewritten by the server, so only their places are compared.
    return all(mine.column == theirs.column for mine, theirs in zip(wanted.parts, found.key.parts, strict=True))


def _shape(code: str, table: str, message: str, remedy: str) -> Finding:
    return Finding(code, Severity.ERROR, table, message, remedy)


def divides(below: Level, partition: Partition) -> bool:
    """Whether *partition* is divided as *below* says; one of another form is respected as it is."""
    if partition.detach_pending or partition.key is None or partition.strategy != below.spec.strategy:
        return False
    return partition.key.columns == below.key.columns


def descend(level: Level, bound: Bound, context: Context) -> Context:
    """The context inside the partition of *bound*; `Context.gone` where nobody wants that any more."""
    if isinstance(bound, ListBound):
        inside = context.below(tuple(bound.values))
        return inside if context.gone or is_active(level, bound, context) else replace(inside, gone=True)
    if isinstance(bound, RangeBound) and isinstance(level, RangeLevel):
        lower, upper = (level.axis.decode(end[level.place]) for end in (bound.lower, bound.upper))
        branch = context if level.spec.tenants is None else context.below((bound.lower[0],))
        known = lower is not None and upper is not None
        return replace(branch, within=(level.spec.ranged, lower, upper) if known else None)
    return context
