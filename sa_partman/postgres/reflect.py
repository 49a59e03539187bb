"""The catalog, read in one query and turned into values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from sa_partman.bounds.text import parse_bound
from sa_partman.catalog import DetachedTable, FoundTable, Partition, Privileges
from sa_partman.key import KeyPart, KeyType, PartitionKey
from sa_partman.marks import parent_of, unmarked
from sa_partman.names import QualifiedName
from sa_partman.postgres.queries import TREES
from sa_partman.spec.declared import DeclaredTable


class TreeRow(NamedTuple):
    """A row of `TREES`; depth is 0 for a declared table and -1 for a detached one."""

    oid: int
    parent: int
    pending: bool
    depth: int
    root: int
    schema: str
    name: str
    kind: str
    bound: str
    rows: float
    pages: int
    strategy: str | None
    columns: list[str | None] | None
    types: list[str]
    enums: list[bool | None]
    expression: str | None
    comment: str | None
    may: list[bool]
    owner: str


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
    wanted = tuple(tables)
    names = [table.name for table in wanted]
    parameters = {"schemas": [name.schema for name in names], "names": [name.name for name in names], "ranges": ranges}
    rows = [TreeRow._make(row) for row in connection.execute(TREES, parameters)]
    return _Builder(rows, {table.name: table for table in wanted}).tables()


class _Builder:
    def __init__(self, rows: Sequence[TreeRow], declared: Mapping[QualifiedName, DeclaredTable]) -> None:
        self.children: dict[int, list[TreeRow]] = defaultdict(list)
        self.roots: list[TreeRow] = []
        self.detached: dict[QualifiedName, list[DetachedTable]] = defaultdict(list)
        self.declared = declared
        for row in rows:
            if row.depth > 0:
                self.children[row.parent].append(row)
            elif row.depth == 0:
                self.roots.append(row)
            else:
                self._note_detached(row)

    def _note_detached(self, row: TreeRow) -> None:
        parent = parent_of(row.comment or "")
        if parent is not None:
            table = DetachedTable(QualifiedName(row.schema, row.name), row.oid, parent, unmarked(row.comment))
            self.detached[parent].append(table)

    def tables(self) -> dict[QualifiedName, FoundTable]:
        found = (self._table(row) for row in self.roots)
        return {table.name: table for table in found}

    def _table(self, row: TreeRow) -> FoundTable:
        name = QualifiedName(row.schema, row.name)
        declared = self.declared.get(name)
        hints = [] if declared is None else [level.key for level in declared.levels()]
        key = self._key(row, hints)
        partitions = self._partitions(row.oid, key, hints[1:])
        is_owner, may_create, referenced = row.may
        parents = [name, *(each.name for top in partitions for each in top.walk() if each.strategy)]
        return FoundTable(
            name,
            row.oid,
            _STRATEGIES.get(row.strategy or ""),
            key,
            partitions,
            tuple(table for parent in parents for table in self.detached.get(parent, ())),
            referenced,
            Privileges(is_owner, may_create, row.owner),
        )

    def _partitions(
        self, parent: int, key: PartitionKey | None, hints: Sequence[PartitionKey]
    ) -> tuple[Partition, ...]:
        if key is None:
            return ()
        types = key.types
        return tuple(self._partition(row, types, hints) for row in self.children.get(parent, ()))

    def _partition(self, row: TreeRow, types: tuple[KeyType, ...], hints: Sequence[PartitionKey]) -> Partition:
        key = self._key(row, hints) if row.strategy is not None else None
        return Partition(
            QualifiedName(row.schema, row.name),
            row.oid,
            parse_bound(row.bound, types),
            row.kind,
            row.pending,
            row.comment,
            row.rows,
            row.pages,
            _STRATEGIES.get(row.strategy or ""),
            key,
            self._partitions(row.oid, key, hints[1:]) if key is not None else (),
        )

    @staticmethod
    def _key(row: TreeRow, hints: Sequence[PartitionKey]) -> PartitionKey | None:
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
