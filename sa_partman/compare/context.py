"""Everything that a planner may know beside the declaration and the catalog."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sa_partman.bounds.bound import KeyValue
from sa_partman.catalog import ForeignKey
from sa_partman.spec.list_spec import Labelled

Path = tuple[KeyValue, ...]
"""Tenants asked for at run time: a value for each LIST level, from the top."""


@dataclass(frozen=True, slots=True)
class Context:
    """
    Args:
        now: The clock; aware.
        tenants: Values that a ``select()`` or a callable gave, by depth of their level.
        labels: Those of the enum that a level's first key column is of, by depth of the level; only where somebody read
            them.
        highest: The highest integer key present, by oid of the partitioned relation; absent where it is empty.
        paths: Branches asked for at run time.
        branch: The values of the LIST levels above, while a plan descends.
        within: The bound of the range partition above, while a plan descends.
        expired_rows: How many expired rows a table of a default partition has, by its oid; only where somebody looked.
        gone: Inside the branch of a tenant that left, while a plan descends.
        inbound: Foreign keys that refer to the tables; None while nobody had to read them.
        outlived: How many rows of a partition have outlived their retention, by its oid; the planner's estimate, and
            only where somebody asked for it.
        sizes: Bytes of the tables that the catalog has no estimate for, by oid; only where somebody measured them.
    """

    now: datetime
    tenants: Mapping[int, Labelled] = field(default_factory=dict)
    highest: Mapping[int, int] = field(default_factory=dict)
    paths: tuple[Path, ...] = ()
    branch: tuple[Any, ...] = ()
    within: tuple[object, Any, Any] | None = None
    inbound: tuple[ForeignKey, ...] | None = None
    sizes: Mapping[int, int] = field(default_factory=dict)
    outlived: Mapping[int, int] = field(default_factory=dict)
    expired_rows: Mapping[int, int] = field(default_factory=dict)
    gone: bool = False
    labels: Mapping[int, tuple[str, ...]] = field(default_factory=dict)

    def below(self, values: tuple[KeyValue, ...]) -> Context:
        """The context in the branch of *values*: only the paths that lead there, shortened."""
        paths = tuple(path[1:] for path in self.paths if path[0] in values and len(path) > 1)
        return replace(self, paths=paths, branch=(*self.branch, values))
