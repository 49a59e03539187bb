"""
What autogenerate may see: names are judged before anything is reflected, by the catalog and never by their look.

The exceptions are tables of ours, whose names are ours, and those of a conversion in progress, which its state names.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ForeignKeyConstraint, Table

from alembic_ext.compare.catalog import Catalog, Key, referred_table
from sa_partman.postgres.audit import TABLES
from sa_partman.postgres.conversion.state import SCHEMA


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
