"""
Single relations, as an operation needs them: where they live, key, bound and columns; unique keys, foreign keys that
refer to them, and what a role may do with them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from sa_partman.bounds.bound import Bound
from sa_partman.bounds.read import parse_bound
from sa_partman.catalog import ForeignKey, FoundTable, Privileges
from sa_partman.errors import CatalogError, ConfigurationError
from sa_partman.key import KeyPart, KeyType, PartitionKey
from sa_partman.names import QualifiedName
from sa_partman.postgres.definition_queries import columns_of_key
from sa_partman.postgres.session import features_of, verbatim
from sa_partman.spec.declared import ColumnType


@dataclass(frozen=True, slots=True)
class Relation:
    """
    Args:
        kind: ``pg_class.relkind``.
        comment: Its table comment, with our mark where it has one.
        strategy: "RANGE", "LIST" or "HASH" when it is partitioned.
        key: Its partition key, then.
        default: The oid of its default partition, if any.
        parent: What it is a partition of, if anything: an oid.
        bound_text: Its bound then, as the session prints it.
        detach_pending: A concurrent detach was begun and not finalized.
    """

    oid: int
    name: QualifiedName
    kind: str
    comment: str | None
    strategy: str | None
    key: PartitionKey | None
    default: int | None
    parent: int | None
    bound_text: str | None
    detach_pending: bool

    def bound_in(self, key: PartitionKey) -> Bound | None:
        """Its bound, as a partition of a table with *key*; None when it is no partition."""
        return None if self.bound_text is None else parse_bound(self.bound_text, key.types)


_FIND = text("SELECT CAST(pg_catalog.to_regclass(:name) AS oid)")

_RELATION = text("""
SELECT c.oid, n.nspname, c.relname, CAST(c.relkind AS text), d.description, CAST(p.partstrat AS text),
    nullif(p.partdefid, 0), i.inhparent, pg_catalog.pg_get_expr(c.relpartbound, c.oid),
    coalesce(i.inhdetachpending, false),
    k.columns, k.types, k.enums, pg_catalog.pg_get_expr(p.partexprs, p.partrelid)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = c.oid
LEFT JOIN pg_catalog.pg_inherits i ON c.relispartition AND i.inhrelid = c.oid
LEFT JOIN pg_catalog.pg_description d
    ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = CAST('pg_catalog.pg_class' AS regclass)
LEFT JOIN LATERAL (
    SELECT array_agg(CAST(a.attname AS text) ORDER BY u.place) AS columns,
        array_agg(pg_catalog.format_type(coalesce(nullif(y.typbasetype, 0), a.atttypid), a.atttypmod)
                  ORDER BY u.place) AS types,
        array_agg(y.typtype = 'e' ORDER BY u.place) AS enums
    FROM unnest(CAST(p.partattrs AS int2[])) WITH ORDINALITY AS u(attnum, place)
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = u.attnum AND a.attnum > 0
    LEFT JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
) k ON p.partrelid IS NOT NULL
WHERE c.oid = CAST(:oid AS oid)
""")

_COLUMNS = text("""
SELECT CAST(a.attname AS text),
    pg_catalog.format_type(coalesce(nullif(y.typbasetype, 0), a.atttypid), a.atttypmod), y.typtype = 'e'
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
WHERE a.attrelid = CAST(:oid AS oid) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
""")

_STRATEGIES = {"r": "RANGE", "l": "LIST", "h": "HASH"}


def oid_of(connection: Connection, name: QualifiedName) -> int | None:
    """The relation that *name* means under the session's search path; so ask before the session is pinned."""
    found: int | None = connection.execute(_FIND, {"name": name.quoted}).scalar()
    return found


def relation_of(connection: Connection, oid: int) -> Relation:
    """
    The session must be pinned: types and bounds are printed by its settings.

    Raises:
        CatalogError: It is gone.
    """
    row = connection.execute(_RELATION, {"oid": oid}).one_or_none()
    # The server prints no bound of a partition that is gone, although the query's snapshot still has it.
    if row is None or (row[7] is not None and row[8] is None):
        name = oid if row is None else QualifiedName(row[1], row[2])
        raise CatalogError(f"the relation {name} was dropped while it was looked at; nothing was changed. Try again.")
    name = QualifiedName(row[1], row[2])
    key = None if row[5] is None else _key(connection, name, row[10], row[11], row[12], row[13])
    strategy = None if row[5] is None else _STRATEGIES[row[5]]
    return Relation(row[0], name, row[3], row[4], strategy, key, row[6], row[7], row[8], row[9])


def columns_of(connection: Connection, oid: int) -> dict[str, ColumnType]:
    """The columns of a relation by name, as a declaration is bound to them. The session must be pinned."""
    rows = connection.execute(_COLUMNS, {"oid": oid})
    return {row[0]: ColumnType(row[0], KeyType.of(row[1], is_enum=row[2])) for row in rows}


