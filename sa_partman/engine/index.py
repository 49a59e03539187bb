"""
Indexes on partition trees, built without blocking writers: PostgreSQL has no CONCURRENTLY for a partitioned table.

The index is made ON ONLY the partitioned table, each leaf gets its own concurrently, and each is attached. What an
interrupted build left is found and used, or dropped when it is invalid.

Where a partition is a foreign table, PostgreSQL counts it and waits for its part for ever. There the leaves get theirs
first, and a plain CREATE INDEX, which looks at no foreign table, takes them over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from sa_partman.ddl.unplanned import IndexParts, attach_index, drop_index
from sa_partman.engine.outside import Outside
from sa_partman.errors import CatalogError, ExecutionError
from sa_partman.names import QualifiedName, join_name

_PARENT = text("""
SELECT i.oid AS index_oid, t.oid AS table_oid, x.indisunique AS unique, x.indisvalid AS valid,
    pg_get_indexdef(i.oid) AS definition, format('%I.%I', n.nspname, t.relname) AS table_printed
FROM pg_class i JOIN pg_index x ON x.indexrelid = i.oid
JOIN pg_class t ON t.oid = x.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE i.oid = to_regclass(:name)
""")

_CHILDREN = text("""
SELECT n.nspname AS schema, c.relname AS name, c.oid, CAST(c.relkind AS text) AS kind,
    a.oid AS attached, a.nspname AS index_schema, a.relname AS index_name
