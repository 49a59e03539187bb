"""New partitions become members in the step that makes them, and what differs is mended: decided without a server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sa_partman.bounds.bound import DEFAULT
from sa_partman.catalog import FoundTable, Partition, Privileges
from sa_partman.ddl.render import sql_of, step_sql
from sa_partman.key import KeyPart, KeyType, PartitionKey
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import (
    AttachPartition,
    CreatePartition,
    CreateTable,
    DetachPartition,
    MoveRows,
)
from sa_partman.plan.locks import LockMode, Relatives, locks_of, subjects_of
from sa_partman.plan.membership import as_members, by_owner, changes, makes, newest_leaf, repair_step
from sa_partman.plan.steps import Purpose, Step, pieces
from sa_partman.plan.table_actions import GrantPrivileges, Publish, SetReplicaIdentity, SetRowSecurity
from sa_partman.table.definition import NAME, Grant, Policy, Publication
from sa_partman.table.membership import Member, Membership, differences
from tests.support.builders import numbers

TABLE, PART, LEAF, REST = (QualifiedName("public", name) for name in ("events", "p", "p_h0", "rest"))
INDEX = QualifiedName("public", "by_ref")
KEY = PartitionKey((KeyPart("id", None, KeyType.of("bigint")),))
BOUND = numbers(0, 10)
POLICY = Policy("p", "ALL", True, ("PUBLIC",), f"({NAME}.id > 1)")
PLAIN = Member("me")
MADE = (CreateTable(PART, TABLE), AttachPartition(TABLE, PART, BOUND, KEY))


def step(*actions: object, purpose: Purpose = Purpose.PROVISION) -> Step:
    return Step(purpose, TABLE, PART, BOUND, actions)  # type: ignore[arg-type]


def names(made: Step) -> list[str]:
    return [type(action).__name__ for action in made.actions]


def grant(privilege: str, grantee: str = '"app"', column: str | None = None, grantable: bool = False) -> Grant:
    return Grant(grantee, privilege, column, grantable)


# -- creation


def test_a_plain_table_changes_nothing() -> None:
    assert step(*MADE) == as_members(step(*MADE), Membership(PLAIN))


def test_everything_comes_before_the_attach() -> None:
    """But what needs the partition's part of an index, and the publications."""
    table = replace(
        PLAIN,
        grants=frozenset({grant("SELECT")}),
        row_security=True,
        policies=frozenset({POLICY}),
        replica_identity="i",
        replica_index=INDEX,
    )
    membership = Membership(table, leaf_publications=frozenset({Publication("pub")}), options=("fillfactor=70",))

    assert [
        "CreateTable",
        "SetStorage",
        "GrantPrivileges",
        "CreatePolicy",
        "SetRowSecurity",
        "AttachPartition",
        "SetReplicaIdentity",
        "Publish",
    ] == names(as_members(step(*MADE), membership))


def test_rows_move_before_row_security_stands_in_the_way() -> None:
    moved = step(MADE[0], MoveRows(REST, PART, BOUND, KEY), MADE[1])
    membership = Membership(replace(PLAIN, row_security=True, force_row_security=True))

    assert ["CreateTable", "MoveRows", "SetRowSecurity", "SetRowSecurity", "AttachPartition"] == names(
        as_members(moved, membership)
    )


def test_a_branch_that_is_taken_apart_and_put_together() -> None:
    """A leaf is made, filled, detached and attached again: it becomes a member the last time."""
    inner = CreatePartition(PART, LEAF, BOUND, KEY)
    branch = step(
        CreateTable(PART, TABLE, "HASH (id)"),
        inner,
        MoveRows(REST, PART, BOUND, KEY),
        DetachPartition(PART, LEAF, BOUND, KEY),
        MADE[1],
        AttachPartition(PART, LEAF, BOUND, KEY),
    )
    made = as_members(branch, Membership(replace(PLAIN, row_security=True), options=("fillfactor=70",)))

    assert [
        "CreateTable",
        "CreatePartition",
        "MoveRows",
        "DetachPartition",
        "SetRowSecurity",
        "AttachPartition",
        "SetStorage",
        "SetRowSecurity",
        "AttachPartition",
    ] == names(made)
    assert [PART, LEAF] == [action.table for action in made.actions if isinstance(action, SetRowSecurity)]


