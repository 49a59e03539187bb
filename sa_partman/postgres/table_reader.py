"""
The one reader of tables: whole definitions for conversions, what partitions are to have as their table has it, and what
must agree between a table and its partitions.

Sessions are pinned: whatever PostgreSQL prints has the search path ``pg_catalog``, so every name in it is qualified.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Row

from sa_partman.errors import CatalogError
from sa_partman.names import QualifiedName, quote
from sa_partman.postgres import definition_queries as sql
from sa_partman.postgres import membership_queries as member_sql
from sa_partman.postgres.session import features_of
from sa_partman.table.definition import (
    HERE,
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
    policy_expressions,
    with_name,
)
from sa_partman.table.membership import ColumnSetting, IndexTarget, Member, Membership, MemberStatistics
from sa_partman.table.structure import Structure


def read_table(connection: Connection, name: QualifiedName) -> TableDefinition | None:
    """
    All of one table.

    Args:
        connection: In a transaction that `pin` pinned.
        name: With its schema.

    Returns:
        None when there is no such table.
    """
    head = connection.execute(sql.TABLE, {"name": name.quoted}).one_or_none()
    if head is None:
        return None
    oid, oids, server = {"oid": head.oid}, {"oids": [head.oid]}, features_of(connection)
    return TableDefinition(
        name=name,
        oid=head.oid,
        server=server.major,
        kind=head.kind,
        persistence=head.persistence,
        owner=head.owner,
        rows=head.rows,
        bytes=head.bytes,
        index_bytes=head.index_bytes,
        columns=tuple(_column(row) for row in connection.execute(sql.COLUMNS, oids)),
        sequences=tuple(_sequence(connection, row) for row in connection.execute(sql.SEQUENCES, oid).all()),
        indexes=tuple(_index(row) for row in connection.execute(sql.INDEXES, oid)),
        constraints=tuple(_constraint(row) for row in connection.execute(sql.CONSTRAINTS, oids)),
        inbound=tuple(_inbound(row) for row in connection.execute(sql.INBOUND, oid)),
        triggers=tuple(_trigger(row, head.printed) for row in connection.execute(sql.TRIGGERS, oid)),
        dependents=tuple(_dependents(connection, oid)),
        publications=tuple(_publications(connection, oid)),
        covers=tuple(_covers(connection, oid)),
        privileges=_privileges(connection, head.oid),
        policies=tuple(_policy(row, head.bare) for row in connection.execute(sql.POLICIES, oid)),
        row_security=head.row_security,
        force_row_security=head.force_row_security,
        comments=tuple((row.column, row.description) for row in connection.execute(sql.COMMENTS, oid)),
        statistics=tuple(_statistics(row, head.printed) for row in connection.execute(sql.STATISTICS, oid)),
        replica_identity=head.replica_identity,
        replica_index=head.replica_index,
        options=tuple(head.options),
        tablespace=head.tablespace,
        access_method=head.access_method or "heap",
        obstacles=tuple(head.obstacles or ()),
        key_users=tuple(connection.execute(sql.KEY_USERS, oid).scalars()),
        missing_rights=tuple(connection.execute(sql.rights(server), oid).scalars()),
    )


def _changed(table: str, definition: str) -> CatalogError:
    """A definition is printed from the catalog of this moment, whatever the snapshot of the query is."""
    return CatalogError(
        f"{table} was changed while it was read ({definition}); nothing was changed by us. Try again, and report this "
        f"if it stays."
    )


def _column(row: Row[Any]) -> Column:
    return Column(
        row.name,
        row.type,
        row.not_null,
        row.identity,
        row.generated,
        row.statistics,
        tuple(row.options or ()),
        row.expression,
        row.collation,
        row.storage,
        row.compression,
    )


def _sequence(connection: Connection, row: Row[Any]) -> OwnedSequence:
    return OwnedSequence(
        QualifiedName(row.schema, row.name),
        row.column,
        row.identity,
        row.options,
        row.comment,
        _privileges(connection, row.oid),
        tuple(row.users),
    )


def _index(row: Row[Any]) -> Index:
    head = f"CREATE {'UNIQUE ' if row.unique else ''}INDEX {row.printed} ON "
    place, _, tail = row.definition.removeprefix(head).partition(f"{row.table_printed} ")
    if not row.definition.startswith(head) or place not in ("", "ONLY "):
        raise _changed(row.table_printed, row.definition)
    return Index(
        row.name,
        tuple(row.columns),
        tail,
        row.unique,
        row.valid,
        row.constraint_name,
        row.kind or "",
        row.partial,
        row.immediate,
        row.comment,
        row.bytes,
        row.tablespace,
        tuple(row.included),
        tuple(row.options or ()),
        tuple((number, target) for number, target in row.targets),
    )


def _constraint(row: Row[Any]) -> Constraint:
    references = None if row.ref_name is None else QualifiedName(row.ref_schema, row.ref_name)
    return Constraint(
        row.name,
        row.kind,
        row.definition,
        tuple(row.columns or ()),
        row.validated,
        row.no_inherit,
        references,
        row.comment,
        row.to_partitioned,
    )


def _inbound(row: Row[Any]) -> InboundKey:
    if not row.definition.startswith(row.head):
        raise _changed(f"{row.schema}.{row.table_name}", row.definition)
    return InboundKey(
        row.name,
        QualifiedName(row.schema, row.table_name),
        tuple(row.columns),
        tuple(row.referenced),
        row.definition.removesuffix(" NOT VALID"),
        row.definition.removeprefix(row.head).removesuffix(" NOT VALID"),
        row.acts,
        row.validated,
        row.comment,
        tuple((name, type) for name, type in row.types),
    )


def _trigger(row: Row[Any], table: str) -> Trigger:
    return Trigger(
        row.name,
        _replaced(row.definition, table),
        row.enabled,
        row.row,
        row.transition_tables,
        row.before_insert,
        row.comment,
    )


def _replaced(definition: str, table: str) -> str:
    """*definition* with `HERE` for the table."""
    before, found, after = definition.partition(f" ON {table} ")
    if not found:
        raise _changed(table, definition)
    return f"{before} ON {HERE} {after}"


def _policy(row: Row[Any], table: str) -> Policy:
    using, check = _expression(row.using, table), _expression(row.checked, table)
    return Policy(row.name, row.command, row.permissive, tuple(row.roles), using, check, row.reads_itself, row.comment)


def _statistics(row: Row[Any], table: str) -> ExtendedStatistics:
    if not row.tail.endswith(f" FROM {table}"):
        raise _changed(table, row.tail)
    tail = row.tail.removesuffix(table) + HERE
    return ExtendedStatistics(QualifiedName(row.schema, row.name), tail, row.target, row.comment)


def _privileges(connection: Connection, oid: int) -> ObjectPrivileges:
    row = connection.execute(sql.PRIVILEGES, {"oid": oid}).one()
    grants = tuple(
        Grant(each.grantee, each.privilege, each.column, each.grantable)
        for each in connection.execute(sql.GRANTS, {"oid": oid})
    )
    untouched = row.untouched and not any(each.column for each in grants)
    return ObjectPrivileges(row.owner, grants, untouched, tuple(row.strangers))


def _publications(connection: Connection, oid: dict[str, int]) -> Iterator[Publication]:
    for row in connection.execute(sql.publications(features_of(connection)), oid):
        columns = "" if row.columns is None else f" ({', '.join(quote(each) for each in row.columns)})"
        where = "" if row.condition is None else f" WHERE ({row.condition})"
        yield Publication(row.name, columns + where, row.via_root)


def _covers(connection: Connection, oid: dict[str, int]) -> Iterator[Cover]:
    for row in connection.execute(sql.covers(features_of(connection)), oid):
        yield Cover(row.name, row.scope, row.via_root, row.excepted, tuple(row.others), row.ours)


def _dependents(connection: Connection, oid: dict[str, int]) -> Iterator[Dependent]:
    for row in connection.execute(sql.VIEWS, oid):
        yield _VIEWS.get(row.kind, _rule)(row)
    for row in connection.execute(sql.FUNCTIONS, oid):
        yield Dependent(row.identity, () if row.definition is None else (row.definition,))
    for row in connection.execute(sql.POLICIES_ELSEWHERE, oid):
        restore = f"ALTER POLICY {quote(row.name)} ON {row.printed}{policy_expressions(row.using, row.checked)}"
        yield Dependent(row.identity, (restore,), (row.printed,))
    for row in connection.execute(sql.OTHERS, oid):
        yield Dependent(row.identity)


def _view(row: Row[Any]) -> Dependent:
    """CREATE OR REPLACE keeps grants and comments, and drops the options, which are set again."""
    options = "" if not row.options else f" WITH ({', '.join(row.options)})"
    definition = row.definition.rstrip().rstrip(";")
    return Dependent(row.identity, (f"CREATE OR REPLACE VIEW {row.printed}{options} AS {definition}",))


def _materialized(row: Row[Any]) -> Dependent:
    return Dependent(row.identity)


def _rule(row: Row[Any]) -> Dependent:
    replaced = row.definition.replace("CREATE RULE", "CREATE OR REPLACE RULE", 1)
    return Dependent(row.identity, (replaced,), (row.printed,))


_VIEWS = {"v": _view, "m": _materialized}


def memberships(connection: Connection, tables: Iterable[int]) -> dict[int, Membership]:
    """
    What partitions of *tables* are to have.

    Args:
        connection: In a transaction that `pin` pinned.
        tables: Their oids.
    """
    oids = list(tables)
    members = read_members(connection, oids)
    query = member_sql.MEMBERSHIP_15 if features_of(connection).has_publication_details else member_sql.MEMBERSHIP_14
    rows = connection.execute(query, {"oids": oids})
    return {row.oid: _membership(row, members[row.oid]) for row in rows if row.oid in members}


def storage_options(connection: Connection, leaves: Iterable[int]) -> dict[int, tuple[str, ...]]:
    """The storage parameters of each of *leaves* that has any."""
    rows = connection.execute(member_sql.OPTIONS, {"oids": list(leaves)})
    return {row.oid: tuple(row.options) for row in rows if row.options}


def differing(connection: Connection, tables: Iterable[int]) -> Mapping[int, tuple[int, ...]]:
    """The oids of partitions that may differ from their table, by the oid of the table: none when all is well."""
    found: dict[int, list[int]] = defaultdict(list)
    for root, oid in connection.execute(member_sql.DRIFT, {"oids": list(tables)}):
        found[root].append(oid)
    return {root: tuple(oids) for root, oids in found.items()}


def read_members(connection: Connection, oids: Iterable[int]) -> dict[int, Member]:
    """What each of these tables has for itself; those that are gone are left out."""
    wanted = list(oids)
    return {row.oid: _member(row) for row in connection.execute(member_sql.MEMBERS, {"oids": wanted})} if wanted else {}


def _member(row: Row[Any]) -> Member:
    index = None if row.index_name is None else QualifiedName(row.index_schema, row.index_name)
    return Member(
        owner=row.owner,
        grants=_grants(row.grants) | _grants(row.column_grants),
        row_security=row.row_security,
        force_row_security=row.forced,
        policies=frozenset(_listed_policy(each, row.printed) for each in json.loads(row.policies or "[]")),
        replica_identity=row.identity,
        replica_index=index,
        tablespace=row.tablespace,
        access_method=row.access_method,
        publications=frozenset(Publication(name) for name in row.publications),
        columns=frozenset(ColumnSetting(*each) for each in json.loads(row.columns or "[]")),
        indexes=frozenset(_target(*each) for each in json.loads(row.index_targets or "[]")),
        statistics=frozenset(_member_statistics(*each) for each in json.loads(row.statistics or "[]")),
        passed_on=row.passed_on,
        divided=row.kind == "p",
        reachable=row.reachable,
    )


def _grants(listed: str | None) -> frozenset[Grant]:
    return frozenset(Grant(*each) for each in json.loads(listed or "[]"))


def _target(schema: str, index: str, number: int, target: int) -> IndexTarget:
    return IndexTarget(QualifiedName(schema, index), number, target)


def _member_statistics(
    kinds: list[str], columns: list[str], expressions: list[str], target: int, schema: str, name: str
) -> MemberStatistics:
    return MemberStatistics(tuple(kinds), tuple(columns), tuple(expressions), target, QualifiedName(schema, name))


def _listed_policy(listed: list[Any], printed: str) -> Policy:
    name, command, permissive, roles, using, check = listed
    return Policy(name, command, permissive, tuple(roles), _expression(using, printed), _expression(check, printed))


def _expression(sql_text: str | None, printed: str) -> str | None:
    return None if sql_text is None else with_name(sql_text, printed)


def _membership(row: Row[Any], table: Member) -> Membership:
    lacking, named = [], {False: set[Publication](), True: set[Publication]()}
    if not row.may_place:
        lacking.append(f"GRANT CREATE ON TABLESPACE {row.tablespace} TO {row.owner}")
    for name, divided, tail, usable, reachable, owner in json.loads(row.publications or "[]"):
        named[divided].add(Publication(name, tail or "", usable=usable))
        if not usable and not reachable:
            lacking.append(f"GRANT {owner} TO {row.role}")
    return Membership(
        table, _grants(row.fresh), frozenset(named[False]), frozenset(named[True]), (), tuple(dict.fromkeys(lacking))
    )


def read_structures(connection: Connection, names: Iterable[QualifiedName]) -> dict[QualifiedName, Structure]:
    """Those of *names* that exist."""
    by_text = {name.quoted: name for name in names}
    found = {oid: by_text[each] for each, oid in connection.execute(sql.OIDS, {"names": list(by_text)})}
    columns: dict[int, list[Column]] = defaultdict(list)
    checks: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for row in connection.execute(sql.COLUMNS, {"oids": list(found)}):
        columns[row.oid].append(_column(row))
    for row in connection.execute(sql.CONSTRAINTS, {"oids": list(found)}):
        if row.kind == "c" and not row.no_inherit:
            checks[row.oid].append((row.name, row.definition))
    return {name: Structure(tuple(columns[oid]), tuple(checks[oid])) for oid, name in found.items()}


def kept_options(connection: Connection, relations: Iterable[int]) -> tuple[tuple[str, ...], str]:
    """
    The names of options that the server keeps for itself in columns of *relations*, and its version.

    Args:
        connection: In a transaction that `pin` pinned.
        relations: Their oids.
    """
    rows = connection.execute(sql.KEPT_OPTIONS, {"oids": list(relations)}).all()
    return tuple(name for name, _ in rows), next((version for _, version in rows), "")
