"""Which relations a step locks, how, and in which order."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sa_partman import PartitionByRange
from sa_partman.bounds.bound import DEFAULT
from sa_partman.key import KeyType, PartitionKey
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import (
    Action,
    AttachPartition,
    CreatePartition,
    CreateTable,
    DetachPartition,
    DropPartition,
    DropTable,
    FinalizeDetach,
    MarkDetached,
    MoveRows,
)
from sa_partman.plan.locks import LockMode, Relatives, locks_of, subjects_of
from tests.support.builders import EVENTS, declare, span

KEY = declare(PartitionByRange("created_at", interval="1 month")).level.key
BOUND = span("2030-01-01", "2030-02-01")
P = EVENTS.sibling("events_p20300101")
LEAF = EVENTS.sibling("events_p20300101_h0")
REST = EVENTS.sibling("events_default")
ORGS, CLICKS = EVENTS.sibling("orgs"), EVENTS.sibling("clicks")
FAMILY = Relatives(default=REST, referenced=(ORGS,), referencing=(CLICKS,))

CREATION = (CreateTable(P, EVENTS), AttachPartition(EVENTS, P, BOUND, KEY))
DETACH = DetachPartition(EVENTS, P, BOUND, KEY)
modes = st.sampled_from(LockMode)


def shown(actions: tuple[Action, ...], around: dict[QualifiedName, Relatives]) -> list[str]:
    return [str(lock) for lock in locks_of(actions, around)]


# -- modes


@given(modes, modes)
def test_conflicts_are_mutual(one: LockMode, other: LockMode) -> None:
    assert one.conflicts(other) == other.conflicts(one)


@given(modes, modes, modes)
def test_a_stronger_mode_conflicts_with_no_less(weak: LockMode, strong: LockMode, other: LockMode) -> None:
    """But for SHARE, which SHARE UPDATE EXCLUSIVE is no part of: it lets other SHARE locks in."""
    if weak <= strong and LockMode.SHARE not in (weak, strong):
        assert not weak.conflicts(other) or strong.conflicts(other)


def test_gentle_modes_stop_no_reader_and_no_writer() -> None:
    application = (LockMode.ACCESS_SHARE, LockMode.ROW_SHARE, LockMode.ROW_EXCLUSIVE)

    assert [mode for mode in LockMode if mode.gentle] == [
        mode for mode in LockMode if not any(mode.conflicts(each) for each in application)
    ]


@given(modes)
def test_modes_as_pg_locks_shows_them(mode: LockMode) -> None:
    assert mode is LockMode.of_catalog(mode.catalog)
    assert "ShareUpdateExclusiveLock" == LockMode.SHARE_UPDATE_EXCLUSIVE.catalog
    assert LockMode.of_catalog("SIReadLock") is None


# -- steps


def test_a_creation_stops_nobody() -> None:
    """The new table is nobody's business."""
    assert ["SHARE UPDATE EXCLUSIVE on public.events"] == shown(CREATION, {EVENTS: Relatives()})


def test_a_creation_among_relatives() -> None:
    """Tables of foreign keys first, the default partition last."""
    expected = [
        "SHARE ROW EXCLUSIVE on public.orgs",
        "SHARE ROW EXCLUSIVE on public.clicks",
        "SHARE UPDATE EXCLUSIVE on public.events",
        "ACCESS EXCLUSIVE on public.events_default",
    ]

    assert expected == shown(CREATION, {EVENTS: FAMILY})


def test_rows_that_are_moved() -> None:
    """One lock, the stronger one, from the beginning: nothing is upgraded while others wait."""
    moving = (CREATION[0], MoveRows(REST, P, BOUND, KEY), CREATION[1])
    around = {EVENTS: Relatives(default=REST), REST: Relatives(parent=EVENTS)}

    assert ["SHARE UPDATE EXCLUSIVE on public.events", "ACCESS EXCLUSIVE on public.events_default"] == shown(
        moving, around
    )


def test_a_branch_is_made_under_its_parents_locks() -> None:
    """What is new in the step needs none."""
    branch = (*CREATION, CreatePartition(P, LEAF, DEFAULT, KEY))

    assert ["SHARE UPDATE EXCLUSIVE on public.events"] == shown(branch, {EVENTS: Relatives()})
    assert [EVENTS] == list(subjects_of(branch))


