"""What the planner says of locks is what the server does: compared with ``pg_locks``, action by action."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, text

from sa_partman import LockPolicy, PartitionByRange
from sa_partman.engine.locks import view_locks
from sa_partman.engine.statements import apply_actions
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import (
    Action,
    ArchiveTable,
    AttachPartition,
    CopyRows,
    CreatePartition,
    CreateTable,
    DeleteExpired,
    DeleteReferring,
    DetachPartition,
    DropDetached,
    DropInvalidIndex,
    DropPartition,
    DropTable,
    FinalizeDetach,
    MarkAdopted,
    MarkDetached,
    MoveRows,
    RequireEmpty,
    Stored,
    UnmarkDetached,
)
from sa_partman.plan.locks import LockMode, locks_of, subjects_of
from sa_partman.plan.rewrite.actions import CopyChunk
from sa_partman.plan.table_actions import (
    ChangeOwner,
    CreatePolicy,
    CreateStatistics,
    DropPolicy,
    GrantPrivileges,
    MemberAction,
    Publish,
    RevokePrivileges,
    SetColumn,
    SetIndexTarget,
    SetReplicaIdentity,
    SetRowSecurity,
    SetStatisticsTarget,
    SetStorage,
    Unpublish,
)
from sa_partman.postgres.session import pin
from sa_partman.table.definition import Policy, Publication
from sa_partman.table.membership import ColumnSetting, IndexTarget, MemberStatistics
from tests.support.builders import at, declare, kinds, span
from tests.support.database import holding, sql

NAME = QualifiedName("public", "events")
KEY = declare(PartitionByRange("created_at", interval="1 month")).level.key
OLD, NEW, REST, APART = (NAME.sibling(f"events_{name}") for name in ("old", "new", "default", "apart"))
POLICY = Policy("p", "ALL", True, ("PUBLIC",), "true")
Locks = dict[QualifiedName, LockMode]
SHORT = {
    LockMode.SHARE_UPDATE_EXCLUSIVE: "SUX",
    LockMode.SHARE_ROW_EXCLUSIVE: "SRX",
    LockMode.ACCESS_EXCLUSIVE: "AX",
}
OF_OLD, OF_NEW = span("2030-01-01", "2030-02-01"), span("2030-02-01", "2030-03-01")

SCHEMA = """
CREATE TABLE orgs (id bigint PRIMARY KEY);
CREATE TABLE events (id bigint, org bigint REFERENCES orgs, created_at timestamptz, PRIMARY KEY (id, created_at))
    PARTITION BY RANGE (created_at);
CREATE TABLE events_old PARTITION OF events FOR VALUES FROM ('2030-01-01+00') TO ('2030-02-01+00');
CREATE TABLE clicks (event bigint, at timestamptz, FOREIGN KEY (event, at) REFERENCES events);
CREATE TABLE apart (LIKE events INCLUDING ALL);
CREATE TABLE events_apart (LIKE events INCLUDING ALL, FOREIGN KEY (org) REFERENCES orgs)
"""
WITH_DEFAULT = "CREATE TABLE events_default PARTITION OF events DEFAULT"

# Both neighbours are partitioned; one partition of clicks has a key of its own.
PARTITIONED = """
CREATE TABLE orgs (id bigint PRIMARY KEY) PARTITION BY HASH (id);
CREATE TABLE orgs_h0 PARTITION OF orgs FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE TABLE events (id bigint, org bigint REFERENCES orgs, created_at timestamptz, PRIMARY KEY (id, created_at))
    PARTITION BY RANGE (created_at);
CREATE TABLE events_old PARTITION OF events FOR VALUES FROM ('2030-01-01+00') TO ('2030-02-01+00');
CREATE TABLE clicks (event bigint, at timestamptz, FOREIGN KEY (event, at) REFERENCES events) PARTITION BY RANGE (at);
CREATE TABLE clicks_rest PARTITION OF clicks DEFAULT;
CREATE TABLE views (event bigint, at timestamptz) PARTITION BY RANGE (at);
CREATE TABLE views_rest PARTITION OF views DEFAULT;
ALTER TABLE views_rest ADD FOREIGN KEY (event, at) REFERENCES events;
CREATE TABLE events_apart (LIKE events INCLUDING ALL, FOREIGN KEY (org) REFERENCES orgs)
"""
TO_ITSELF = """
CREATE TABLE events (id bigint, created_at timestamptz, org bigint, up bigint, at timestamptz,
    PRIMARY KEY (id, created_at), FOREIGN KEY (up, at) REFERENCES events) PARTITION BY RANGE (created_at);
