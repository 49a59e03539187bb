"""
What autogenerate must know beforehand, and what it may see.

Names are judged before anything is reflected, by the catalog and never by their look. The exceptions are tables of
ours, whose names are ours, and those of a conversion in progress, which its state names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, ForeignKeyConstraint, Table

from alembic_ext.session import lock_timeout
from sa_partman.catalog import FoundTable, Parent, Partition, UnfinishedConversion
from sa_partman.names import QualifiedName
from sa_partman.postgres import journal
from sa_partman.postgres.audit import TABLES
from sa_partman.postgres.conversion.whereabouts import unfinished
from sa_partman.postgres.journal import SCHEMA
from sa_partman.postgres.migrations import listed_relations, real_keys_of, schemas_of
from sa_partman.postgres.reflect import reflect
from sa_partman.postgres.relations import oid_of, relation_of
from sa_partman.postgres.session import pinned
from sa_partman.spec.declared import DeclaredTable, HashLevel
from sa_partman.spec.hash_spec import HashSpec

Key = tuple[str | None, str]
"""A table as Alembic calls it: the schema is None for what the search path finds."""

_INHERITS = 44
"""Bytes of a row of pg_inherits."""


_ACTIONS = {"r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
_MATCHES = {"f": "FULL", "p": "PARTIAL"}


@dataclass(frozen=True, slots=True)
class RealKey:
    """
    A foreign key that stands for itself; a ghost stands for another one, of the partitioned table that it refers to, or
    of a partition of it.

    Args:
        row: What the query says of it.
    """

    row: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.row["name"])

    def reflected(self, schema: str | None, default_schema: str | None, *, ignore_search_path: bool) -> dict[str, Any]:
        """
        As ``Inspector.get_foreign_keys()`` says it.

        Args:
            schema: Of the table, as it was asked for.
            ignore_search_path: SQLAlchemy's ``postgresql_ignore_search_path``.
        """
        row = self.row
        return {
            "name": row["name"],
            "constrained_columns": list(row["columns"]),
            "referred_schema": self._referred_schema(schema, default_schema, ignore_search_path=ignore_search_path),
            "referred_table": row["table"],
            "referred_columns": list(row["referred"]),
            "options": self._options(),
            "comment": row["comment"],
        }

    def _referred_schema(
        self, schema: str | None, default_schema: str | None, *, ignore_search_path: bool
    ) -> str | None:
        real: str = self.row["schema"]
        if ignore_search_path:
            return schema if real == default_schema else real
        if not self.row["visible"]:
            return real
        return schema if schema == real else None

    def _options(self) -> dict[str, Any]:
        row = self.row
        deleting = _ACTIONS.get(row["ondelete"])
        # SET NULL and SET DEFAULT may name columns; only the definition tells which.
        _, found, named = str(row["definition"]).rpartition(f" ON DELETE {deleting} (")
        if deleting in ("SET NULL", "SET DEFAULT") and found:
            deleting = f"{deleting} ({named.partition(')')[0]})"
        options = {
            "onupdate": _ACTIONS.get(row["onupdate"]),
            "ondelete": deleting,
            "initially": "DEFERRED" if row["deferred"] else None,
            "deferrable": row["deferrable"] or None,
            "match": _MATCHES.get(row["match"]),
        }
        return {key: value for key, value in options.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Catalog:
    """
    What autogenerate may see: neither partitions nor tables that we detached, unless the user has mapped them himself.

    Args:
        seen: Tables and views of every kind.
        tables: Those among them that SQLAlchemy lists as tables, by their schema.
        foreign: Foreign tables, by their schema.
        plain: Those among them all that nothing is said of behind their columns: no storage parameters, no tablespace,
            no access method, no parents.
        most_partitions: No more than so many are there, told by the size of pg_inherits.
        mapped_partitions: Partitions that the user has mapped, with their oids.
        partitioned: Partitioned tables that are no partitions, each with what stands behind PARTITION BY.
        real_keys: The foreign keys of tables that also have ghosts: such that stand for another one.
        converting: Tables with a conversion in progress.
        helpers: What these conversions build beside them.
    """

    seen: frozenset[Key]
    tables: dict[str | None, tuple[str, ...]]
    foreign: dict[str | None, tuple[str, ...]]
    plain: frozenset[Key]
    most_partitions: int
    mapped_partitions: dict[Key, int]
    partitioned: dict[Key, str]
    real_keys: dict[Key, tuple[RealKey, ...]]
    converting: dict[Key, UnfinishedConversion]
    helpers: frozenset[Key]

    def is_ghost(self, schema: str | None, table: str, name: object) -> bool:
        known = self.real_keys.get((schema, table))
        return known is not None and all(each.name != name for each in known)


def read_catalog(connection: Connection, mapped: Set[Key]) -> Catalog:
    """
    Args:
        mapped: The tables of the metadata.
    """
    names = sorted({str(name) for _, name in mapped})
    converting = unfinished(connection, journal.running(connection))
    called = [(name, each) for each in converting for name in (each.table, each.now) if name is not None]
    tables = {(name.schema, name.name): each for name, each in called}
    beside = (name for each in converting for name in (each.helper, *each.beside))
    helpers = {(name.schema, name.name) for name in beside}
    rows = listed_relations(connection, names)
    all_keys = [(key, row) for row in rows for key in _keys(row.schema, row.name, row.visible)]
    seen = {key: row for key, row in all_keys if key in mapped or not (row.detached or row.partition is not None)}
    permanent = {key: row for key, row in seen.items() if not row.temporary and row.kind in ("r", "p", "f")}
    partitions = [row.partition for row in rows if row.partition is not None]
    return Catalog(
        seen=frozenset(seen),
        tables=_by_schema(key for key, row in permanent.items() if row.kind != "f"),
        foreign=_by_schema(key for key, row in permanent.items() if row.kind == "f"),
        plain=frozenset(key for key, row in permanent.items() if row.plain),
        most_partitions=rows[0].inherits // _INHERITS if rows else 0,
        mapped_partitions={key: row.partition for key, row in seen.items() if row.partition is not None},
        partitioned={key: row.partition_by for key, row in all_keys if row.partition_by is not None},
        real_keys={
            key: tuple(map(RealKey, keys))
            for schema, name, visible, keys in real_keys_of(connection, partitions)
            for key in _keys(schema, name, visible)
        },
        converting={key: tables[row.schema, row.name] for key, row in all_keys if (row.schema, row.name) in tables},
        helpers=frozenset(key for key, row in all_keys if (row.schema, row.name) in helpers),
    )


def _by_schema(keys: Iterable[Key]) -> dict[str | None, tuple[str, ...]]:
    found: dict[str | None, list[str]] = {}
    for schema, name in keys:
        found.setdefault(schema, []).append(name)
    return {schema: tuple(names) for schema, names in found.items()}


def referred_table(key: ForeignKeyConstraint) -> Key:
    """The table that *key* refers to, by its text: what was reflected may refer to a table that was never read."""
    table, _, _ = key.elements[0].target_fullname.rpartition(".")
    schema, dot, name = table.rpartition(".")
    return (schema if dot else None, name)


def _keys(schema: str, name: str, visible: bool) -> tuple[Key, ...]:
    """With include_schemas a table of the search path is called by its schema and also without."""
    return ((schema, name), (None, name)) if visible else ((schema, name),)


@dataclass(frozen=True, slots=True)
class NameFilter:
    """
    Alembic's name filter: False hides.

    Args:
        mapped: Tables that the user has mapped himself; a partition among them stays visible.
    """

    catalog: Catalog
    mapped: Set[Key]

    def __call__(self, name: str | None, kind: str, parents: Mapping[str, Any]) -> bool:
        schema = parents.get("schema_name")
        if kind == "table":
            key = (schema, name or "")
            return key in self.mapped or (key in self.catalog.seen and not self.is_ours(key))
        if kind == "foreign_key_constraint":
            return not self.catalog.is_ghost(schema, parents.get("table_name") or "", name)
        return True

    def is_ours(self, key: Key) -> bool:
        """What we keep there ourselves, and what a conversion in progress builds."""
        schema, name = key
        return schema == SCHEMA or name in TABLES or key in self.catalog.helpers


@dataclass(frozen=True, slots=True)
class ObjectFilter:
    """Alembic's object filter: False hides a table with a conversion in progress, and the foreign keys to it."""

    catalog: Catalog

    def __call__(self, item: Any, name: str | None, kind: str, reflected: bool, compared: Any) -> bool:
        if isinstance(item, Table):
            return (item.schema, item.name) not in self.catalog.converting
        if isinstance(item, ForeignKeyConstraint) and item.elements:
            return referred_table(item) not in self.catalog.converting
        return True


