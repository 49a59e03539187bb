"""Plans how a whole table is rewritten: reads the table and what its rows say, and asks the planner."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from sqlalchemy import Connection, text

from sa_partman.bounds.bound import DEFAULT, KeyValue
from sa_partman.bounds.text import value_of
from sa_partman.catalog import Partition
from sa_partman.compare.context import Context
from sa_partman.names import QualifiedName, quote
from sa_partman.plan.conversion.plain import PlainRequest, plain_refusals
from sa_partman.plan.conversion.refusals import (
    Again,
    again,
    carry_refusals,
    retyped,
    row_refusals,
    table_refusals,
    type_refusals,
)
from sa_partman.plan.conversion.request import Choices, Profile, Refusal, TargetRequest
from sa_partman.plan.rewrite.actions import RequirePartition
from sa_partman.plan.rewrite.pieces import MOST
from sa_partman.plan.rewrite.reaching import Places, Reach, places_for
from sa_partman.plan.rewrite.refusals import divided_refusals, unproven_refusals
from sa_partman.plan.rewrite.request import Kind, RewritePlan, Source, identity_of, staging_table
from sa_partman.plan.rewrite.whole import WholeRequest
from sa_partman.plan.rewrite.whole_steps import plan_whole
from sa_partman.postgres.conversion.beside import own_things, storage
from sa_partman.postgres.conversion.plan import (
    PrimaryKey,
    already_partitioned,
    key_columns,
    mark_of,
    missing_table,
    name_refusals,
    unmatched_rows,
)
from sa_partman.postgres.conversion.rows import null_keys, slots
from sa_partman.postgres.relations import columns_of, inbound_keys, oid_of
from sa_partman.postgres.rewriting import base_types, reach_of, sending
from sa_partman.postgres.session import verbatim
from sa_partman.postgres.table_reader import read_table
from sa_partman.spec.declared import DeclaredTable, Level, ListLevel, RangeLevel
from sa_partman.table.definition import TableDefinition

VALUES = 10 * MOST
"""So many values of a list, or tenants, are looked at: more than get partitions at once, so that too many are seen."""

_SAMPLE = 5

_SIZES = text("""
SELECT c.oid, n.nspname, c.relname, CAST(c.relkind AS text), pg_catalog.pg_get_expr(c.relpartbound, 0),
    s.nspname, p.relname, c.reltuples,
    pg_catalog.pg_relation_size(c.oid) / CAST(pg_catalog.current_setting('block_size') AS bigint),
    pg_catalog.pg_total_relation_size(c.oid)
FROM (SELECT t.relid, t.parentrelid FROM pg_catalog.pg_partition_tree(CAST(CAST(:oid AS oid) AS regclass)) t
        WHERE t.isleaf AND t.level > 0
    UNION ALL SELECT CAST(CAST(:oid AS oid) AS regclass), NULL) t
