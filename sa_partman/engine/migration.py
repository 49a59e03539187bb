"""
What a migration does in a transaction that somebody else has begun, all or nothing: new partitions as full members,
other list values or another modulus, and conversions of small tables, with the table locked to the end and no state
stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from shlex import quote as in_shell

from sqlalchemy import Connection, text

from sa_partman.bounds.bound import ListBound
from sa_partman.bounds.text import describe, in_order
from sa_partman.catalog import FoundTable, default_of
from sa_partman.compare.context import Context
from sa_partman.ddl.render import lock_tables, stored
from sa_partman.ddl.rows import predicate
from sa_partman.engine.statements import apply_actions, name_taken
from sa_partman.errors import ConversionRefused
from sa_partman.key import PartitionKey
from sa_partman.marks import is_detached_from
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import Action, Stored
from sa_partman.plan.conversion.plain import PlainRequest, make_plain, plain_names, plain_refusals, plain_statistics
from sa_partman.plan.conversion.request import Choices, Refusal
from sa_partman.plan.membership import as_members, makes
from sa_partman.plan.repartition import (
    RepartitionFacts,
    RepartitionFailed,
    Repartitioning,
    RowsToMove,
    WantedPartition,
    repartition_actions,
    same_partitions,
    sources_of,
)
from sa_partman.plan.steps import Purpose, Step
from sa_partman.postgres.conversion.beside import own_things, storage
from sa_partman.postgres.conversion.plan import name_refusals, plan_conversion
from sa_partman.postgres.facts import from_lowest
from sa_partman.postgres.migrations import keys_to, passes_identity_on, relation_named, row_count
from sa_partman.postgres.relations import Relation, privileges_of
from sa_partman.postgres.session import acting_as, pinned
from sa_partman.postgres.table_reader import memberships, read_table
from sa_partman.spec.declared import DeclaredTable, Level
from sa_partman.table.definition import TableDefinition


def apply_with_membership(connection: Connection, table: Relation, actions: Iterable[Action]) -> tuple[str, ...]:
    """
    Executes *actions* in the caller's pinned transaction; the tables that they create get the owner, the grants and the
    rest of *table*.

    Returns:
        GRANT statements without which they don't; empty when they do.
    """
    step = Step(Purpose.PROVISION, table.name, table.name, None, tuple(actions))
    if not makes(step):
        apply_actions(connection, step.actions)
        return ()
    with _as_owner(connection, table):
        membership = memberships(connection, [table.oid])[table.oid]
        apply_actions(connection, (step if membership.lacking else as_members(step, membership)).actions)
        return membership.lacking


def _as_owner(connection: Connection, table: Relation) -> AbstractContextManager[None]:
    """Whoever owns the table is to own its partitions, if we may take its place and it may create."""
    privileges = privileges_of(connection, [table])[table.name]
    if privileges.is_same or not privileges.may_set_role or not privileges.may_create:
        return nullcontext()
    return acting_as(connection, privileges.owner)


def lock_exclusively(connection: Connection, table: QualifiedName) -> None:
    """ACCESS EXCLUSIVE, on *table* and all its partitions."""
    apply_actions(connection, (Stored(lock_tables([table.quoted])),), singly=True)


def repartition(
    connection: Connection, found: FoundTable, level: Level, change: Repartitioning, limit: int, now: datetime
) -> None:
    """
    Args:
        connection: In a pinned transaction that has locked the table exclusively.
        level: As *found* is declared to be partitioned.
        limit: More rows than this are not moved.

    Raises:
        RepartitionFailed: Too many rows, rows without a place, a foreign table, or foreign keys that refer to it;
            nothing was changed. Or rows are missing afterwards: the transaction is to be rolled back.
        NameTaken: Something else bears the name of a new partition; nothing was changed.
        ExecutionError: Rows were not to be moved, or not attached; the transaction is to be rolled back.
    """
    _refuse(connection, found, change, limit)
    facts = _facts(connection, found, level, change, now)
    actions = repartition_actions(found, level, change, facts, limit)
    default = default_of(found)
    touched = [each.name for each in (*change.sources, *((default,) if default is not None else ()))]
    before = _count(connection, touched)
    apply_actions(connection, (*actions.detached, *actions.created))
    apply_actions(connection, actions.moved)
    left = _count(connection, [actions.renamed[each.name] for each in change.emptied])
    now_named = [actions.renamed.get(name, name) for name in touched]
    after = _count(connection, [*now_named, *(target.name for target in change.fresh)])
    if left or before != after:
        raise RepartitionFailed(
            f"{found.name}: {before} rows were there and {after} are, {left} of them in tables to be dropped; "
            f"the migration is rolled back. Please report this."
        )
    apply_actions(connection, actions.attached)


def _refuse(connection: Connection, found: FoundTable, change: Repartitioning, limit: int) -> None:
    unseen = _rows_unseen(connection) if change.sources or change.leaving else None
    if unseen is not None:
        raise RepartitionFailed(f"{found.name}: {unseen.what}; nothing was changed. Instead, {unseen.choices}")
    foreign = next((source.name for source in change.sources if source.kind == "f"), None)
    if foreign is not None:
        raise RepartitionFailed(
            f"{found.name}: the partition {foreign} is a foreign table, whose rows can't be moved; nothing was "
            f"changed. Detach it first: ALTER TABLE {found.name.quoted} DETACH PARTITION {foreign.quoted}"
        )
    keys = keys_to(connection, found.oid) if change.sources or change.leaving else []
    if keys:
        shown = ", ".join(f"{name} of {table}" for name, table in keys[:5])
        raise RepartitionFailed(
            f"{found.name}: the foreign key {shown} refers to it, and its partitions can't be taken apart meanwhile; "
            f"nothing was changed. Drop the foreign key before and create it again after this operation."
        )
    moving = 0
    for move in change.moves:
        number = row_count(connection, move.source.name, predicate(move.bound, _key(found), found.name))
        if number and move.target is None and default_of(found) is None:
            raise _homeless(connection, found, move)
        moving += number
    if moving > limit:
        raise RepartitionFailed(
            f"{found.name}: {moving} rows would have to move, and op.repartition_table moves at most "
            f"{limit} in one transaction, while everybody waits; nothing was changed. Move them before, while the "
            f"application goes on: sa-partman regrid {in_shell(str(found.name))}; this finds nothing to do then. Or "
            f"raise limit= in a maintenance window."
        )


def _rows_unseen(connection: Connection) -> Refusal | None:
    """
    Why rows can't be moved in the caller's transaction. Rows that others committed after its snapshot was taken, and
    before it had the lock, are neither copied nor counted, and they would go with the table that they are in.
    """
    level = str(connection.execute(text("SHOW transaction_isolation")).scalar_one())
    if level.startswith("read "):
        return None
    return Refusal(
        f"the transaction is {level.upper()}, so it does not see rows that were committed after its first statement, "
        f"and they would be lost",
        "run the migration in READ COMMITTED: isolation_level='READ COMMITTED' for the engine in env.py",
    )


def _homeless(connection: Connection, found: FoundTable, move: RowsToMove) -> RepartitionFailed:
    assert isinstance(move.bound, ListBound)
    counted = []
    for value in in_order(move.bound.values):
        one = ListBound(frozenset({value}))
        number = row_count(connection, move.source.name, predicate(one, _key(found)))
        if number:
            counted.append(f"{number} rows {describe(one)}")
    return RepartitionFailed(
        f"{found.name}: no label takes {' and '.join(counted)} any more, and there is no default partition; "
        f"nothing was changed. Delete or update these rows, keep the values in a label, or declare default=True."
    )


def _facts(
    connection: Connection, found: FoundTable, level: Level, change: Repartitioning, now: datetime
) -> RepartitionFacts:
    """
    Raises:
        NameTaken: Something else bears the name of a new partition.
    """
    leaving = {each.name: each.comment for each in change.leaving if each.kind != "f"}
    free = {each.name for source in change.emptied for each in source.walk()}
    returning: dict[QualifiedName, str | None] = {}
    below: dict[QualifiedName, Level] = {}
    for target in change.fresh:
        old = None if target.name in free else relation_named(connection, target.name)
        if target.name in leaving:
            returning[target.name] = leaving[target.name]
        elif old is not None and old.parent is None and is_detached_from(old.comment, found.name):
            returning[target.name] = old.comment
        else:
            taken = None if target.name in free else name_taken(connection, target.name)
            if taken is not None:
                raise taken
            below |= _below(connection, found, level, change, target)
    return RepartitionFacts(Context(now), returning, below, passes_identity_on(connection, found.oid))


def _below(
    connection: Connection, found: FoundTable, level: Level, change: Repartitioning, target: WantedPartition
) -> dict[QualifiedName, Level]:
    default = default_of(found)
    if default is None or level.below is None:
        return {}
    if any(same_partitions(level.below, target.name, sources_of(change, target), ())):
        return {}
    return {target.name: from_lowest(connection, level.below, default.name, target.bound, _key(found))}


def _key(found: FoundTable) -> PartitionKey:
    assert found.key is not None
    return found.key


def _count(connection: Connection, tables: Iterable[QualifiedName]) -> int:
    return sum(row_count(connection, table) for table in tables)


LOCK_TIMEOUT = 5.0
"""Seconds that a migration waits for the table."""

_EXISTS = text("SELECT to_regclass(:name) IS NOT NULL")


def convert_inline(
    connection: Connection,
    declared: DeclaredTable,
    primary_key: Sequence[str],
    context: Context,
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
            context,
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
    unseen = _rows_unseen(connection)
    refused = tuple(plain_refusals(request)) or tuple(
        name_refusals(connection, plain_names(request), plain_statistics(request), request.definition.oid)
    )
    return refused if unseen is None else (unseen, *refused)


def _lock(connection: Connection, name: QualifiedName) -> None:
    if connection.execute(_EXISTS, {"name": name.quoted}).scalar():
        lock_exclusively(connection, name)
