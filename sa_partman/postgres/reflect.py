"""The catalog, read in a few queries whatever the number of tables, and turned into values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from operator import itemgetter
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Dialect, Row, TextClause, text

from sa_partman.bounds.bound import Bound
from sa_partman.bounds.read import parse_bound
from sa_partman.catalog import DetachedTable, FoundTable, Partition, Privileges
from sa_partman.key import Family, KeyPart, KeyType, PartitionKey
from sa_partman.marks import mark_of, unmarked
from sa_partman.names import QualifiedName
from sa_partman.postgres.residues import running_detaches
from sa_partman.postgres.session import features_of
from sa_partman.spec.declared import DeclaredTable
from sa_partman.table.features import ServerFeatures


class ParentRow(NamedTuple):
    """A row of `parents_query`; depth is 0 for a declared table and -1 for a detached one."""

    oid: int
    depth: int
    schema: str
    name: str
    strategy: str | None
    columns: list[str | None] | None
    types: list[str]
    enums: list[bool | None]
    expression: str | None
    comment: str | None
    may: list[bool]
    owner: str
    role: str


PartitionRow = Row[int, int, str, str, str, bool, str | None, float, int, int]
"""Parent, oid, schema, name, kind, whether a detach is pending, comment, rows, pages, hash: see `PARTITIONS`."""

_STRATEGIES = {"r": "RANGE", "l": "LIST", "h": "HASH"}


def reflect(
    connection: Connection, tables: Iterable[DeclaredTable], *, ranges: bool = True
) -> dict[QualifiedName, FoundTable]:
    """
    The tables that exist, partitioned or plain, with all their partitions.

    Args:
        tables: Their names carry a schema; their keys tell the types of expressions, which the catalog does not.
        ranges: Read range partitions too, and what is below them; else only the default ones among them.

    Raises:
        CatalogError: A bound can't be read.
    """
    wanted = {table.name: table for table in tables}
    found, again = _read(connection, wanted, ranges=ranges), _AGAIN
    while found.bounds.gone and again:
        found, again = _read(connection, wanted, ranges=ranges), again - 1
    return found.tables()


_AGAIN = 3
"""Partitions that go between two queries may have been split or merged: what came in their place is looked for."""


def _read(connection: Connection, wanted: Mapping[QualifiedName, DeclaredTable], *, ranges: bool) -> _Reflection:
    parameters = {"schemas": [name.schema for name in wanted], "names": [name.name for name in wanted]}
    asked = connection.execute(parents_query(features_of(connection)), {**parameters, "ranges": ranges})
    parents = [ParentRow._make(row) for row in asked.all()]
    divided = [row.oid for row in parents if row.columns is not None]
    rows: Sequence[PartitionRow] = ()
    if divided:
        unsorted = connection.execute(PARTITIONS, {"parents": divided, "ranges": ranges}).all()
        rows = sorted(unsorted, key=itemgetter(1))
    detaching = running_detaches(connection, (QualifiedName(row[2], row[3]) for row in rows if row[5]))
    return _Reflection(parents, rows, Bounds(connection, rows), wanted, detaching)


class Bounds:
    """The bounds of the partitions of one look: those known from before, and the others printed by the server."""

    def __init__(self, connection: Connection, rows: Sequence[PartitionRow]) -> None:
        self._known = known_to(connection)
        self._read: dict[tuple[KeyType, ...], dict[str, Bound]] = defaultdict(dict)
        self._printed: dict[int, tuple[str, int]] = {}
        self._texts: dict[str, str] = {}
        known = self._known.get
        new = [row[1] for row in rows if (known(row[1]) or _NEVER)[0] != row[9]]
        if new:
            printed = connection.execute(PRINTED, {"oids": new}).all()
            # The server prints nothing of a partition that is gone, although the query's snapshot still has it.
            self._printed = {row[0]: (row[1], row[2]) for row in printed if row[1] is not None}
        self.gone = frozenset(new) - self._printed.keys()

    def of(self, partition: int, types: tuple[KeyType, ...]) -> Bound | None:
        """
        The bound of *partition*, an oid; None when it has gone since.

        Raises:
            UnreadableBound: See `parse_bound`.
        """
        if partition in self.gone:
            return None
        if partition not in self._printed:
            known = self._known.get(partition)
            return None if known is None else known[1].bound
        text, _ = self._printed[partition]
        read = self._read[types]
        bound = read.get(text)
        if bound is None:
            bound = read[text] = parse_bound(text, types)
        return bound

    def partition(self, row: PartitionRow, bound: Bound, types: tuple[KeyType, ...]) -> Partition:
        """
        What *row* tells, with nothing below it: the very one that was made of it before, where nothing has changed.
        """
        _, oid, schema, name, kind, pending, comment, estimate, pages, _ = row
        now = (oid not in self._printed, schema, name, kind, pending, comment, estimate, pages)
        if oid in self._known and now == _row_of(last := self._known[oid][1]):
            return last
        # Schemas and marks are the same for thousands of partitions.
        named = QualifiedName(self._texts.setdefault(schema, schema), name)
        comment = None if comment is None else self._texts.setdefault(comment, comment)
        found = Partition(named, oid, bound, kind, pending, comment, estimate, pages)
        if may_be_known(types):
            stored = self._printed[oid][1] if oid in self._printed else self._known[oid][0]
            self._known[oid] = (stored, found)
        return found


_NEVER = (None, None)


def _row_of(last: Partition) -> tuple[Any, ...]:
    name = last.name
    return (True, name.schema, name.name, last.kind, last.detach_pending, last.comment, last.rows, last.pages)


class _Reflection:
    def __init__(
        self,
        parents: Iterable[ParentRow],
        rows: Iterable[PartitionRow],
        bounds: Bounds,
        declared: Mapping[QualifiedName, DeclaredTable],
        detaching: Mapping[QualifiedName, int],
    ) -> None:
        self.declared, self.bounds, self.detaching = declared, bounds, detaching
        self.parents: dict[int, ParentRow] = {}
        self.roots: list[ParentRow] = []
        self.detached: dict[QualifiedName, list[DetachedTable]] = defaultdict(list)
        self.owners: dict[int, str] = {}
        self.children: dict[int, list[PartitionRow]] = defaultdict(list)
        for parent in parents:
            if parent.depth < 0:
                self._note_detached(parent)
                continue
            self.parents[parent.oid] = parent
            if parent.depth == 0:
                self.roots.append(parent)
        for row in rows:
            self.children[row[0]].append(row)

    def _note_detached(self, row: ParentRow) -> None:
        mark = mark_of(row.comment)
        if mark is not None:
            name = QualifiedName(row.schema, row.name)
            said = (unmarked(row.comment), mark.at, mark.bound, mark.foreign, mark.asked)
            table = DetachedTable(name, row.oid, mark.parent, *said)
            self.detached[mark.parent].append(table)
            (by_superuser,) = row.may
            if not by_superuser:
                self.owners[row.oid] = row.owner

    def _detached_by_us(self, parent: QualifiedName, row: ParentRow) -> Iterator[DetachedTable]:
        """
        Everybody can write a mark on a table of his own, whose types and casts would then be at work with our rights.
        """
        trusted = (row.owner, row.role)
        return (each for each in self.detached.get(parent, ()) if self.owners.get(each.oid, row.role) in trusted)

    def tables(self) -> dict[QualifiedName, FoundTable]:
        found = (self._table(row) for row in self.roots)
        return {table.name: table for table in found}

    def _table(self, row: ParentRow) -> FoundTable:
        name = QualifiedName(row.schema, row.name)
        declared = self.declared.get(name)
        hints = [] if declared is None else [level.key for level in declared.levels()]
        key = self._key(row, hints)
        partitions = self._partitions(row.oid, key, hints[1:])
        is_owner, may_create, referenced, is_same, may_set_role, super_owner = row.may
        return FoundTable(
            name,
            row.oid,
            _STRATEGIES.get(row.strategy or ""),
            key,
            partitions,
            tuple(each for parent in self._names(name, partitions) for each in self._detached_by_us(parent, row)),
            referenced,
            Privileges(is_owner, may_create, row.owner, row.role, is_same, may_set_role, super_owner),
        )

    def _names(self, name: QualifiedName, partitions: Iterable[Partition]) -> Iterator[QualifiedName]:
        """What a detached table may have been detached from."""
        if self.detached:
            yield name
            yield from (each.name for top in partitions for each in top.walk() if each.strategy)

    def _partitions(
        self, parent: int, key: PartitionKey | None, hints: Sequence[PartitionKey]
    ) -> tuple[Partition, ...]:
        if key is None:
            return ()
        made = self._each(self.children.pop(parent, []), key.types, hints)
        return tuple(made)

    def _each(
        self, rows: Iterable[PartitionRow], types: tuple[KeyType, ...], hints: Sequence[PartitionKey]
    ) -> Iterator[Partition]:
        for row in rows:
            oid = row[1]
            bound = self.bounds.of(oid, types)
            if bound is None:
                continue
            found = self.bounds.partition(row, bound, types)
            if found.kind == "p":
                parent = self.parents.get(oid)
                key = None if parent is None else self._key(parent, hints)
                strategy = None if parent is None else _STRATEGIES.get(parent.strategy or "")
                found = replace(found, strategy=strategy, key=key, partitions=self._partitions(oid, key, hints[1:]))
            if found.detach_pending:
                found = replace(found, detached_by=self.detaching.get(found.name))
            yield found

    @staticmethod
    def _key(row: ParentRow, hints: Sequence[PartitionKey]) -> PartitionKey | None:
        if row.columns is None:
            return None
        hint = hints[0].parts if hints and len(hints[0].parts) == len(row.columns) else ()
        parts = []
        for place, (column, sql, is_enum) in enumerate(zip(row.columns, row.types, row.enums, strict=True)):
            if column is not None:
                parts.append(KeyPart(column, None, KeyType.of(sql, is_enum=bool(is_enum))))
            else:
                known = hint[place].type if hint else KeyType.of("text")
                parts.append(KeyPart(None, row.expression or "", known))
        return PartitionKey(tuple(parts))


# pg_constraint has no index for the table that a foreign key refers to. Its triggers tell, and where a partitioned
# table has none of those yet, what depends on the table, which is more.
_BY_TRIGGERS = "SELECT t.tgconstraint FROM pg_catalog.pg_trigger t WHERE t.tgrelid = {0} AND t.tgconstrrelid <> 0"
_BY_DEPENDENCIES = """
SELECT d.objid FROM pg_catalog.pg_depend d WHERE d.refclassid = CAST('pg_catalog.pg_class' AS regclass)
    AND d.refobjid = {0} AND d.classid = CAST('pg_catalog.pg_constraint' AS regclass)
