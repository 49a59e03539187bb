"""Tables that become partitioned, or plain: the conversion that autogenerate writes, and what it tells beforehand."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError

from alembic_ext.compare.catalog import partitions_of
from alembic_ext.literals import in_file, plain_literal
from alembic_ext.session import in_transaction, lock_timeout
from alembic_ext.table_ops import PartitionTableOp, UnpartitionTableOp
from sa_partman.bounds.bound import HashBound, ListBound, RangeBound
from sa_partman.bounds.text import in_order
from sa_partman.catalog import FoundTable, Parent, default_of
from sa_partman.codecs.uuid7 import UUIDv7
from sa_partman.compare.context import Context
from sa_partman.compare.lists import wanted_labels
from sa_partman.key import Family, KeyType
from sa_partman.orm.registry import PartitionByHash, PartitionByList, PartitionByRange, lost_by, primary_key_of
from sa_partman.plan.conversion.refusals import retyped
from sa_partman.plan.conversion.request import history_table, outlived_history, range_history, unserved
from sa_partman.postgres.contents import estimated
from sa_partman.postgres.conversion.rows import highest_key
from sa_partman.postgres.relations import UniqueKey, columns_of, primary_key, unique_keys
from sa_partman.postgres.session import appointed, pinned
from sa_partman.spec.base import PartitionSpec
from sa_partman.spec.declared import ColumnType, DeclaredTable, IntegerAxis, ListLevel, RangeLevel, axis_of

log = logging.getLogger(__name__)


def partitioned(
    table: Table, declared: DeclaredTable, keys: Sequence[UniqueKey], more: Iterable[str] = ()
) -> PartitionTableOp:
    """
    A plain table, which has the unique *keys*, has gained a declaration.

    Args:
        more: What else whoever reads the migration should know.
    """
    present = primary_key(keys)
    operation = PartitionTableOp(
        table.name,
        in_file(declared.spec, table),
        primary_key=primary_key_of(table, present),
        existing_primary_key=present,
        schema=table.schema,
    )
    operation.notes = (*_notes(table, keys), *more)
    for note in operation.notes:
        log.warning("%s: %s", table.fullname, note)
    return operation


def _notes(table: Table, keys: Sequence[UniqueKey]) -> Iterator[str]:
    """What the conversion costs, and whoever reads the migration should know."""
    for lost in lost_by(table, primary_key(keys), ((each.name, each.columns) for each in keys)):
        yield f"{lost.message}: {lost.remedy}"


def unpartitioned(connection: Connection, table: Table) -> UnpartitionTableOp:
    """
    A partitioned table has lost its declaration.

    Raises:
        CommandError: Nobody can tell how a downgrade would partition it again.
    """
    found, _ = partitions_of(connection, table.schema, table.name)
    declaration = guessed_declaration(found)
    if declaration is None:
        raise CommandError(
            f"{table.fullname} is PARTITION BY {found.strategy} ({found.key}) in the database, its model does not say "
            f"so, and its partitions follow no pattern that a downgrade could go back to; no migration was written. "
            f"Declare it with __partition__, or, if something else manages its partitions, with __table_args__ = "
            f"{{'postgresql_partition_by': ...}}."
        )
    present = primary_key(unique_keys(connection, [found.oid]).get(found.oid, ()))
    return UnpartitionTableOp(
        table.name,
        declaration,
        primary_key=primary_key_of(table, present),
        existing_primary_key=present,
        schema=table.schema,
    )


_INTERVALS = ("1 month", "1 day", "1 week", "1 year", "3 months", "1 hour", "6 months", "2 weeks", "15 minutes")


def guessed_declaration(found: FoundTable) -> PartitionSpec | None:
    """None when its partitions follow no pattern, or its key is an expression."""
    if found.key is None or found.key.has_expression:
        return None
    return _level(found)


def _level(parent: Parent) -> PartitionSpec | None:
    assert parent.key is not None
    more: dict[str, Any] = {"default": True} if default_of(parent) is not None else {}
    below = _below(parent)
    if below is not None:
        more["subpartition"] = below
    if parent.strategy == "HASH":
        moduli = {each.bound.modulus for each in parent.partitions if isinstance(each.bound, HashBound)}
        more.pop("default", None)
        return PartitionByHash(*parent.key.columns, modulus=max(moduli), **more) if moduli else None
    if parent.strategy == "LIST":
        return PartitionByList(parent.key.columns[0], values=_values(parent), **more)
    interval = _interval(parent)
    return None if interval is None else PartitionByRange(*parent.key.columns, interval=interval, **more)


def _below(parent: Parent) -> PartitionSpec | None:
    divided = [each for each in parent.partitions if each.key is not None and not each.key.has_expression]
    return _level(divided[-1]) if divided else None


def _values(parent: Parent) -> dict[str, list[object]]:
    prefix = f"{parent.name.name}_"
    return {
        each.name.name.removeprefix(prefix): [plain_literal(value) for value in in_order(each.bound.values)]
        for each in parent.partitions
        if isinstance(each.bound, ListBound)
    }


def _interval(parent: Parent) -> str | int | None:
    """The interval whose grid most of the partitions lie on."""
    assert parent.key is not None
    kind = parent.key.types[0]
    bounds = [each.bound for each in parent.partitions if isinstance(each.bound, RangeBound)]
    if kind.family in (Family.INTEGER, Family.NUMERIC):
        widths = Counter(_width(bound) for bound in bounds)
        widths.pop(None, None)
        return widths.most_common(1)[0][0] if widths else None
    fitting = Counter(word for bound in bounds for word in _fitting(bound, kind))
    return fitting.most_common(1)[0][0] if fitting else None


def _width(bound: RangeBound) -> int | None:
    lower, upper = bound.lower[0], bound.upper[0]
    return upper - lower if isinstance(lower, int) and isinstance(upper, int) else None


def _fitting(bound: RangeBound, kind: KeyType) -> Iterator[str]:
    if kind.family not in (Family.DATE, Family.TIMESTAMP, Family.TIMESTAMPTZ, Family.UUID):
        return
    for word in _INTERVALS:
        if kind.family is Family.DATE and ("hour" in word or "minute" in word):
            continue
        codec = UUIDv7() if kind.family is Family.UUID else None
        axis = axis_of(PartitionByRange("key", interval=word, codec=codec), kind)
        lower, upper = axis.decode(bound.lower[0]), axis.decode(bound.upper[0])
        if lower is not None and upper is not None:
            cell = axis.grid.cell(lower)
            if (cell.lower, cell.upper) == (lower, upper):
                yield word


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
                note = _note(connection, retyped(declared, columns), Context(appointed() or session.now), keys)
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


def _note(connection: Connection, declared: DeclaredTable, context: Context, keys: Sequence[UniqueKey]) -> str:
    history = _history(connection, declared, context, keys)
    name = history_table(declared.name)
    outlived = None if history is None else outlived_history(declared.level, history, name, context)
    if outlived is None:
        return ""
    rows = estimated(connection, declared.name, outlived.condition)
    return f"converted now, {outlived.told(str(name), rows)}"


def _history(
    connection: Connection, declared: DeclaredTable, context: Context, keys: Sequence[UniqueKey]
) -> RangeBound | ListBound | None:
    """The bound that the rows would take; None where only reading them tells."""
    level = declared.level
    if isinstance(level, ListLevel):
        return next((ListBound(frozenset(values)) for _, values in wanted_labels(level, context)), None)
    if not isinstance(level, RangeLevel):
        return None
    if not isinstance(level.axis, IntegerAxis):
        return range_history(level, context, None, LEAD, None)
    if not any(each.columns[0] == level.key.columns[0] for each in keys):
        return None
    return range_history(level, context, highest_key(connection, declared.name, level.key), LEAD, None)
