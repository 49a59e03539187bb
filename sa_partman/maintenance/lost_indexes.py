"""Plain tables that are to be converted, and the indexes that they lose then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, Table

from sa_partman.catalog import FoundTable
from sa_partman.finding import Finding, Severity
from sa_partman.names import QualifiedName
from sa_partman.orm.facts import lost_by
from sa_partman.postgres.unique_keys import primary_key, unique_keys


def lost_findings(connection: Connection, tables: Sequence[FoundTable], models: Sequence[Table]) -> Iterator[Finding]:
    """
    Args:
        models: Of *tables* at least.
    """
    plain = [each for each in tables if each.strategy is None and each.conversion is None]
    keys = unique_keys(connection, [each.oid for each in plain])
    for table in plain:
        name, unique = table.name, keys.get(table.oid, ())
        for lost in lost_by(
            _model_of(name, models), primary_key(unique), ((each.name, each.columns) for each in unique)
        ):
            yield Finding("lost-index", Severity.WARNING, str(name), f"{name}: {lost.message}", lost.remedy)


def _model_of(name: QualifiedName, models: Sequence[Table]) -> Table:
    """That of the same schema, unless the schema was said at run time, as in ``schema_translate_map``."""
    named = [each for each in models if each.name == name.name]
    return next((each for each in named if each.schema == name.schema), named[0])
