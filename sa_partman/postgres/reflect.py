"""The catalog, read in one query and turned into values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row

from sa_partman.bounds.text import parse_bound
from sa_partman.catalog import DetachedTable, FoundTable, Partition, Privileges
from sa_partman.key import KeyPart, KeyType, PartitionKey
from sa_partman.marks import parent_of, unmarked
from sa_partman.names import QualifiedName
from sa_partman.postgres.queries import TREES
from sa_partman.spec.declared import DeclaredTable

_STRATEGIES = {"r": "RANGE", "l": "LIST", "h": "HASH"}


def reflect(connection: Connection, tables: Iterable[DeclaredTable]) -> dict[QualifiedName, FoundTable]:
    """
    The tables that exist, partitioned or plain, with all their partitions.

    Args:
        tables: Their names carry a schema; their keys tell the types of expressions, which the catalog does not.

    Raises:
        CatalogError: A bound can't be read.
    """
    wanted = tuple(tables)
    names = [table.name for table in wanted]
    parameters = {"schemas": [name.schema for name in names], "names": [name.name for name in names]}
    rows = connection.execute(TREES, parameters).all()
    return _Builder(rows, {table.name: table for table in wanted}).tables()


class _Builder:
    def __init__(self, rows: Sequence[Row[Any]], declared: Mapping[QualifiedName, DeclaredTable]) -> None:
        self.children: dict[int, list[Row[Any]]] = defaultdict(list)
        self.roots: list[Row[Any]] = []
        self.detached: dict[QualifiedName, list[DetachedTable]] = defaultdict(list)
        self.declared = declared
        for row in rows:
            if row[3] > 0:
                self.children[row[1]].append(row)
            elif row[3] == 0:
                self.roots.append(row)
            else:
                self._note_detached(row)

    def _note_detached(self, row: Row[Any]) -> None:
        parent = parent_of(row[16])
        if parent is not None:
            table = DetachedTable(QualifiedName(row[5], row[6]), row[0], parent, unmarked(row[16]))
            self.detached[parent].append(table)

    def tables(self) -> dict[QualifiedName, FoundTable]:
        found = (self._table(row) for row in self.roots)
        return {table.name: table for table in found}

    def _table(self, row: Row[Any]) -> FoundTable:
        name = QualifiedName(row[5], row[6])
        declared = self.declared.get(name)
        hints = [] if declared is None else [level.key for level in declared.levels()]
        key = self._key(row, hints)
        partitions = self._partitions(row[0], key, hints[1:])
        is_owner, may_create, referenced = row[17]
        parents = [name, *(each.name for top in partitions for each in top.walk() if each.strategy)]
        return FoundTable(
            name,
            row[0],
            _STRATEGIES.get(row[11]),
            key,
            partitions,
            tuple(table for parent in parents for table in self.detached.get(parent, ())),
            referenced,
            Privileges(is_owner, may_create, row[18]),
        )

    def _partitions(
        self, parent: int, key: PartitionKey | None, hints: Sequence[PartitionKey]
    ) -> tuple[Partition, ...]:
        if key is None:
            return ()
        types = key.types
        return tuple(self._partition(row, types, hints) for row in self.children.get(parent, ()))

    def _partition(self, row: Row[Any], types: tuple[KeyType, ...], hints: Sequence[PartitionKey]) -> Partition:
        key = self._key(row, hints) if row[11] is not None else None
        return Partition(
            QualifiedName(row[5], row[6]),
            row[0],
            parse_bound(row[8], types),
            row[7],
            row[2],
            row[16],
            row[9],
            row[10],
            _STRATEGIES.get(row[11]),
            key,
            self._partitions(row[0], key, hints[1:]) if key is not None else (),
        )

    @staticmethod
    def _key(row: Row[Any], hints: Sequence[PartitionKey]) -> PartitionKey | None:
        if row[12] is None:
            return None
        hint = hints[0].parts if hints and len(hints[0].parts) == len(row[12]) else ()
        parts = []
        for place, (column, sql, is_enum) in enumerate(zip(row[12], row[13], row[14], strict=True)):
            if column is not None:
                parts.append(KeyPart(column, None, KeyType.of(sql, is_enum=bool(is_enum))))
            else:
                known = hint[place].type if hint else KeyType.of("text")
                parts.append(KeyPart(None, row[15] or "", known))
        return PartitionKey(tuple(parts))
