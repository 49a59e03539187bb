"""What a role may do with tables: the connected one, or another that is asked about."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, text

from sa_partman.catalog import FoundTable, Privileges
from sa_partman.errors import ConfigurationError
from sa_partman.names import QualifiedName
from sa_partman.postgres.columns import Relation

# SET is what SET ROLE needs; before PostgreSQL 16 every member had it.
SET_ROLE = (
    "CASE WHEN CAST(pg_catalog.current_setting('server_version_num') AS int) < 160000 THEN 'MEMBER' ELSE 'SET' END"
)

_KNOWN = text("SELECT oid FROM pg_catalog.pg_roles WHERE rolname = CAST(:role AS name)")

_PRIVILEGES = text(f"""
SELECT c.oid, CAST(pg_catalog.pg_get_userbyid(c.relowner) AS text), CAST(r.rolname AS text), r.oid = c.relowner,
    pg_catalog.pg_has_role(r.oid, c.relowner, 'USAGE'), pg_catalog.pg_has_role(r.oid, c.relowner, {SET_ROLE}),
    pg_catalog.has_schema_privilege(c.relowner, c.relnamespace, 'CREATE'),
    EXISTS (SELECT FROM pg_catalog.pg_roles s WHERE s.oid = c.relowner AND s.rolsuper)
FROM pg_catalog.pg_class c, pg_catalog.pg_roles r
WHERE c.oid = ANY (CAST(:oids AS oid[])) AND r.rolname = coalesce(CAST(:role AS name), current_user)
""")


def privileges_of(
    connection: Connection, found: Iterable[FoundTable | Relation], role: str | None = None
) -> dict[QualifiedName, Privileges]:
    """
    Args:
        connection: Pinned; nothing is changed.
        found: As one look found them, or one of them.
        role: Unquoted; None: the connected role.

    Raises:
        ConfigurationError: There is no such role.
    """
    names = {table.oid: table.name for table in found}
    if role is not None and connection.execute(_KNOWN, {"role": role}).first() is None:
        raise ConfigurationError(f"there is no role {role!r} on this server; name one that exists (--as-role)")
    rows = connection.execute(_PRIVILEGES, {"oids": list(names), "role": role})
    return {
        names[oid]: Privileges(
            is_owner=uses,
            may_create=creates,
            owner=owner,
            role=name,
            is_same=same,
            may_set_role=sets,
            owner_is_superuser=super_owner,
        )
        for oid, owner, name, same, uses, sets, creates, super_owner in rows
    }
