"""Foreign keys that refer to tables; asked only when something of these is to be removed."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, text

from sa_partman.catalog import ForeignKey
from sa_partman.names import QualifiedName

# A partition's copy of a foreign key has a parent; a key of a table to itself ties it to nobody.
_INBOUND = text("""
SELECT rn.nspname, r.relname, tn.nspname, t.relname,
    ARRAY(SELECT CAST(a.attname AS text) FROM unnest(k.conkey) WITH ORDINALITY AS u(attnum, place)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY u.place),
    ARRAY(SELECT CAST(a.attname AS text) FROM unnest(k.confkey) WITH ORDINALITY AS u(attnum, place)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum ORDER BY u.place),
    r.relkind = 'p'
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class r ON r.oid = k.conrelid
JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
JOIN pg_catalog.pg_class t ON t.oid = k.confrelid
JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND k.confrelid = ANY (CAST(:oids AS oid[])) AND k.conrelid <> k.confrelid
ORDER BY 1, 2, k.conname
""")


def inbound_keys(connection: Connection, tables: Iterable[int]) -> tuple[ForeignKey, ...]:
    """The foreign keys of other tables that refer to *tables*, given by their oids."""
    rows = connection.execute(_INBOUND, {"oids": list(tables)})
    return tuple(
        ForeignKey(QualifiedName(row[0], row[1]), QualifiedName(row[2], row[3]), tuple(row[4]), tuple(row[5]), row[6])
        for row in rows
    )