JOIN pg_catalog.pg_class c ON c.oid = t.relid AND c.relkind <> 'p'
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_class p ON p.oid = t.parentrelid
LEFT JOIN pg_catalog.pg_namespace s ON s.oid = p.relnamespace
ORDER BY c.oid
""")


def plan_copy(
    connection: Connection, declared: DeclaredTable, primary_key: PrimaryKey, context: Context, choices: Choices
) -> RewritePlan:
    """
    Plans how a plain table becomes the declared one by a copy of its rows, in the caller's pinned transaction.

    Args:
        declared: Its name carries the schema.
        primary_key: That of the partitioned table.
    """
    definition = read_table(connection, declared.name)
    if definition is None:
        return _refused("copy", declared.name, (missing_table(declared),))
    if definition.kind == "p":
        found = already_partitioned(connection, declared)
        return RewritePlan("copy", declared.name, refusals=found.refusals, notes=found.notes)
    columns = columns_of(connection, definition.oid)
    hopeless = (*table_refusals(definition), *type_refusals(declared, columns, definition))
    if hopeless:
        return _refused("copy", declared.name, hopeless)
    declared = retyped(declared, columns)
    target = TargetRequest(declared, primary_key(key_columns(definition)), context, choices)
    places = _places(connection, target, definition)
    request = WholeRequest(
        "copy",
        definition,
        target.primary_key,
        _sources(connection, definition),
        declared.level.partition_by,
        places.partitions,
        frozenset(choices.unique),
        tuple(each for key in definition.inbound if isinstance(each := again(key, target, definition), Again)),
        bases=base_types(connection, definition.oid),
    )
    refusals = (*_copy_refusals(connection, target, definition), *places.refusals)
    return _planned(connection, request, refusals, mark_of(definition))


def plan_unpartition(connection: Connection, table: QualifiedName, primary_key: PrimaryKey) -> RewritePlan:
    """
    Plans how a partitioned table becomes a plain one by a copy of its rows, in the caller's pinned transaction.

    Args:
        table: With its schema.
        primary_key: That of the plain table.
    """
    definition = read_table(connection, table)
    if definition is None or definition.kind != "p":
        return _refused("unpartition", table, (Refusal(f"{table} is no partitioned table", "see sa-partman status"),))
    options, persistence = storage(connection, definition.oid)
    mark, definition = mark_of(definition), replace(definition, options=options, persistence=persistence)
    wanted = primary_key(key_columns(definition))
    sources, local = _leaves(connection, definition)
    request = WholeRequest(
        "unpartition",
        definition,
        wanted,
        sources,
        again=tuple(Again(key, key.columns, key.referenced) for key in definition.inbound),
        local=local,
        bases=base_types(connection, definition.oid),
    )
    return _planned(connection, request, _plain_refusals(connection, definition, wanted, sources), mark)


def _leaves(
    connection: Connection, definition: TableDefinition
) -> tuple[tuple[Source, ...], tuple[RequirePartition, ...]]:
    rows = connection.execute(_SIZES, {"oid": definition.oid}).all()
    held = (RequirePartition(QualifiedName(*row[1:3]), QualifiedName(*row[5:7]), row[4]) for row in rows)
    return _sources(connection, definition), tuple(held)


def _plain_refusals(
    connection: Connection, definition: TableDefinition, key: tuple[str, ...], sources: Sequence[Source]
) -> Iterator[Refusal]:
    if definition.missing_rights:
        yield from table_refusals(definition)
        return
    own = (*own_things(connection, definition.oid), *(f"the foreign table {x.name}" for x in sources if x.kind == "f"))
    yield from plain_refusals(PlainRequest(definition, key, (), own))
    yield from _general(connection, definition)
    yield from unproven_refusals(definition)
    leaves = [Partition(each.name, oid_of(connection, each.name) or 0, DEFAULT, "r") for each in sources]
    yield from sending(connection, replace(definition, covers=()), leaves)
    yield from _twice(connection, definition, key)


def _copy_refusals(connection: Connection, target: TargetRequest, definition: TableDefinition) -> Iterator[Refusal]:
    yield from _general(connection, definition)
    yield from sending(connection, replace(definition, covers=()), ())
    profile = Profile(nulls=_nulls(connection, target, definition), slots=slots(connection))
    profile = replace(profile, unmatched=dict(unmatched_rows(connection, target, definition)))
    yield from row_refusals(target, definition, profile)
    yield from carry_refusals(target, definition, profile)
    for name, policy in target.choices.unique.items():
        if policy != "drop":
            yield Refusal(
                f"the unique index {name} can't be kept on the history only: nothing of the table stays together",
                target.unique_choice(name),
            )
    if target.declared.spec.has_expression:
        for index in definition.indexes:
            if index.unique and index.kind != "p" and index.name not in target.choices.unique:
                yield Refusal(
                    f"{index.name} is unique, and where the partition key is an expression PostgreSQL enforces that "
                    f"nowhere",
                    target.unique_choice(index.name),
                )
    yield from _twice(connection, definition, target.primary_key)


def _general(connection: Connection, definition: TableDefinition) -> Iterator[Refusal]:
    if identity_of(definition) is None:
        yield Refusal(
            f"no row of {definition.name} can be known again: it has no primary key, and no unique index over columns "
            f"that are NOT NULL",
            "add one",
        )
    for cover in definition.covers:
        # Where the table itself is left out, the copy would not be.
        yield Refusal(
            f"the publication {cover.name} ({cover.scope}) would send each copied row again",
            "publish the tables by their names, and via their roots (CREATE PUBLICATION ... FOR TABLE ... WITH "
            "(publish_via_partition_root = true)), while this is done"
            if definition.features.sends_attached
            else "drop the publication while this is done",
        )
    divided = tuple(each.referencing for each in inbound_keys(connection, [definition.oid]) if each.divided)
    yield from divided_refusals(definition, divided)


def _nulls(connection: Connection, target: TargetRequest, definition: TableDefinition) -> int:
    """Rows without a key that a range, or the primary key, needs."""
    ranged = {name for each in target.declared.levels() if isinstance(each, RangeLevel) for name in each.key.columns}
    keyed = {name for each in target.declared.levels() for name in each.key.columns} & {*target.primary_key}
    nullable = sorted(name for name in ranged | keyed if not definition.column(name).not_null)
    return null_keys(connection, target.table, tuple(nullable))


def _twice(connection: Connection, definition: TableDefinition, key: tuple[str, ...]) -> Iterator[Refusal]:
    """Rows with the same key, where nothing keeps them apart yet."""
    unique = ({*index.columns} for index in definition.indexes if index.unique and not index.partial and index.valid)
    if not key or any(each <= {*key} for each in unique if None not in each):
        return
    if any(definition.find(name) is None for name in key):
        return
    listed = ", ".join(map(quote, key))
    shown = ", ".join(f"CAST({quote(name)} AS text)" for name in key)
    sql = (
        f"SELECT concat_ws(', ', {shown}), count(*) FROM {definition.name.quoted} GROUP BY {listed} "
        f"HAVING count(*) > 1 LIMIT {_SAMPLE}"
    )
    found = connection.execute(verbatim(sql)).all()
    if found:
        rows = "; ".join(f"{row[0]} ({row[1]} times)" for row in found)
        yield Refusal(
            f"more than one row has the same ({', '.join(key)}), which is to be the primary key: {rows}",
            "give those rows other keys, or delete what is too much",
        )


# -- what the rows say


def _places(connection: Connection, target: TargetRequest, definition: TableDefinition) -> Places:
    reaches = {level.depth: _reach(connection, definition.name, level) for level in target.declared.levels()}
    return places_for(target.declared, target.context, reaches, staging_table(target.table))


def _reach(connection: Connection, table: QualifiedName, level: Level) -> Reach:
    ends = reach_of(connection, table, level.key, level.place) if isinstance(level, RangeLevel) else None
    valued = isinstance(level, ListLevel) or (isinstance(level, RangeLevel) and level.spec.tenants is not None)
    return Reach(ends, _values(connection, table, level) if valued else frozenset())


def _values(connection: Connection, table: QualifiedName, level: Level) -> frozenset[KeyValue]:
    part = level.key.parts[0].sql
    sql = f"SELECT DISTINCT CAST({part} AS text) FROM ONLY {table.quoted} LIMIT {VALUES}"
    rows = connection.execute(verbatim(sql)).scalars()
    return frozenset(None if each is None else value_of(each, level.key.types[0]) for each in rows)


def _sources(connection: Connection, definition: TableDefinition) -> tuple[Source, ...]:
    return tuple(
        Source(QualifiedName(row[1], row[2]), DEFAULT, row[4] or "", row[7], row[8], row[9], kind=row[3], whole=True)
        for row in connection.execute(_SIZES, {"oid": definition.oid})
    )


# -- the plan


def _planned(connection: Connection, request: WholeRequest, refusals: Iterable[Refusal], mark: str) -> RewritePlan:
    found = tuple(dict.fromkeys(refusals))
    if not found:
        names, statistics = request.names(), request.statistics()
        found = tuple(name_refusals(connection, names, statistics, request.definition.oid))
    return replace(plan_whole(replace(request, refusals=found)), mark=mark)


def _refused(kind: Kind, table: QualifiedName, refusals: tuple[Refusal, ...]) -> RewritePlan:
    return RewritePlan(kind, table, refusals=refusals)
