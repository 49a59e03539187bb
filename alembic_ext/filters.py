"""
What autogenerate may see: names are judged before anything is reflected, by the catalog and never by their look.

The one exception are the two audit tables, whose names are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Inspector

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
    mapped: frozenset[Key]

    def __call__(self, name: str | None, kind: str, parents: Mapping[str, Any]) -> bool:
        schema = parents.get("schema_name")
        if kind == "table":
            key = (schema, name or "")
            return key in self.mapped or (key not in self.catalog.hidden and name not in TABLES)
        if kind == "foreign_key_constraint":
            return not self.catalog.is_ghost(schema, parents.get("table_name") or "", name)
        return True


def hide_ghosts(inspector: Inspector, catalog: Catalog) -> None:
    """
    Answers for the tables that have ghost foreign keys, so that nobody reads these.

    The name filter comes too late for a dropped table, whose downgrade would have them all, and for speed: SQLAlchemy
    needs seconds for 4,000.
    """
    if not catalog.real_keys:
        return
    read_many, read_one = inspector.get_multi_foreign_keys, inspector.get_foreign_keys

    def answer(schema: str | None, table: str, keywords: Mapping[str, Any]) -> Any:
        ignoring = bool(keywords.get("postgresql_ignore_search_path"))
        default = inspector.default_schema_name
        return [
            key.reflected(schema, default, ignore_search_path=ignoring) for key in catalog.real_keys[(schema, table)]
        ]

    def get_multi_foreign_keys(
        schema: str | None = None, filter_names: Sequence[str] | None = None, *arguments: Any, **keywords: Any
    ) -> Any:
        if filter_names is None:
            found = read_many(schema, None, *arguments, **keywords)
            ghosts = [key for key in found if key in catalog.real_keys]
            return {**found, **{key: answer(key[0], key[1], keywords) for key in ghosts}}
        haunted = [name for name in filter_names if (schema, name) in catalog.real_keys]
        others = [name for name in filter_names if (schema, name) not in catalog.real_keys]
        found = read_many(schema, others, *arguments, **keywords) if others else {}
        return {**found, **{(schema, name): answer(schema, name, keywords) for name in haunted}}

    def get_foreign_keys(table_name: str, schema: str | None = None, **keywords: Any) -> Any:
        if (schema, table_name) in catalog.real_keys:
            return answer(schema, table_name, keywords)
        return read_one(table_name, schema, **keywords)

    inspector.get_multi_foreign_keys = get_multi_foreign_keys  # type: ignore[method-assign]
    inspector.get_foreign_keys = get_foreign_keys  # type: ignore[method-assign]
