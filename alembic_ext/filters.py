"""
What autogenerate may see: names are judged before anything is reflected, by the catalog and never by their look.

The one exception are the two audit tables, whose names are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from alembic_ext.compare.catalog import Catalog, Key
from sa_partman.postgres.audit import TABLES


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
            return key in self.mapped or (key in self.catalog.seen and name not in TABLES)
        if kind == "foreign_key_constraint":
            return not self.catalog.is_ghost(schema, parents.get("table_name") or "", name)
        return True