CREATE TABLE events_old PARTITION OF events FOR VALUES FROM ('2030-01-01+00') TO ('2030-02-01+00');
CREATE TABLE events_later PARTITION OF events FOR VALUES FROM ('2031-01-01+00') TO ('2031-02-01+00');
CREATE TABLE events_apart (LIKE events INCLUDING ALL)
"""
MORE = """
CREATE INDEX by_org ON events (abs(org));
CREATE STATISTICS st ON id, org FROM events_old;
CREATE PUBLICATION pub
"""
PENDING = "UPDATE pg_inherits SET inhdetachpending = true WHERE inhrelid = CAST('events_old' AS regclass)"

STEPS: dict[str, tuple[Action, ...]] = {
    "create": (CreateTable(NEW, NAME), AttachPartition(NAME, NEW, OF_NEW, KEY)),
    "create at once": (CreatePartition(NAME, NEW, OF_NEW, KEY),),
    "move": (
        CreateTable(NEW, NAME),
        MoveRows(REST, NEW, OF_NEW, KEY, attached=NAME),
        AttachPartition(NAME, NEW, OF_NEW, KEY),
    ),
    "attach": (AttachPartition(NAME, APART, OF_NEW, KEY),),
    "detach": (DetachPartition(NAME, OLD, OF_OLD, KEY), MarkDetached(OLD, NAME)),
    "detach and drop": (DetachPartition(NAME, OLD, OF_OLD, KEY), DropTable(OLD)),
    "finalize": (FinalizeDetach(NAME, OLD),),
    "drop detached": (DropTable(APART),),
    "drop": (DropPartition(NAME, OLD, OF_OLD, KEY),),
    "regrid": (
        RequireEmpty(OLD, NAME),
        DropPartition(NAME, OLD, OF_OLD, KEY),
        CreateTable(OLD, NAME),
        AttachPartition(NAME, OLD, OF_OLD, KEY),
    ),
    "regrid, detached": (
        RequireEmpty(OLD, NAME),
        DetachPartition(NAME, OLD, OF_OLD, KEY),
        DropTable(OLD),
        CreateTable(NEW, NAME),
        AttachPartition(NAME, NEW, OF_OLD, KEY),
    ),
    "adopt": (MarkAdopted(OLD, NAME, at("2030-06-15"), bound=OF_OLD, key=KEY),),
    "mark": (MarkDetached(OLD, NAME), UnmarkDetached(OLD)),
    "storage": (SetStorage(OLD, ("fillfactor=70",)),),
    "column": (SetColumn(OLD, ColumnSetting("org", "statistics", "5")),),
    "option": (SetColumn(OLD, ColumnSetting("org", "n_distinct", "5")),),
    "statistics": (CreateStatistics(OLD, NAME.sibling("more"), MemberStatistics(("d",), ("id", "org"), ())),),
    "publish": (Publish(OLD, Publication("pub")), Unpublish(OLD, Publication("pub"))),
    "target": (SetStatisticsTarget(OLD, NAME.sibling("st"), 5),),
    "index target": (SetIndexTarget(OLD, IndexTarget(NAME.sibling("by_org"), 1, 7)),),
    "grant": (GrantPrivileges(OLD, "PUBLIC", ("SELECT",)), RevokePrivileges(OLD, "PUBLIC", ("SELECT",))),
    "owner": (ChangeOwner(OLD, "pg_monitor"),),
    "row security": (SetRowSecurity(OLD, True), SetRowSecurity(OLD, True, forced=True)),
    "policy": (CreatePolicy(OLD, POLICY), DropPolicy(OLD, POLICY.name)),
    "identity": (SetReplicaIdentity(OLD, "f"),),
    "identity by index": (SetReplicaIdentity(OLD, "i", NAME.sibling("events_pkey")),),
}
ELSEWHERE = {
    DropInvalidIndex: "test_healing_indexes.py",
    DeleteReferring: "writes rows, a batch a transaction",
    DeleteExpired: "writes rows, a batch a transaction",
    ArchiveTable: "no statement of its own",
    DropDetached: "looks at the mark, and drops as `DropTable` does",
}
CONVERSIONS = {
    each
    for each in kinds()
    if each in (Stored, CopyRows) or (each.__module__ == MemberAction.__module__ and not issubclass(each, MemberAction))
}
"""Of their steps: conversion/test_locks_taken.py."""

REWRITES = {each for each in kinds() if each.__module__ == CopyChunk.__module__}
"""Their steps name what they lock before anything else, and run under writers: rewrite/test_load.py."""

_TAKEN = text("""
SELECT n.nspname, c.relname, l.mode FROM pg_catalog.pg_locks l
JOIN pg_catalog.pg_class c ON c.oid = l.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE l.pid = pg_catalog.pg_backend_pid() AND l.granted AND n.nspname = 'public' AND c.relkind IN ('r', 'p')
""")


SCHEMAS = {"plain": SCHEMA, "partitioned": PARTITIONED, "to itself": TO_ITSELF}


def test_every_action_is_measured() -> None:
    measured = {type(action) for actions in STEPS.values() for action in actions}

    assert set(kinds()) == measured | ELSEWHERE.keys() | CONVERSIONS | REWRITES


@pytest.mark.everywhere
@pytest.mark.parametrize("default", [False, True], ids=["", "default"])
@pytest.mark.parametrize("around", SCHEMAS)
def test_locks_as_the_server_takes_them(around: str, default: bool, engine: Engine, server_major: int) -> None:
    """
    What a step locks strongly is what is locked before it begins: no more, and no less.

    PostgreSQL 14 takes less of the partitions of a referenced table.
    """
    differs = {}
    for what in STEPS:
        if what == ("finalize" if default else "move"):
            continue  # rows are moved out of a default partition, beside which nothing is detached concurrently
        wanted, taken = locks(engine, around, what, default=default)
        less = server_major < 15 and around != "plain" and all(wanted.get(each, 0) >= taken[each] for each in taken)
        if wanted != taken and not less:
            differs[what] = (wanted, taken)

    assert {} == differs


def locks(engine: Engine, around: str, what: str, *, default: bool) -> tuple[Locks, Locks]:
    """What is asked for before *what* begins, and what it has then; of relations that are there before and after."""
    sql(engine, "DROP SCHEMA public CASCADE; CREATE SCHEMA public; DROP PUBLICATION IF EXISTS pub")
    sql(engine, SCHEMAS[around] + (f";{WITH_DEFAULT}" if default else "") + f";{MORE}")
    if what in ("drop", "regrid"):
        sql(engine, "DROP TABLE IF EXISTS clicks, views")
        sql(engine, "ALTER TABLE events DROP CONSTRAINT IF EXISTS events_up_at_fkey")
    if what == "finalize":
        sql(engine, PENDING)
    actions = STEPS[what]
    with engine.connect() as connection, connection.begin() as transaction:
        pin(connection, 1)
        seen = view_locks(connection, subjects_of(actions)).relatives
        wanted = {lock.table: lock.mode for lock in locks_of(actions, seen)}
        before = _names(connection)
        apply_actions(connection, actions)
        there = before & _names(connection)
        taken = _taken(connection)
        transaction.rollback()
    assert wanted.keys() <= before
    strong = {name: mode for name, mode in taken.items() if mode > LockMode.ROW_EXCLUSIVE and name in there}
    return {name: mode for name, mode in wanted.items() if name in there}, strong


PAGE = Path(__file__).parents[3] / "docs" / "locks.md"
ROWS = {
    "provision": "create",
    "a table that has": "attach",
    'prune, `then="drop"`: `DROP': "drop",
    'prune, `then="detach"`': "detach",
    'prune, `then="drop"`, where': "detach and drop",
    '`then="detach"` with': "finalize",
    "rows moved": "move",
    "a detached table": "drop detached",
    "a comment": "storage",
    "owner": "policy",
}
"""How a row of the page begins, and what it is about."""


@pytest.mark.parametrize("row", ROWS, ids=ROWS.values())
def test_the_page_says_what_the_server_does(row: str, engine: Engine, server_major: int) -> None:
    """Of each table; what goes in the same step has nothing left to look at."""
    what = ROWS[row]
    line = next(line for line in PAGE.read_text("utf-8").splitlines() if line.startswith(f"| {row}"))
    cells = [cell.strip(" *") for cell in line.strip("|").split("|")][1:]
    said = [cell.split("; ")[-1] if "on 14" in cell and server_major < 15 else cell for cell in cells]
    _, taken = locks(engine, "plain", what, default=what != "finalize")
    partition = next(iter({OLD, APART} & taken.keys()), None)
    tables = (NAME, partition, REST, NAME.sibling("orgs"), NAME.sibling("clicks"))
    found = ["-" if table is None or table not in taken else SHORT[taken[table]] for table in tables]

    for place, (word, mode) in enumerate(zip(said, found, strict=True)):
        gone = place == 1 and mode == "-"  # new, or dropped
        assert gone or word == "impossible" or mode in re.findall(r"AX|SUX|SRX|-(?= |$)", word), (what, place, line)


def _names(connection: Connection) -> set[QualifiedName]:
    found = connection.execute(
        text("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')")
    )
    return {NAME.sibling(row[0]) for row in found}


def _taken(connection: Connection) -> Locks:
    found: Locks = {}
    for schema, name, mode in connection.execute(_TAKEN):
        known = LockMode.of_catalog(mode)
        if known is not None:
            found[QualifiedName(schema, name)] = max(known, found.get(QualifiedName(schema, name), known))
    return found


def test_one_look_shows_relatives_and_holders(engine: Engine) -> None:
    """Nobody is waited for, not even who holds ACCESS EXCLUSIVE."""
    sql(engine, f"{SCHEMA};{WITH_DEFAULT}")
    with (
        holding(engine, "LOCK TABLE ONLY events IN ACCESS EXCLUSIVE MODE") as pid,
        engine.connect() as connection,
        connection.begin(),
    ):
        pin(connection, LockPolicy().lock_timeout)
        seen = view_locks(connection, {NAME: False, OLD: True}, "1 = 1")

    assert (REST, (NAME.sibling("orgs"),), (NAME.sibling("clicks"),)) == (
        seen.relatives[NAME].default,
        seen.relatives[NAME].referenced,
        seen.relatives[NAME].referencing,
    )
    assert NAME == seen.relatives[OLD].parent
    assert [(NAME, pid)] == [(held.table, held.key[0]) for held in seen.held]
    assert seen.holds


def test_a_condition_that_does_not_hold(engine: Engine) -> None:
    with engine.connect() as connection, connection.begin():
        pin(connection, 1)

        assert not view_locks(connection, {NAME: False}, "1 = 1").holds
