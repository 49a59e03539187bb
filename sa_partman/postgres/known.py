"""
Partitions that were read before, so that a process which looks again and again has their bounds printed only once, and
makes nothing anew that is as it was.

A partition is recognised by its oid and a hash of what the catalog stores of its bound: nothing here can grow old, and
what changes is simply not found.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Dialect

from sa_partman.catalog import Partition
from sa_partman.key import Family, KeyType

LIMIT = 100_000
"""Partitions remembered for one engine; beyond it all are forgotten, and memory stays bounded."""

_PRINTED_ALIKE = frozenset(Family) - {Family.ENUM, Family.OTHER}
"""What is stored of an enum's value is its oid, and its label may be renamed."""

Known = dict[int, tuple[int, Partition]]
"""By the partition's oid: the hash of its bound, and what it was when it was read last, without what is below it."""

_known: WeakKeyDictionary[Dialect, Known] = WeakKeyDictionary()


def known_to(connection: Connection) -> Known:
    """What was read through the engine of *connection*, whose dialect is its own."""
    known = _known.setdefault(connection.dialect, {})
    if len(known) > LIMIT:
        known.clear()
    return known


def may_be_known(types: tuple[KeyType, ...]) -> bool:
    """Whether what is stored of bounds of *types* always means the same."""
    return all(type.family in _PRINTED_ALIKE for type in types)
