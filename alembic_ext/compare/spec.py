"""Declarations as a migration file holds them: structure only, literals only, names of the database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table

from sa_partman.key import PartitionKey
from sa_partman.names import QualifiedName, quote
from sa_partman.spec.base import KeyExpression, PartitionSpec
from sa_partman.spec.list_spec import ListSpec
from sa_partman.spec.range_spec import RangeSpec


def in_file(spec: PartitionSpec, table: Table) -> PartitionSpec:
    """The structural part of *spec*, with the columns' names in the database instead of their keys."""
    return _renamed(spec.structural(), {column.key: column.name for column in table.columns})


def _renamed(spec: PartitionSpec, names: Mapping[str, str]) -> PartitionSpec:
    arguments = spec.arguments()
    key = tuple(item if isinstance(item, KeyExpression) else str(names.get(item, item)) for item in spec.key)
    keywords: dict[str, Any] = dict(arguments.keywords)
    if spec.subpartition is not None:
        keywords["subpartition"] = _renamed(spec.subpartition, names)
    return type(spec)(*key, **keywords)


def makes_nothing(spec: PartitionSpec) -> bool:
    """Whether no partition is known before the application runs: tenants come at run time."""
    structural = spec.structural()
    if structural.default:
        return False
    if isinstance(structural, ListSpec):
        return structural.values.at_run_time
    return isinstance(structural, RangeSpec) and structural.tenants is not None and structural.tenants.at_run_time


def partition_by(strategy: str, key: PartitionKey) -> str:
    """What stands behind PARTITION BY."""
    parts = (quote(part.column) if part.column is not None else f"({part.expression})" for part in key.parts)
    return f"{strategy} ({', '.join(parts)})"


def schema_argument(relation: QualifiedName, table: QualifiedName, written: str | None) -> str | None:
    """
    What ``schema=`` says for *relation*: as the model writes it where that is the same schema.

    Args:
        table: The declared table, with the schema that it was found in.
        written: Its schema in the model.
    """
    return written if relation.schema == table.schema else relation.schema
