"""Whether a found table can be maintained as declared at all."""

from __future__ import annotations

from shlex import quote as in_shell

from sa_partman.catalog import FoundTable, LostConversion, UnfinishedConversion
from sa_partman.finding import Finding, Severity
from sa_partman.spec.declared import DeclaredTable

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
    return None


def conversion_finding(conversion: UnfinishedConversion | LostConversion) -> Finding:
    """A conversion is in progress, and nobody else's business until it is over; or it is forgotten."""
    table, message, remedy = str(conversion.table), conversion.message, conversion.remedy
    if isinstance(conversion, LostConversion):
        return Finding("conversion-lost", Severity.ERROR, table, message, remedy)
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