"""


def constraints_on(oid: str, server: ServerFeatures) -> str:
    """A query for the oids of constraints among which are all foreign keys that refer to the table *oid*."""
    return (_BY_TRIGGERS if server.has_triggers_of_foreign_keys else _BY_DEPENDENCIES).format(oid)


# Every table of a run and whatever below it is partitioned itself, each with its key; then the tables detached by us,
# but for those that somebody made children of a table of his own since.
# Partitions that are partitioned are few, so the recursion begins at them: no leaf is found at.
_PARENTS = """
WITH RECURSIVE wanted AS (
    SELECT n.oid AS namespace, u.name
    FROM unnest(CAST(:schemas AS text[]), CAST(:names AS text[])) AS u(schema, name)
    JOIN pg_catalog.pg_namespace n ON n.nspname = u.schema
), edge AS MATERIALIZED (
    SELECT i.inhparent, i.inhrelid
    FROM pg_catalog.pg_partitioned_table p JOIN pg_catalog.pg_inherits i ON i.inhrelid = p.partrelid
), tree AS (
    SELECT c.oid, 0 AS depth
    FROM wanted w JOIN pg_catalog.pg_class c ON c.relnamespace = w.namespace AND c.relname = w.name
    WHERE c.relkind IN ('r', 'p')
  UNION ALL
    SELECT e.inhrelid, t.depth + 1
    FROM tree t
    JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = t.oid
    JOIN edge e ON e.inhparent = t.oid
    WHERE CAST(:ranges AS boolean) OR p.partstrat <> 'r' OR e.inhrelid = p.partdefid
)
SELECT t.oid, t.depth, n.nspname, c.relname, CAST(p.partstrat AS text), k.columns, k.types, k.enums,
    CASE WHEN k.columns IS NOT NULL AND p.partexprs IS NOT NULL
        THEN pg_catalog.pg_get_expr(p.partexprs, p.partrelid) END,
    NULL,
    CASE WHEN t.depth = 0 THEN ARRAY[
        pg_catalog.pg_has_role(c.relowner, 'USAGE'),
        pg_catalog.has_schema_privilege(c.relowner, c.relnamespace, 'CREATE'),
        EXISTS (SELECT FROM ({constraints} OFFSET 0) k(oid) JOIN pg_catalog.pg_constraint f ON f.oid = k.oid
                WHERE f.confrelid = c.oid AND f.contype = 'f' AND f.conparentid = 0),
        pg_catalog.pg_get_userbyid(c.relowner) = current_user,
        pg_catalog.pg_has_role(c.relowner, '{set_role}'),
        EXISTS (SELECT FROM pg_catalog.pg_roles s WHERE s.oid = c.relowner AND s.rolsuper)
    ] END,
    CASE WHEN t.depth = 0 THEN CAST(pg_catalog.pg_get_userbyid(c.relowner) AS text) END,
    CASE WHEN t.depth = 0 THEN CAST(current_user AS text) END