def test_tablespace_and_access_method_are_given_by_name_where_a_table_is_made_apart() -> None:
    table = replace(PLAIN, tablespace="my space", access_method="other")
    made = as_members(step(CreateTable(PART, TABLE, "HASH (id)"), MADE[1]), Membership(table))

    assert sql_of(made.actions)[0].endswith('PARTITION BY HASH (id) USING "other" TABLESPACE "my space"')


def test_what_default_privileges_add_is_taken_away() -> None:
    table = replace(PLAIN, grants=frozenset({grant("SELECT"), grant("UPDATE", column="region")}))
    made = as_members(step(*MADE), Membership(table, fresh=frozenset({grant("DELETE"), grant("SELECT")})))

    assert (
        'REVOKE DELETE ON TABLE public.p FROM "app"',
        'GRANT UPDATE ("region") ON TABLE public.p TO "app"',
    ) == sql_of(made.actions[1:-1])


def test_a_step_that_makes_nothing() -> None:
    """A table that is attached again is not touched."""
    again = step(MADE[1])

    assert not makes(again)
    assert again == as_members(again, Membership(replace(PLAIN, row_security=True)))


def test_a_large_branch_keeps_members_with_their_tables() -> None:
    """Also where it takes several transactions."""
    inner = tuple(CreatePartition(PART, LEAF.sibling(f"p_h{each}"), BOUND, KEY) for each in range(6))
    membership = Membership(replace(PLAIN, row_security=True))
    made = as_members(step(CreateTable(PART, TABLE, "HASH (id)"), MADE[1], *inner), membership)
    parts = list(pieces(made.actions, 2))

    assert [3, 4, 4, 4] == [len(part) for part in parts]
    assert made.actions == tuple(action for part in parts for action in part)
    assert ["CreatePartition", "SetRowSecurity"] * 2 == [type(action).__name__ for action in parts[1]]


# -- who does it


@pytest.mark.parametrize(
    ("purpose", "privileges", "role"),
    [
        (Purpose.PROVISION, Privileges(owner="boss"), None),
        (Purpose.PROVISION, Privileges(owner="boss", is_same=False), "boss"),
        (Purpose.DROP, Privileges(owner="boss", is_same=False), None),
        (Purpose.DROP, Privileges(owner="boss", is_same=False, is_owner=False), "boss"),
        (Purpose.REPAIR, Privileges(owner="boss", is_same=False), None),
    ],
)
def test_who_does_a_step(purpose: Purpose, privileges: Privileges, role: str | None) -> None:
    """The owner creates; whatever else is the owner's only where its rights come by SET ROLE alone."""
    assert role == by_owner(step(*MADE, purpose=purpose), privileges).role


def test_a_role_is_printed_with_the_step() -> None:
    inside = replace(step(*MADE), role='a "b"')
    outside = replace(step(DetachPartition(TABLE, PART, BOUND, KEY, concurrently=True)), role="boss")

    assert 'SET LOCAL ROLE "a ""b"""' == step_sql(inside)[0]
    assert ('SET ROLE "boss"', "SET ROLE NONE") == (step_sql(outside)[0], step_sql(outside)[-1])


# -- repair


def test_a_full_member_needs_nothing() -> None:
    assert () == tuple(changes(PART, PLAIN, PLAIN))
    assert () == tuple(differences(PLAIN, PLAIN))


def test_a_revoked_privilege_of_the_table_takes_those_of_columns_with_it() -> None:
    """So they are granted again."""
    have = replace(PLAIN, grants=frozenset({grant("SELECT"), grant("SELECT", column="id")}))
    want = replace(PLAIN, grants=frozenset({grant("SELECT", column="id")}))

    assert (
        'REVOKE SELECT ON TABLE public.p FROM "app"',
        'GRANT SELECT ("id") ON TABLE public.p TO "app"',
    ) == sql_of(changes(PART, have, want))