Pair = tuple[Table, DeclaredTable]


def found_tables(connection: Connection, pairs: Sequence[Pair]) -> list[tuple[Table, DeclaredTable, FoundTable]]:
    """Those of *pairs* that exist, in order. Of range partitions only the default ones are read: others are policy."""
    if not pairs:
        return []
    schemas = schemas_of(connection, [declared.name for _, declared in pairs])
    there = [
        (table, declared.renamed(QualifiedName(schemas[place], declared.name.name)))
        for place, (table, declared) in enumerate(pairs)
        if place in schemas
    ]
    if not there:
        return []
    with pinned(connection, lock_timeout(connection)):
        found = reflect(connection, [declared for _, declared in there], ranges=False)
    return [(table, declared, found[declared.name]) for table, declared in there if declared.name in found]


def partitions_of(
    connection: Connection, schema: str | None, name: str
) -> tuple[FoundTable, Iterator[tuple[Parent, Partition]]]:
    """A partitioned table that nothing declares, and each of its partitions behind its parent."""
    oid = oid_of(connection, QualifiedName(schema, name))
    assert oid is not None
    with pinned(connection, lock_timeout(connection)):
        relation = relation_of(connection, oid)
        assert relation.key is not None
        # The key is what reading the bounds needs; the strategy is the catalog's.
        known = DeclaredTable(relation.name, HashLevel(0, relation.key, None, HashSpec("unused", modulus=1)))
        found = reflect(connection, [known])[relation.name]
    return found, _pairs(found)


def _pairs(parent: Parent) -> Iterator[tuple[Parent, Partition]]:
    for partition in parent.partitions:
        yield parent, partition
        yield from _pairs(partition)