def test_a_partition_of_a_parent_that_everybody_knows() -> None:
    assert ["ACCESS EXCLUSIVE on public.events", "ACCESS EXCLUSIVE on public.events_default"] == shown(
        (CreatePartition(EVENTS, P, BOUND, KEY),), {EVENTS: Relatives(default=REST)}
    )


def test_attaching_a_table_that_was_there() -> None:
    """Its own foreign keys are merged, for which the referenced table is locked like by a DROP."""
    around = {EVENTS: Relatives(referenced=(ORGS,)), P: Relatives(referenced=(ORGS,))}

    assert [
        "ACCESS EXCLUSIVE on public.orgs",
        "SHARE UPDATE EXCLUSIVE on public.events",
        "ACCESS EXCLUSIVE on public.events_p20300101",
    ] == shown((AttachPartition(EVENTS, P, BOUND, KEY),), around)


def test_a_drop() -> None:
    """With everything below; the tables that it refers to are not touched."""
    drop = DropPartition(EVENTS, P, BOUND, KEY)
    around = {EVENTS: FAMILY, P: Relatives(parent=EVENTS, referenced=(ORGS,), below=(LEAF,))}
    locks = locks_of((drop,), around)

    assert [EVENTS, P, REST] == [lock.table for lock in locks]
    assert {LockMode.ACCESS_EXCLUSIVE} == {lock.mode for lock in locks}
    assert [P] == [lock.table for lock in locks if lock.tree]
    assert {EVENTS: False, P: True} == subjects_of((drop,))


def test_a_detach() -> None:
    assert [
        "SHARE ROW EXCLUSIVE on public.orgs",
        "ACCESS EXCLUSIVE on public.clicks",
        "ACCESS EXCLUSIVE on public.events",
        "ACCESS EXCLUSIVE on public.events_p20300101",
        "ACCESS EXCLUSIVE on public.events_default",
    ] == shown((DETACH, MarkDetached(P, EVENTS)), {EVENTS: FAMILY, P: Relatives(parent=EVENTS)})


def test_a_detach_and_a_drop() -> None:
    """A table that stands alone takes its triggers off the tables that it refers to."""
    around = {EVENTS: Relatives(referenced=(ORGS,)), P: Relatives(parent=EVENTS, referenced=(ORGS,))}

    assert "ACCESS EXCLUSIVE on public.orgs" == shown((DETACH, DropTable(P)), around)[0]


def test_dropping_a_table_that_is_attached() -> None:
    assert ["ACCESS EXCLUSIVE on public.events", "ACCESS EXCLUSIVE on public.events_p20300101"] == shown(
        (DropTable(P),), {P: Relatives(parent=EVENTS, referenced=(ORGS,))}
    )


def test_a_table_that_refers_to_itself() -> None:
    """One lock, the strongest, where it comes first."""
    around = {EVENTS: Relatives(referenced=(EVENTS,), referencing=(EVENTS,)), P: Relatives(parent=EVENTS)}

    assert ["ACCESS EXCLUSIVE on public.events", "ACCESS EXCLUSIVE on public.events_p20300101"] == shown(
        (DETACH,), around
    )


def test_the_end_of_a_concurrent_detach_stops_those_who_refer_to_the_table() -> None:
    """It is gentle with the table itself."""
    around = {EVENTS: FAMILY, P: Relatives(parent=EVENTS)}
    locks = {lock.table: lock.mode for lock in locks_of((FinalizeDetach(EVENTS, P),), around)}

    assert {*FAMILY.referencing, P} <= {table for table, mode in locks.items() if mode is LockMode.ACCESS_EXCLUSIVE}
    assert LockMode.SHARE_UPDATE_EXCLUSIVE is locks[EVENTS]


def test_a_comment_is_gentle() -> None:
    around = {EVENTS: FAMILY, P: Relatives(parent=EVENTS)}

    assert ["SHARE UPDATE EXCLUSIVE on public.events_p20300101"] == shown((MarkDetached(P, EVENTS),), around)


def test_what_is_gone_is_not_locked() -> None:
    """The statement itself will say so."""
    assert () == locks_of((DropPartition(EVENTS, P, BOUND, KEY), MarkDetached(P, EVENTS)), {})


def test_other_types_of_keys_make_no_difference() -> None:
    other = PartitionKey(tuple(replace(part, type=KeyType.of("bigint")) for part in KEY.parts))

    assert ["SHARE UPDATE EXCLUSIVE on public.events"] == shown(
        (CREATION[0], AttachPartition(EVENTS, P, BOUND, other)), {EVENTS: Relatives()}
    )
