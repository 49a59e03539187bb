"""
Grants that another comparator writes: it names tables as SQL does, and may not see what a partitioned table has.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator

from alembic.operations.ops import MigrateOperation
from sqlalchemy import Connection, text

from alembic_ext.compare.catalog import Key

_NAME = re.compile(r'\s*(?:"((?:[^"]|"")+)"|([^\s".]+))\s*(\.|$)')

_GIVEN = text("""
SELECT a.privilege_type, a.is_grantable
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace,
    aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
WHERE c.relname = :name
    AND CASE WHEN CAST(:schema AS text) IS NULL THEN pg_catalog.pg_table_is_visible(c.oid) ELSE n.nspname = :schema END
    AND a.grantee = CASE WHEN upper(:role) = 'PUBLIC' THEN 0
        ELSE (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = :role) END
""")


def key_of(written: str) -> Key | None:
    """A name as SQL writes it: folded unless it is quoted."""
    parts, place = [], 0
    while match := _NAME.match(written, place):
        quoted, plain, dot = match.groups()
        parts.append(quoted.replace('""', '"') if quoted else plain.lower())
        place = match.end()
        if not dot:
            return ((None, *parts)[-2], parts[-1])
    return None


def only_target(thing: object) -> str | None:
    """The table of a grant, as SQL writes it; None when there is no grant, or one on several."""
    targets = getattr(thing, "targets", None)
    return str(targets[0]) if isinstance(targets, (tuple, list)) and len(targets) == 1 else None


def given(
    connection: Connection, partitioned: Container[Key], operations: Iterable[MigrateOperation]
) -> Iterator[MigrateOperation]:
    """
    Those of *operations* that grant on one of the *partitioned* tables what it has granted already.

    sqlalchemy-declarative-extensions looks at the grants of ordinary tables only, so it writes all others every time.
    """
    for operation in operations:
        statement = getattr(operation, "grant", None)
        grant, target = getattr(statement, "grant", None), only_target(statement)
        key = None if target is None else key_of(target)
        if key is None or key not in partitioned or not type(operation).__name__.startswith("Grant"):
            continue
        wanted = {str(getattr(each, "value", each)).upper() for each in getattr(grant, "grants", ())}
        role, grantable = str(getattr(grant, "target_role", "")), bool(getattr(grant, "grant_option", False))
        asked = {"schema": key[0], "name": key[1], "role": role}
        found = {name for name, may_grant in connection.execute(_GIVEN, asked) if may_grant or not grantable}
        if wanted and wanted <= found:
            yield operation
