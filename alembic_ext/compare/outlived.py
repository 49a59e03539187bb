"""What a conversion keeps beyond its retention, as far as autogenerate can tell: it reads no table for that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from alembic_ext.ownership import in_transaction
from alembic_ext.session import lock_timeout
from sa_partman.bounds.bound import ListBound, RangeBound
from sa_partman.catalog import FoundTable
from sa_partman.compare.lists import wanted_labels
from sa_partman.compare.situation import Situation
from sa_partman.plan.conversion.history import outlived_history, range_history, unserved
from sa_partman.plan.conversion.request import history_table
from sa_partman.plan.conversion.types import retyped
from sa_partman.ports import appointed
from sa_partman.postgres.columns import columns_of
from sa_partman.postgres.conversion.profile import highest_key
from sa_partman.postgres.outlived import estimated
from sa_partman.postgres.session import pinned
from sa_partman.postgres.unique_keys import UniqueKey
from sa_partman.spec.axis import IntegerAxis
from sa_partman.spec.declared import ColumnType, DeclaredTable, ListLevel, RangeLevel

LEAD = timedelta(hours=1)
"""As of a conversion."""


def outlived_notes(
    connection: Connection, declared: DeclaredTable, found: FoundTable, keys: Sequence[UniqueKey]
) -> Iterator[str]:
    """
    Until when rows stay that are older than the retention, if the table is converted soon.

    Args:
        declared: Its name carries the schema.
        keys: The unique indexes of the table.
    """
    if unserved(declared) is not None or not any(_retains(level) for level in declared.levels()):
        return
    with in_transaction(connection), pinned(connection, lock_timeout(connection)) as session:
        columns = columns_of(connection, found.oid)
        if not _fit(declared, columns):
            return
        try:
            with connection.begin_nested():
                note = _note(connection, retyped(declared, columns), Situation(appointed() or session.now), keys)
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            return
    if note:
        yield note


def _retains(level: object) -> bool:
    return isinstance(level, RangeLevel) and level.spec.retention is not None


def _fit(declared: DeclaredTable, columns: dict[str, ColumnType]) -> bool:
    """Whether the table has the key's columns, in the types that the model gives them."""
    parts = [part for level in declared.levels() for part in level.key.parts]
    found = (columns.get(part.column or "") for part in parts)
    return all(
        each is not None and each.type.family == part.type.family for each, part in zip(found, parts, strict=True)
    )


def _note(connection: Connection, declared: DeclaredTable, situation: Situation, keys: Sequence[UniqueKey]) -> str:
    history = _history(connection, declared, situation, keys)
    name = history_table(declared.name)
    outlived = None if history is None else outlived_history(declared.level, history, name, situation)
    if outlived is None:
        return ""
    rows = estimated(connection, declared.name, outlived.condition)
    return f"converted now, {outlived.told(str(name), rows)}"


def _history(
    connection: Connection, declared: DeclaredTable, situation: Situation, keys: Sequence[UniqueKey]
) -> RangeBound | ListBound | None:
    """The bound that the rows would take; None where only reading them tells."""
    level = declared.level
    if isinstance(level, ListLevel):
        return next((ListBound(frozenset(values)) for _, values in wanted_labels(level, situation)), None)
    if not isinstance(level, RangeLevel):
        return None
    if not isinstance(level.axis, IntegerAxis):
        return range_history(level, situation, None, LEAD, None)
    if not any(each.columns[0] == level.key.columns[0] for each in keys):
        return None
    return range_history(level, situation, highest_key(connection, declared.name, level.key), LEAD, None)
