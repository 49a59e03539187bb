"""What autogenerate may see: names are judged before anything is reflected, by the catalog and never by their look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Inspector

from alembic_ext.compare.catalog import Catalog, Key


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
            return key in self.mapped or key not in self.catalog.hidden
        if kind == "foreign_key_constraint":
            return not self.catalog.is_ghost(schema, parents.get("table_name") or "", name)
        return True


def hide_ghosts(inspector: Inspector, catalog: Catalog) -> None:
    """
    Leaves ghost foreign keys out as soon as they are read.

    The name filter comes too late for a dropped table, whose downgrade would have them all, and for speed: making a
    constraint of each of 4,000 takes a second.
    """
    if not catalog.real_keys:
        return
    read_many, read_one = inspector.get_multi_foreign_keys, inspector.get_foreign_keys

    def get_multi_foreign_keys(*arguments: Any, **keywords: Any) -> Any:
        found = read_many(*arguments, **keywords)
        return {key: [each for each in keys if not catalog.is_ghost(*key, each["name"])] for key, keys in found.items()}

    def get_foreign_keys(table_name: str, schema: str | None = None, **keywords: Any) -> Any:
        found = read_one(table_name, schema, **keywords)
        return [each for each in found if not catalog.is_ghost(schema, table_name, each["name"])]

    inspector.get_multi_foreign_keys = get_multi_foreign_keys  # type: ignore[method-assign]
    inspector.get_foreign_keys = get_foreign_keys  # type: ignore[method-assign]