def test_a_privilege_that_was_passed_on() -> None:
    """It hangs on somebody else's, so all go, and come again."""
    have = replace(PLAIN, grants=frozenset({grant("SELECT"), grant("SELECT", '"x"')}), passed_on=True)
    want = replace(PLAIN, grants=frozenset({grant("SELECT")}))

    assert (
        'REVOKE SELECT ON TABLE public.p FROM "app" CASCADE',
        'REVOKE SELECT ON TABLE public.p FROM "x" CASCADE',
        'GRANT SELECT ON TABLE public.p TO "app"',
    ) == sql_of(changes(PART, have, want))


def test_another_owners_own_privileges_go_with_the_table() -> None:
    have = Member("you", frozenset({grant("SELECT", '"you"')}))
    want = Member("me", frozenset({grant("SELECT", '"me"')}))

    assert ('ALTER TABLE public.p OWNER TO "me"',) == sql_of(changes(PART, have, want))


def test_policies_are_dropped_before_they_are_made_again() -> None:
    have = replace(PLAIN, policies=frozenset({replace(POLICY, using="true")}))
    want = replace(PLAIN, policies=frozenset({POLICY}))

    assert (
        'DROP POLICY "p" ON public.p',
        'CREATE POLICY "p" ON public.p AS PERMISSIVE FOR ALL TO PUBLIC USING (("p".id > 1))',
    ) == sql_of(changes(PART, have, want))


def test_what_would_rewrite_the_table_is_no_repair() -> None:
    partition = Partition(PART, 1, BOUND, "r")
    have = replace(PLAIN, tablespace="slow")

    assert None is repair_step(TABLE, partition, have, Membership(PLAIN))
    assert [True] == [each.moves for each in differences(have, PLAIN)]


def test_a_publication_that_the_owner_may_not_change_comes_last_and_as_whoever_connected() -> None:
    membership = Membership(PLAIN, leaf_publications=frozenset({Publication("pub", usable=False)}))

    assert ("SET LOCAL ROLE NONE", 'ALTER PUBLICATION "pub" ADD TABLE public.p') == sql_of(
        as_members(step(*MADE), membership).actions
    )[-2:]


def test_locks_of_a_repair() -> None:
    """Privileges lock nothing; what changes who sees which rows, the partition."""
    granted, guarded = GrantPrivileges(PART, '"app"', ("SELECT",)), SetRowSecurity(PART, True)
    around = {PART: Relatives()}

    assert () == locks_of([granted], around)
    assert [LockMode.ACCESS_EXCLUSIVE] == [lock.mode for lock in locks_of([guarded], around)]
    assert [LockMode.SHARE_UPDATE_EXCLUSIVE] == [
        lock.mode for lock in locks_of([Publish(PART, Publication("x"))], around)
    ]


def test_locks_of_a_new_member() -> None:
    """Nobody knows a table that the step makes itself."""
    made = (MADE[0], SetRowSecurity(PART, True), SetReplicaIdentity(PART, "f"), MADE[1])

    assert {TABLE: False} == subjects_of(made)


# -- the newest leaf


def test_the_newest_leaf() -> None:
    """By its bound, whatever the catalog's order; a default partition is the last choice, a foreign table none."""
    old, new = (Partition(PART.sibling(str(each)), each, numbers(each, each + 1), "r") for each in (1, 2))
    rest = Partition(REST, 9, DEFAULT, "r")
    far = Partition(PART.sibling("far"), 7, numbers(90, 91), "f")
    pending = Partition(PART.sibling("gone"), 8, numbers(50, 51), "r", detach_pending=True)
    branch = Partition(PART, 5, numbers(20, 30), "p", strategy="HASH", key=KEY, partitions=(new,))

    def newest(*partitions: Partition) -> Partition | None:
        return newest_leaf(FoundTable(TABLE, 0, "RANGE", KEY, partitions))

    assert new == newest(new, old, rest, pending, far)
    assert new == newest(branch, old)
    assert rest == newest(rest)
    assert None is newest()
