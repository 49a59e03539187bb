"""Which tables hold no row that is committed: a glance at each, and no lock that stops anybody."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from sa_partman.names import QualifiedName

_CHUNK = 50


def empty_of(connection: Connection, tables: Iterable[QualifiedName]) -> frozenset[QualifiedName]:
    """
    Those of *tables* in which no row is seen now; whoever relies on it asks again under a lock. What can't be read is
    none of them.
    """
    names = tuple(tables)
    found: set[QualifiedName] = set()
    for start in range(0, len(names), _CHUNK):
        found |= _seen(connection, names[start : start + _CHUNK])
    return frozenset(found)


def _seen(connection: Connection, chunk: tuple[QualifiedName, ...]) -> set[QualifiedName]:
    glances = " UNION ALL ".join(
        f"SELECT {place} WHERE NOT EXISTS (SELECT FROM {name.quoted})" for place, name in enumerate(chunk)
    )
    try:
        with connection.begin_nested():
            return {chunk[place] for place in connection.execute(text(glances.replace(":", r"\:"))).scalars()}
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
    # Locked, gone, or behind row security: that is the business of one, and not of the others.
    return set().union(*(_seen(connection, (name,)) for name in chunk)) if len(chunk) > 1 else set()