_TOTAL = text("""
SELECT coalesce(sum(pg_catalog.pg_total_relation_size(oid)), 0) FROM (
    WITH RECURSIVE tree AS (SELECT CAST(:oid AS oid) AS oid
        UNION ALL SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tree t ON i.inhparent = t.oid)
    SELECT oid FROM tree) AS every
""")


def total_size(connection: Connection, oid: int) -> int:
    """Bytes of the table and all its partitions, with indexes."""
    return int(connection.execute(_TOTAL, {"oid": oid}).scalar_one())


def _key(
    connection: Connection,
    name: QualifiedName,
    columns: list[str | None],
    types: list[str],
    enums: list[bool],
    expression: str | None,
) -> PartitionKey:
    parts = []
    for column, sql, is_enum in zip(columns, types, enums, strict=True):
        if column is not None:
            parts.append(KeyPart(column, None, KeyType.of(sql, is_enum=bool(is_enum))))
        else:
            parts.append(KeyPart(None, expression, KeyType.of(_type_of(connection, name, expression or "NULL"))))
    return PartitionKey(tuple(parts))


def _type_of(connection: Connection, name: QualifiedName, expression: str) -> str:
    """The type of an *expression* over the relation, which the catalog does not hold; nothing is evaluated."""
    sql = f"SELECT CAST(pg_catalog.pg_typeof((SELECT ({expression}) FROM {name.quoted} LIMIT 0)) AS text)"
    found: str = connection.execute(verbatim(sql)).scalar_one()
    return found


_KEYS = text("""
SELECT x.indrelid, i.relname, x.indisprimary, ARRAY(
    SELECT CAST(a.attname AS text) FROM unnest(CAST(x.indkey AS int2[])) WITH ORDINALITY AS u(attnum, place)
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = u.attnum AND a.attnum > 0
    WHERE u.place <= x.indnkeyatts ORDER BY u.place)
FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
WHERE x.indisunique AND x.indrelid = ANY (CAST(:oids AS oid[])) ORDER BY NOT x.indisprimary, i.relname
""")


@dataclass(frozen=True, slots=True)
class UniqueKey:
    """
    Args:
        columns: In order; an expression is None.
        primary: It is that of the primary key.
    """

    name: str
    columns: tuple[str | None, ...]
    primary: bool


def unique_keys(connection: Connection, oids: Sequence[int]) -> dict[int, tuple[UniqueKey, ...]]:
    """The unique indexes of each table that has one, the primary key's first."""
    found: dict[int, list[UniqueKey]] = defaultdict(list)
    for oid, name, primary, columns in connection.execute(_KEYS, {"oids": list(oids)}) if oids else ():
        found[oid].append(UniqueKey(name, tuple(columns), primary))
    return {oid: tuple(keys) for oid, keys in found.items()}


def primary_key(keys: Sequence[UniqueKey]) -> tuple[str, ...]:
    """The columns of the primary key among *keys*; empty when there is none."""
    return next((tuple(map(str, each.columns)) for each in keys if each.primary), ())


# A partition's copy of a foreign key has a parent; a key of a table to itself ties it to nobody.
_INBOUND = text(f"""
SELECT rn.nspname, r.relname, tn.nspname, t.relname,
    {columns_of_key("con")},
    {columns_of_key("conf")},
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


_ROLE = text("SELECT oid FROM pg_catalog.pg_roles WHERE rolname = CAST(:role AS name)")

_PRIVILEGES = """
SELECT c.oid, CAST(pg_catalog.pg_get_userbyid(c.relowner) AS text), CAST(r.rolname AS text), r.oid = c.relowner,
    pg_catalog.pg_has_role(r.oid, c.relowner, 'USAGE'), pg_catalog.pg_has_role(r.oid, c.relowner, '{set_role}'),
    pg_catalog.has_schema_privilege(c.relowner, c.relnamespace, 'CREATE'),
    EXISTS (SELECT FROM pg_catalog.pg_roles s WHERE s.oid = c.relowner AND s.rolsuper)
FROM pg_catalog.pg_class c, pg_catalog.pg_roles r
WHERE c.oid = ANY (CAST(:oids AS oid[])) AND r.rolname = coalesce(CAST(:role AS name), current_user)
"""
# SET is what SET ROLE needs; before PostgreSQL 16 every member had it.
_BY_MEMBERSHIP, _BY_SET = (text(_PRIVILEGES.format(set_role=each)) for each in ("MEMBER", "SET"))


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
    if role is not None and connection.execute(_ROLE, {"role": role}).first() is None:
        raise ConfigurationError(f"there is no role {role!r} on this server; name one that exists (--as-role)")
    query = _BY_SET if features_of(connection).has_set_option else _BY_MEMBERSHIP
    rows = connection.execute(query, {"oids": list(names), "role": role})
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
