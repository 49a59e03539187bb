"""
A fingerprint of a table: another one at the cut-over means that somebody changed the table meanwhile.

It tells what the table is, in words that a dump keeps: no oid, no size, and nothing of a field that is not set.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from typing import Any

from sa_partman.anatomy import Anatomy

FORM = "2:"
"""How fingerprints of this form begin; version 0.1.0's have no such beginning."""

_PASSING = frozenset({"oid", "server", "rows", "bytes", "index_bytes"})
"""What changes although nobody changes the table: by a restore, an upgrade of the server, or more rows."""


def fingerprint(
    anatomy: Anatomy, ignoring: frozenset[str] = frozenset(), keys: tuple[str, ...] = (), more: Any = None
) -> str:
    """
    Args:
        ignoring: Names of the index and the constraint that the conversion itself adds.
        keys: Columns whose NOT NULL the conversion itself adds.
        more: What else is to be told of the table.
    """
    columns = tuple(replace(each, not_null=True) if each.name in keys else each for each in anatomy.columns)
    indexes = tuple(each for each in anatomy.indexes if each.name not in ignoring)
    constraints = tuple(
        each
        for each in anatomy.constraints
        if each.name not in ignoring and not (each.kind == "n" and {*each.columns} <= {*keys})
    )
    still = replace(anatomy, columns=columns, indexes=indexes, constraints=constraints)
    told = json.dumps([_told(still), _told(more)], sort_keys=True)
    return FORM + hashlib.sha256(told.encode()).hexdigest()


def _told(value: Any) -> Any:
    if is_dataclass(value):
        return {
            each.name: _told(own)
            for each in fields(value)
            if each.name not in _PASSING and (own := getattr(value, each.name)) != _default(each)
        }
    if isinstance(value, Mapping):
        return {str(key): _told(own) for key, own in value.items()}
    if isinstance(value, (frozenset, set)):
        return sorted(map(str, value))
    if isinstance(value, (list, tuple)):
        return [_told(own) for own in value]
    return value


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()
