"""A fingerprint of a table: another one at the cut-over means that somebody changed the table meanwhile."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from sa_partman.anatomy import Anatomy


def fingerprint(anatomy: Anatomy, ignoring: frozenset[str] = frozenset(), keys: tuple[str, ...] = ()) -> str:
    """
    Args:
        ignoring: Names of the index and the constraint that the conversion itself adds.
        keys: Columns whose NOT NULL the conversion itself adds.
    """
    columns = tuple(replace(each, not_null=True) if each.name in keys else each for each in anatomy.columns)
    indexes = tuple(replace(each, bytes=0) for each in anatomy.indexes if each.name not in ignoring)
    constraints = tuple(
        each
        for each in anatomy.constraints
        if each.name not in ignoring and not (each.kind == "n" and {*each.columns} <= {*keys})
    )
    still = replace(anatomy, rows=0, bytes=0, index_bytes=0, columns=columns, indexes=indexes, constraints=constraints)
    return hashlib.sha256(repr(still).encode()).hexdigest()
