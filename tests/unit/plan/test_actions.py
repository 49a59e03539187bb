"""Actions are sentences: whole values, reversible, and each says which lock it takes."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sa_partman.bounds.bound import DEFAULT, HashBound
from sa_partman.key import KeyPart, KeyType, PartitionKey
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import (
    Action,
    ArchiveTable,
    AttachPartition,
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
    UnmarkDetached,
)
from sa_partman.plan.member_actions import CreateStatistics, SetColumn, SetIndexTarget, SetStatisticsTarget
from tests.support.builders import holds, numbers

NAMES = st.builds(QualifiedName, st.none() | st.text(min_size=1, max_size=3), st.text(min_size=1, max_size=3))
BOUNDS = st.sampled_from([numbers(0, 1), holds("a", None), HashBound(4, 1), DEFAULT])
KEYS = st.sampled_from([PartitionKey((KeyPart("id", None, KeyType.of("bigint")),))])
BY = st.none() | st.just("HASH (id)")
BOOLS = st.booleans()
ACTIONS: st.SearchStrategy[Action] = st.one_of(
    st.builds(CreateTable, NAMES, NAMES, BY, BOOLS),
    st.builds(DropTable, NAMES, NAMES, BY, BOOLS),
    st.builds(CreatePartition, NAMES, NAMES, BOUNDS, KEYS, BY, BOOLS),
    st.builds(DropPartition, NAMES, NAMES, BOUNDS, KEYS, BY, BOOLS),
    st.builds(AttachPartition, NAMES, NAMES, BOUNDS, KEYS, BOOLS),
    st.builds(DetachPartition, NAMES, NAMES, BOUNDS, KEYS, BOOLS),
    st.builds(MarkDetached, NAMES, NAMES, st.none() | st.text()),
    st.builds(UnmarkDetached, NAMES, NAMES, st.none() | st.text()),
    st.builds(MoveRows, NAMES, NAMES, BOUNDS, KEYS, st.integers(0, 9)),
)


@given(action=ACTIONS)
def test_the_inverse_of_the_inverse_is_the_action(action: Action) -> None:
    """Whatever its fields are; and none is its own inverse in kind but moving rows."""
    assert not isinstance(action, FinalizeDetach | DropInvalidIndex | DeleteReferring | ArchiveTable | DropDetached)
    told = SetColumn | SetIndexTarget | CreateStatistics | SetStatisticsTarget
    assert not isinstance(action, DeleteExpired | MarkAdopted | RequireEmpty | told)
    inverse = action.inverse()

    assert action == inverse.inverse()
    assert type(inverse) is not type(action) or isinstance(action, MoveRows)


@pytest.mark.parametrize("kind", get_args(Action), ids=lambda kind: kind.__name__)
def test_every_action_names_its_lock(kind: type) -> None:
    """So that whoever reads a plan knows what it costs."""
    assert any(word in (kind.__doc__ or "") for word in ("SHARE", "EXCLUSIVE"))


def test_what_has_no_inverse() -> None:
    """What is pending is detached already; what is deleted, archived or dropped for good has no way back, and what the
    planner is told needs none."""
    told = {SetColumn, SetIndexTarget, CreateStatistics, SetStatisticsTarget}
    final = {
        FinalizeDetach,
        DropInvalidIndex,
        DeleteExpired,
        DeleteReferring,
        ArchiveTable,
        DropDetached,
        MarkAdopted,
        RequireEmpty,
        *told,
    }

    assert final == {kind for kind in get_args(Action) if not hasattr(kind, "inverse")}


def test_a_concurrent_detach_runs_outside_of_a_transaction() -> None:
    """And nothing else does."""
    name, key = QualifiedName("public", "x"), PartitionKey((KeyPart("id", None, KeyType.of("bigint")),))

    assert DetachPartition(name, name, DEFAULT, key).in_transaction
    assert not DetachPartition(name, name, DEFAULT, key, concurrently=True).in_transaction