FROM tree t
JOIN pg_catalog.pg_class c ON c.oid = t.oid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = t.oid
LEFT JOIN LATERAL (
    SELECT array_agg(CAST(a.attname AS text) ORDER BY u.place) AS columns,
        array_agg(pg_catalog.format_type(coalesce(nullif(y.typbasetype, 0), a.atttypid), a.atttypmod)
                  ORDER BY u.place) AS types,
        array_agg(y.typtype = 'e' ORDER BY u.place) AS enums
    FROM unnest(CAST(p.partattrs AS int2[])) WITH ORDINALITY AS u(attnum, place)
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = u.attnum AND a.attnum > 0
    LEFT JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
) k ON p.partrelid IS NOT NULL
UNION ALL
SELECT c.oid, -1, n.nspname, c.relname, NULL, NULL, NULL, NULL, NULL, d.description,
    ARRAY[o.rolsuper], CAST(o.rolname AS text), NULL
FROM pg_catalog.pg_description d
JOIN pg_catalog.pg_class c ON c.oid = d.objoid AND NOT c.relispartition
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_roles o ON o.oid = c.relowner
WHERE d.classoid = CAST('pg_catalog.pg_class' AS regclass) AND d.objsubid = 0
    AND d.description LIKE 'sa_partman: detached from %'
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid)
ORDER BY 2, 1
"""


@cache
def parents_query(server: ServerFeatures) -> TextClause:
    """The tables of a run and what is below them, see above."""
    query = _PARENTS.replace("{constraints}", constraints_on("c.oid", server))
    return text(query.replace("{set_role}", "SET" if server.has_set_option else "MEMBER"))


# The one bulk query: the partitions of all these parents. Printing a bound is most of the cost; a hash of what is
# stored tells whether it was read before. No order: the server would sort what is stored of every bound, on disk.
PARTITIONS = text("""
SELECT i.inhparent, c.oid, n.nspname, c.relname, CAST(c.relkind AS text), i.inhdetachpending, d.description,
    c.reltuples, c.relpages, pg_catalog.hashtextextended(CAST(c.relpartbound AS text) COLLATE "C", 0)
