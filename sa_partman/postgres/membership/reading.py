"""Reads membership: of tables that get new partitions, and of partitions that differ from their table."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Row

from sa_partman.anatomy import Grant
from sa_partman.compare.membership import (
    ColumnSetting,
    IndexTarget,
    Member,
    Membership,
    MemberStatistics,
    Policy,
    Publication,
)
from sa_partman.names import QualifiedName
from sa_partman.postgres.membership import queries as sql
from sa_partman.postgres.outer_reference import with_name


def memberships(connection: Connection, tables: Iterable[int]) -> dict[int, Membership]:
    """
    What partitions of *tables* are to have.

    Args:
        connection: In a transaction that `pin` pinned.
        tables: Their oids.
    """
    oids = list(tables)
    members = read_members(connection, oids)
    major = (connection.dialect.server_version_info or (0,))[0]
    query = sql.MEMBERSHIP_15 if int(major) >= 15 else sql.MEMBERSHIP_14
    rows = connection.execute(query, {"oids": oids})
    return {row.oid: _membership(row, members[row.oid]) for row in rows if row.oid in members}


def storage_options(connection: Connection, leaves: Iterable[int]) -> dict[int, tuple[str, ...]]:
    """The storage parameters of each of *leaves* that has any."""
    rows = connection.execute(sql.OPTIONS, {"oids": list(leaves)})
    return {row.oid: tuple(row.options) for row in rows if row.options}


def differing(connection: Connection, tables: Iterable[int]) -> Mapping[int, tuple[int, ...]]:
    """The oids of partitions that may differ from their table, by the oid of the table: none when all is well."""
    found: dict[int, list[int]] = defaultdict(list)
    for root, oid in connection.execute(sql.DRIFT, {"oids": list(tables)}):
        found[root].append(oid)
    return {root: tuple(oids) for root, oids in found.items()}


def read_members(connection: Connection, oids: Iterable[int]) -> dict[int, Member]:
    """What each of these tables has for itself; those that are gone are left out."""
    wanted = list(oids)
    return {row.oid: _member(row) for row in connection.execute(sql.MEMBERS, {"oids": wanted})} if wanted else {}


def _member(row: Row[Any]) -> Member:
    index = None if row.index_name is None else QualifiedName(row.index_schema, row.index_name)
    return Member(
        owner=row.owner,
        grants=_grants(row.grants) | _grants(row.column_grants),
        row_security=row.row_security,
        force_row_security=row.forced,
        policies=frozenset(_policy(each, row.printed) for each in json.loads(row.policies or "[]")),
        replica_identity=row.identity,
        replica_index=index,
        tablespace=row.tablespace,
        access_method=row.access_method,
        publications=frozenset(Publication(name) for name in row.publications),
        columns=frozenset(ColumnSetting(*each) for each in json.loads(row.columns or "[]")),
        indexes=frozenset(_target(*each) for each in json.loads(row.index_targets or "[]")),
        statistics=frozenset(_statistics(*each) for each in json.loads(row.statistics or "[]")),
        passed_on=row.passed_on,
        divided=row.kind == "p",
        reachable=row.reachable,
    )


def _grants(listed: str | None) -> frozenset[Grant]:
    return frozenset(Grant(*each) for each in json.loads(listed or "[]"))


def _target(schema: str, index: str, number: int, target: int) -> IndexTarget:
    return IndexTarget(QualifiedName(schema, index), number, target)


def _statistics(
    kinds: list[str], columns: list[str], expressions: list[str], target: int, schema: str, name: str
) -> MemberStatistics:
    return MemberStatistics(tuple(kinds), tuple(columns), tuple(expressions), target, QualifiedName(schema, name))


def _policy(listed: list[Any], printed: str) -> Policy:
    name, command, permissive, roles, using, check = listed
    return Policy(name, command, permissive, tuple(roles), _expression(using, printed), _expression(check, printed))


def _expression(sql_text: str | None, printed: str) -> str | None:
    return None if sql_text is None else with_name(sql_text, printed)


def _membership(row: Row[Any], table: Member) -> Membership:
    lacking, named = [], {False: set[Publication](), True: set[Publication]()}
    if not row.may_place:
        lacking.append(f"GRANT CREATE ON TABLESPACE {row.tablespace} TO {row.owner}")
    for name, divided, tail, usable, reachable, owner in json.loads(row.publications or "[]"):
        named[divided].add(Publication(name, tail or "", usable))
        if not usable and not reachable:
            lacking.append(f"GRANT {owner} TO {row.role}")
    return Membership(
        table, _grants(row.fresh), frozenset(named[False]), frozenset(named[True]), (), tuple(dict.fromkeys(lacking))
    )
