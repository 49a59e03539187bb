"""
Conversions of small tables inside somebody else's transaction, such as a migration's: all or nothing, with the table
locked to its end; no state is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Connection, text

from sa_partman.compare.situation import Situation
from sa_partman.ddl.render import stored
from sa_partman.engine.statements import apply_actions
from sa_partman.errors import ConversionRefused
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import Stored
from sa_partman.plan.conversion.plain import PlainRequest, make_plain, plain_names, plain_refusals, plain_statistics
from sa_partman.plan.conversion.request import Choices, Refusal
from sa_partman.postgres.conversion.beside import name_refusals, own_things, storage
from sa_partman.postgres.conversion.plan import plan_conversion
from sa_partman.postgres.session import pinned
from sa_partman.postgres.table_reader import read_table
from sa_partman.spec.declared import DeclaredTable
from sa_partman.table.definition import TableDefinition

LOCK_TIMEOUT = 5.0
"""Seconds that a migration waits for the table."""

_EXISTS = text("SELECT to_regclass(:name) IS NOT NULL")


def convert_inline(
    connection: Connection,
    declared: DeclaredTable,
    primary_key: Sequence[str],
    situation: Situation,
    choices: Choices | None = None,
) -> None:
    """
    Makes a plain table partitioned, in the caller's transaction: its rows become the first partition.

    Args:
        declared: Its name carries the schema.
        primary_key: Column names that the partitioned table's primary key is to have.

    Raises:
        ConversionRefused: With every reason; nothing was changed.
    """
    with pinned(connection, LOCK_TIMEOUT):
        _lock(connection, declared.name)
        planned = plan_conversion(
            connection,
            declared,
            lambda _: tuple(primary_key),
            situation,
            choices or Choices(),
            lead=timedelta(0),
            concurrently=False,
        )
        if not planned.plan.refusals:
            for step in planned.plan.steps:
                apply_actions(connection, stored(step.actions), singly=True)
    if planned.plan.refusals:
        raise ConversionRefused(str(declared.name), map(str, planned.plan.refusals))


def unpartition_inline(
    connection: Connection,
    name: QualifiedName,
    primary_key: Sequence[str],
    *,
    nullable: Sequence[str] = (),
) -> None:
    """
    Makes a partitioned table plain, in the caller's transaction: its rows are copied, and its partitions dropped.

    Args:
        name: With its schema; of any strategy, converted in place or not.
        primary_key: Column names that the plain table's primary key is to have.
        nullable: Columns that lose their NOT NULL, which they got for the partitioned table's primary key.

    Raises:
        ConversionRefused: With every reason; nothing was changed.
    """
    with pinned(connection, LOCK_TIMEOUT):
        _lock(connection, name)
        definition = read_table(connection, name)
        if definition is None or definition.kind != "p":
            refusals: tuple[Refusal, ...] = (Refusal(f"{name} is no partitioned table", "see sa-partman status"),)
        else:
            request = _request(connection, definition, tuple(primary_key), tuple(nullable))
            refusals = _refusals(connection, request)
            if not refusals:
                apply_actions(connection, stored(make_plain(request)), singly=True)
    if refusals:
        raise ConversionRefused(str(name), map(str, refusals), what="can't be made plain again")


def _request(
    connection: Connection, definition: TableDefinition, primary_key: tuple[str, ...], nullable: tuple[str, ...]
) -> PlainRequest:
    options, persistence = storage(connection, definition.oid)
    table = replace(definition, options=options, persistence=persistence)
    if definition.missing_rights:
        return PlainRequest(table, primary_key, nullable)
    return PlainRequest(table, primary_key, nullable, own_things(connection, definition.oid))


def _refusals(connection: Connection, request: PlainRequest) -> tuple[Refusal, ...]:
    return tuple(plain_refusals(request)) or tuple(
        name_refusals(connection, plain_names(request), plain_statistics(request), request.definition.oid)
    )


def _lock(connection: Connection, name: QualifiedName) -> None:
    if connection.execute(_EXISTS, {"name": name.quoted}).scalar():
        apply_actions(connection, (Stored(f"LOCK TABLE {name.quoted} IN ACCESS EXCLUSIVE MODE"),), singly=True)
