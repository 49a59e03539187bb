"""
Statements that belong to no plan: an index over a partition tree, which is built in parts for as long as it takes.
Nothing is doubled for a driver.
"""

from __future__ import annotations

from dataclasses import dataclass

from sa_partman.names import QualifiedName, quote


@dataclass(frozen=True, slots=True)
class IndexParts:
    """
    What CREATE INDEX says of an index, wherever in a tree it is.

    Args:
        tail: What stands behind the table's name.
    """

    unique: bool
    tail: str

    def on_only(self, name: QualifiedName, table: QualifiedName) -> str:
        """The index of a partitioned table, without those of its partitions: invalid until all are attached."""
        return f"{self._head} {quote(name.name)} ON ONLY {table.quoted} {self.tail}"

    def on_tree(self, name: QualifiedName, table: QualifiedName) -> str:
        """The index of a partitioned table, which takes over those that its partitions have."""
        return f"{self._head} {quote(name.name)} ON {table.quoted} {self.tail}"

    def concurrently(self, name: QualifiedName, leaf: QualifiedName) -> str:
        return f"{self._head} CONCURRENTLY {quote(name.name)} ON {leaf.quoted} {self.tail}"

    @property
    def _head(self) -> str:
        return f"CREATE {'UNIQUE ' * self.unique}INDEX"


def attach_index(index: QualifiedName, part: QualifiedName) -> str:
    return f"ALTER INDEX {index.quoted} ATTACH PARTITION {part.quoted}"


def drop_index(quoted: str, *, concurrently: bool = False) -> str:
    return f"DROP INDEX {'CONCURRENTLY ' * concurrently}{quoted}"