FROM pg_catalog.pg_inherits i
JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = i.inhparent
LEFT JOIN pg_catalog.pg_description d
    ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = CAST('pg_catalog.pg_class' AS regclass)
WHERE i.inhparent = ANY (CAST(:parents AS oid[]))
    AND (CAST(:ranges AS boolean) OR p.partstrat <> 'r' OR i.inhrelid = p.partdefid)
""")

# The bounds that were not read before, printed. A bound has no columns, so the relation whose columns they would be is
# not named: the server would lock it, which takes four times as long and waits behind an ACCESS EXCLUSIVE lock.
PRINTED = text("""
SELECT c.oid, pg_catalog.pg_get_expr(c.relpartbound, 0),
    pg_catalog.hashtextextended(CAST(c.relpartbound AS text) COLLATE "C", 0)
FROM pg_catalog.pg_class c WHERE c.oid = ANY (CAST(:oids AS oid[])) AND c.relpartbound IS NOT NULL
""")

# What the partitions that a step just made look like to the server.
BOUNDS = text("""
SELECT n.nspname, c.relname, pg_catalog.pg_get_expr(c.relpartbound, c.oid),
    CAST(pg_catalog.pg_get_userbyid(c.relowner) AS text)
FROM unnest(CAST(:schemas AS text[]), CAST(:names AS text[])) AS u(schema, name)
JOIN pg_catalog.pg_namespace n ON n.nspname = u.schema
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = u.name
""")

# What bears a name already: relations and types share it with tables.
NAME_HELD_BY = text("""
SELECT CASE c.relkind WHEN 'r' THEN 'a table' WHEN 'p' THEN 'a partitioned table' WHEN 'v' THEN 'a view'
    WHEN 'm' THEN 'a materialized view' WHEN 'S' THEN 'a sequence' WHEN 'i' THEN 'an index'
    WHEN 'I' THEN 'a partitioned index' WHEN 'f' THEN 'a foreign table' WHEN 'c' THEN 'a composite type'
    ELSE 'a relation' END || CASE WHEN c.relispartition THEN ', a partition of '
    || (SELECT CAST(CAST(inhparent AS regclass) AS text) FROM pg_catalog.pg_inherits WHERE inhrelid = c.oid)
    ELSE '' END
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = :schema AND c.relname = :name
UNION ALL
SELECT 'a type' FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE n.nspname = :schema AND t.typname = :name AND t.typrelid = 0
LIMIT 1
""")


LIMIT = 100_000
"""Partitions remembered for one engine; beyond it all are forgotten, and memory stays bounded."""

_PRINTED_ALIKE = frozenset(Family) - {Family.ENUM, Family.OTHER}
"""What is stored of an enum's value is its oid, and its label may be renamed."""

Known = dict[int, tuple[int, Partition]]
"""By the partition's oid: the hash of its bound, and what it was when it was read last, without what is below it."""

_known: WeakKeyDictionary[Dialect, Known] = WeakKeyDictionary()


def known_to(connection: Connection) -> Known:
    """What was read through the engine of *connection*, whose dialect is its own."""
    known = _known.setdefault(connection.dialect, {})
    if len(known) > LIMIT:
        known.clear()
    return known


def may_be_known(types: tuple[KeyType, ...]) -> bool:
    """Whether what is stored of bounds of *types* always means the same."""
    return all(type.family in _PRINTED_ALIKE for type in types)
