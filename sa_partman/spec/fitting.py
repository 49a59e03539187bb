"""Values that come from outside, fitted to the type of the key that they are for."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sa_partman.bounds.bound import KeyValue
from sa_partman.bounds.text import literal
from sa_partman.key import Family, KeyType
from sa_partman.spec.tenants import plain_value


def fitted(value: Any, kind: KeyType, *, null: bool = True) -> KeyValue:
    """
    *value* as a key value of *kind*: an enum member by its name, a UUID also when it comes as text.

    Args:
        null: Whether None will do, as it does in a list and not in a range.

    Raises:
        ValueError: It is no value of *kind*.
    """
    if value is None and not null:
        raise ValueError("no range takes a NULL")
    plain: KeyValue = plain_value(value)
    if kind.family is Family.UUID and isinstance(plain, str):
        plain = UUID(plain)
    literal(plain, kind)
    return plain