FROM pg_inherits p JOIN pg_class c ON c.oid = p.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
    SELECT i.oid, m.nspname, i.relname FROM pg_inherits h JOIN pg_index x ON x.indexrelid = h.inhrelid
    JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_namespace m ON m.oid = i.relnamespace
    WHERE h.inhparent = CAST(:index AS oid) AND x.indrelid = c.oid
) a ON true
WHERE p.inhparent = CAST(:table AS oid) AND c.relkind IN ('r', 'p') AND NOT p.inhdetachpending
ORDER BY n.nspname, c.relname
""")

_TREE = text("""
SELECT n.nspname AS schema, c.relname AS name, c.oid, CAST(c.relkind AS text) AS kind
FROM pg_partition_tree(CAST(CAST(:table AS oid) AS regclass)) p
JOIN pg_class c ON c.oid = p.relid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'f') ORDER BY n.nspname, c.relname
""")

_LEFT = text("SELECT indisvalid, indrelid FROM pg_index WHERE indexrelid = to_regclass(:name)")
_VALID = text("SELECT indisvalid FROM pg_index WHERE indexrelid = CAST(:oid AS oid)")


_OID = text("SELECT CAST(to_regclass(:name) AS oid)")

_ROUNDS = 3
"""Partitions that come while an index is built are looked for again so often."""


@dataclass(frozen=True, slots=True)
class WantedIndex:
    """
    An index over a partition tree, as it is to be.

    Args:
        name: With its schema.
        table: The partitioned table, whose oid is *oid*.
        tail: What stands behind the table's name in CREATE INDEX.
    """

    name: QualifiedName
    table: QualifiedName
    oid: int
    unique: bool
    tail: str

    @property
    def parts(self) -> IndexParts:
        return IndexParts(self.unique, self.tail)


@dataclass(frozen=True, slots=True)
class _Node:
    """An index over one relation of the tree."""

    index: int
    name: QualifiedName
    table: int
    parts: IndexParts


def build_partitioned_index(outside: Outside, wanted: WantedIndex) -> None:
    """
    Builds *wanted* down to every leaf, or goes on with what is there of it.

    Raises:
        CatalogError: The name is taken, or the foreign tables among the partitions allow no such index; nothing was
            changed.
        ExecutionError: A leaf's index could not be built; call it again, and it goes on with what is left.
    """
    row = outside.connection.execute(_PARENT, {"name": wanted.name.quoted}).one_or_none()
    if row is not None and row.table_oid != wanted.oid:
        raise CatalogError(
            f"{wanted.name} exists already and is no index of {wanted.table}; nothing was changed. Rename one of the "
            f"two"
        )
    if row is not None and row.valid:
        return
    tree = outside.connection.execute(_TREE, {"table": wanted.oid}).all()
    foreign = [QualifiedName(each.schema, each.name) for each in tree if each.kind == "f"]
    if foreign:
        _require_possible(wanted, foreign[0], begun=row is not None)
        for each in tree:
            if each.kind == "r":
                leaf = QualifiedName(each.schema, each.name)
                name = leaf.sibling(join_name(each.name, wanted.name.name))
                _build(outside, wanted.parts, leaf, name, each.oid, leaf=True)
        _plainly(outside, wanted)
        return
    if row is not None and not tree:
        # It was begun when there were partitions, and none is left whose part could make it valid.
        outside.patiently(drop_index(wanted.name.quoted), wanted.table)
        row = None
    if row is None:
        outside.patiently(wanted.parts.on_only(wanted.name, wanted.table), wanted.table)
        row = outside.connection.execute(_PARENT, {"name": wanted.name.quoted}).one()
    _finish(outside, wanted, row)


def _require_possible(wanted: WantedIndex, foreign: QualifiedName, *, begun: bool) -> None:
    """
    Raises:
        CatalogError: PostgreSQL has no such index where a partition is a foreign table.
    """
    if wanted.unique:
        raise CatalogError(
            f"{wanted.name} is unique, and {foreign} is a foreign table: PostgreSQL has no unique index over both; "
            f"nothing was changed. Create it on each of the other partitions, or detach {foreign}"
        )
    if begun:
        raise CatalogError(
            f"{wanted.name} was begun ON ONLY {wanted.table}, and PostgreSQL waits for a part of {foreign}, which is a "
            f"foreign table, for ever; nothing was changed. DROP INDEX {wanted.name.quoted}, and run this again: it is "
            f"built in another way then"
        )


def _plainly(outside: Outside, wanted: WantedIndex) -> None:
    """CREATE INDEX on all of it: every leaf has its part, so nothing is read, and the lock is held for an instant."""
    outside.patiently(wanted.parts.on_tree(wanted.name, wanted.table), wanted.table)


def _finish(outside: Outside, wanted: WantedIndex, row: Any) -> None:
    _, found, tail = row.definition.partition(f" ON ONLY {row.table_printed} ")
    assert found, row.definition
    node = _Node(row.index_oid, wanted.name, row.table_oid, IndexParts(row.unique, tail))
    for _ in range(_ROUNDS):
        _complete(outside, node)
        if outside.connection.execute(_VALID, {"oid": row.index_oid}).scalar_one():
            return
    raise ExecutionError(
        f"{wanted.name} is still invalid: partitions were created meanwhile, or a partition that is itself partitioned "
        f"has none. Create one there first (sa-partman run), then run this again: it goes on."
    )


def _complete(outside: Outside, node: _Node) -> None:
    part: QualifiedName | None = None
    for child in outside.connection.execute(_CHILDREN, {"index": node.index, "table": node.table}).all():
        if child.attached is not None:
            part = QualifiedName(child.index_schema, child.index_name)
            if child.kind == "p":
                _complete(outside, _below(node, child.attached, part, child.oid))
            continue
        table = QualifiedName(child.schema, child.name)
        name = table.sibling(join_name(child.name, node.name.name))
        _build(outside, node.parts, table, name, child.oid, leaf=child.kind == "r")
        if child.kind == "p":
            oid = outside.connection.execute(_OID, {"name": name.quoted}).scalar_one()
            _complete(outside, _below(node, oid, name, child.oid))
        _attach(outside, node, name)
    if part is not None and not outside.connection.execute(_VALID, {"oid": node.index}).scalar_one():
        # The partition that lacked its part is gone. To attach one once more makes PostgreSQL count again.
        _attach(outside, node, part)


def _attach(outside: Outside, node: _Node, part: QualifiedName) -> None:
    outside.patiently(attach_index(node.name, part), node.name)


def _below(node: _Node, index: int, name: QualifiedName, table: int) -> _Node:
    return _Node(index, name, table, node.parts)


def _build(
    outside: Outside,
    parts: IndexParts,
    table: QualifiedName,
    name: QualifiedName,
    oid: int,
    *,
    leaf: bool,
) -> None:
    """The index of one relation, unless an earlier attempt has made it."""
    left = outside.connection.execute(_LEFT, {"name": name.quoted}).one_or_none()
    if left is not None and left.indrelid != oid:
        raise ExecutionError(f"{name}: the name is taken by an index of another table; rename that one")
    if left is not None and leaf and not left.indisvalid:
        drop = drop_index(name.quoted, concurrently=True)
        outside.concurrently(drop, table, f"the end of older transactions, to drop {name}")
        left = None
    if left is not None:
        return
    if leaf:
        outside.concurrently(parts.concurrently(name, table), table, f"the end of older transactions, to build {name}")
    else:
        outside.patiently(parts.on_only(name, table), table)


def drop_partitioned_index(outside: Outside, index: QualifiedName) -> None:
    """
    Drops *index* with those of all partitions. Locks the table and its partitions, ACCESS EXCLUSIVE, for an instant:
    PostgreSQL has no concurrent form.
    """
    outside.patiently(drop_index(index.quoted), index)
