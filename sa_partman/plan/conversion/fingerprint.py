"""
A fingerprint of a table: another one at the cut-over means that somebody changed the table meanwhile.

It is made of what the table is, in words that a dump keeps: no oid, no size, and nothing of a field that is not set.
What belongs to it is listed here by name, whatever the classes are called: a stored fingerprint is compared by later
versions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sa_partman.names import QualifiedName
from sa_partman.table.definition import (
    Column,
    Constraint,
    Cover,
    Dependent,
    ExtendedStatistics,
    Grant,
    InboundKey,
    Index,
    ObjectPrivileges,
    OwnedSequence,
    Policy,
    Publication,
    TableDefinition,
    Trigger,
)

FORM = "2:"
"""
How fingerprints of this form begin. Version 0.1.0's of before it have no such beginning, and can't be compared. Whoever
adds to `FIELDS` something that is always there, or takes something out, makes another form.
"""

FIELDS: Mapping[type, tuple[tuple[str, ...], Mapping[str, Any]]] = {
    QualifiedName: (("schema", "name"), {}),
    Grant: (("grantee", "privilege"), {"column": None, "grantable": False}),
    ObjectPrivileges: ((), {"owner": "", "grants": (), "untouched": True, "strangers": ()}),
    Column: (("name", "type", "not_null"), {"identity": "", "generated": "", "statistics": -1, "options": ()}),
    OwnedSequence: (
        ("name", "column", "identity"),
        {"options": "", "comment": None, "privileges": ObjectPrivileges(), "users": ()},
    ),
    Index: (
        ("name", "columns", "tail", "unique", "valid"),
        {
            "constraint": None,
            "kind": "",
            "partial": False,
            "immediate": True,
            "comment": None,
            "tablespace": None,
            "included": (),
            "options": (),
            "targets": (),
        },
    ),
    Constraint: (
        ("name", "kind", "definition", "columns"),
        {"validated": True, "no_inherit": False, "references": None, "comment": None, "to_partitioned": False},
    ),
    InboundKey: (
        ("name", "table", "columns", "referenced", "definition"),
        {"tail": "", "acts": False, "validated": True, "comment": None, "types": ()},
    ),
    Trigger: (("name", "definition", "enabled", "row", "transition_tables", "before_insert"), {"comment": None}),
    Dependent: (("identity",), {"restore": (), "locks": ()}),
    Policy: (("name", "definition"), {"reads_itself": False, "comment": None}),
    ExtendedStatistics: (("name", "tail"), {"target": -1, "comment": None}),
    Publication: (("name",), {"tail": "", "via_root": False}),
    Cover: (("name", "scope"), {"via_root": False, "excepted": False, "others": (), "ours": True}),
    TableDefinition: (
        ("name", "kind", "persistence", "owner", "columns"),
        {
            "sequences": (),
            "indexes": (),
            "constraints": (),
            "inbound": (),
            "triggers": (),
            "dependents": (),
            "publications": (),
            "covers": (),
            "privileges": ObjectPrivileges(),
            "policies": (),
            "row_security": False,
            "force_row_security": False,
            "comments": (),
            "statistics": (),
            "replica_identity": "d",
            "replica_index": None,
            "options": (),
            "tablespace": None,
            "access_method": "heap",
            "obstacles": (),
            "key_users": (),
            "missing_rights": (),
        },
    ),
}
"""The fields of each class that always belong to it, and those that do when they are something else than this."""


def fingerprint(
    definition: TableDefinition, ignoring: frozenset[str] = frozenset(), keys: tuple[str, ...] = (), more: Any = None
) -> str:
    """
    Args:
        ignoring: Names of the index and the constraint that the conversion itself adds.
        keys: Columns whose NOT NULL the conversion itself adds.
        more: What else belongs to it.
    """
    columns = tuple(replace(each, not_null=True) if each.name in keys else each for each in definition.columns)
    indexes = tuple(each for each in definition.indexes if each.name not in ignoring)
    constraints = tuple(
        each
        for each in definition.constraints
        if each.name not in ignoring and not (each.kind == "n" and {*each.columns} <= {*keys})
    )
    still = replace(definition, columns=columns, indexes=indexes, constraints=constraints)
    text = json.dumps([_listed(still), _listed(more)], sort_keys=True)
    return FORM + hashlib.sha256(text.encode()).hexdigest()


def _listed(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_listed(own) for own in value]
    if type(value) not in FIELDS:
        return value
    always, unless = FIELDS[type(value)]
    known = {name: getattr(value, name) for name in (*always, *unless)}
    return {name: _listed(own) for name, own in known.items() if name in always or own != unless[name]}
