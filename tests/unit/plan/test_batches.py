"""Which steps share a transaction, and which need several."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sa_partman import PartitionByRange
from sa_partman.bounds.bound import HashBound
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import (
    Action,
    AttachPartition,
    CreatePartition,
    CreateTable,
    DetachPartition,
    DropPartition,
    MoveRows,
)
from sa_partman.plan.steps import (
    MOST,
    MOST_REMOVED,
    TOGETHER,
    Purpose,
    Step,
    batches,
    gathered,
    groups,
    is_light,
    most_of,
    most_together,
    pieces,
    room,
    weight,
)
from tests.support.builders import EVENTS, declare, numbers

KEY = declare(PartitionByRange("created_at", interval="1 month")).level.key


def creation(number: int, parent: QualifiedName = EVENTS, inner: int = 0) -> Step:
    name = EVENTS.sibling(f"{parent.name}_p{number}")
    bound = numbers(number, number + 1)
    below = tuple(
        CreatePartition(name, name.sibling(f"{name.name}_h{each}"), HashBound(inner, each), KEY)
        for each in range(inner)
    )
    actions: tuple[Action, ...] = (CreateTable(name, parent), AttachPartition(parent, name, bound, KEY), *below)
    return Step(Purpose.PROVISION, EVENTS, name, bound, actions)


def removal(number: int) -> Step:
    name, bound = EVENTS.sibling(f"events_p{number}"), numbers(number, number + 1)
    return Step(Purpose.DROP, EVENTS, name, bound, (DropPartition(EVENTS, name, bound, KEY),))


@pytest.mark.parametrize(
    ("slots", "indexes", "expected"),
    [(64 * 100, 0, 320), (64 * 100, 6, 145), (10 * 100, 3, 31), (10 * 10, 20, 1), (0, 0, 1)],
)
def test_a_quarter_of_the_room_for_locks(slots: int, indexes: int, expected: int) -> None:
    assert expected == room(slots, indexes)


def test_few_partitions_are_made_one_by_one() -> None:
    """A transaction each is nearly free, and a failure costs one partition."""
    assert 1 == most_of([creation(1)], 999, 6_400, 3)


def test_thousands_of_partitions_share_transactions() -> None:
    """Removing stops everybody, so fewer go together; a small lock table has room for fewer still."""
    assert MOST == most_of([creation(1)], 1_000, 6_400, 3)
    assert MOST_REMOVED == most_of([removal(1)], 1_000, 6_400, 3)
    assert 12 == most_of([creation(1)], 5_000, 400, 3)


def test_groups_keep_the_order() -> None:
    """Of one purpose and one parent; a concurrent detach, and one that moves rows, have to be alone."""
    branch = EVENTS.sibling("events_p9")
    moving = creation(5)
    moving = Step(moving.purpose, EVENTS, moving.partition, moving.bound, (*moving.actions, _moved(moving)))
    alone = Step(
        Purpose.DETACH, EVENTS, branch, None, (DetachPartition(EVENTS, branch, numbers(9, 10), KEY, concurrently=True),)
    )
    steps = [creation(1), creation(2), creation(3, branch), moving, creation(4), removal(1), removal(2), alone, alone]

    assert [2, 1, 1, 1, 2, 1, 1] == [len(group) for group in groups(steps)]
    assert steps == list(chain.from_iterable(groups(steps)))


def _moved(step: Step) -> MoveRows:
    bound = step.bound
    assert bound is not None
    return MoveRows(EVENTS.sibling("events_default"), step.partition, bound, KEY)


@given(sizes=st.lists(st.integers(0, 9), max_size=30), most=st.integers(1, 12))
def test_batches(sizes: list[int], most: int) -> None:
    """Nothing is lost or moved; none is larger than allowed, but for a step that is too large by itself."""
    steps = [creation(number, inner=inner) for number, inner in enumerate(sizes)]
    found = list(batches(steps, most))

    assert steps == list(chain.from_iterable(found))
    assert all(len(batch) == 1 or sum(map(weight, batch)) <= most for batch in found)


@given(inner=st.integers(0, 30), most=st.integers(1, 12))
def test_pieces_of_a_large_branch(inner: int, most: int) -> None:
    """The branch comes first, then what is below it, a few at a time, in order."""
    actions = creation(1, inner=inner).actions
    found = list(pieces(actions, most))

    assert actions == tuple(chain.from_iterable(found))
    assert len(found) == 1 or all(len(piece) <= max(most, 2) for piece in found)
    assert isinstance(found[0][0], CreateTable)
    assert [list(pieces(piece, most)) for piece in found] == [[piece] for piece in found]


def test_a_branch_into_which_rows_are_moved_is_one_piece() -> None:
    """Before it is whole, nobody may see it."""
    step = creation(1, inner=8)
    actions: tuple[Action, ...] = (step.actions[0], _moved(step), *step.actions[1:])

    assert [actions] == list(pieces(actions, 3))


def test_few_creations_of_several_parents_go_together() -> None:
    """What removes, what is many, and what another role does, stays by itself."""
    others = [EVENTS.sibling(f"other{number}") for number in range(3)]
    few = [creation(1), *(creation(number, parent) for number, parent in enumerate(others))]
    many = [creation(number, EVENTS.sibling("many")) for number in range(TOGETHER + 1)]
    foreign = replace(creation(7, EVENTS.sibling("theirs")), role="owner")

    found = list(gathered(groups([*few, *many, foreign, removal(1), removal(2)]), TOGETHER))

    assert [tuple(few), tuple(many), (foreign,), (removal(1), removal(2))] == found
    assert [True, False, False, False] == [is_light(each, TOGETHER) for each in found]


@given(st.lists(st.integers(min_value=0, max_value=12), max_size=40), st.integers(min_value=1, max_value=TOGETHER))
def test_gathering_loses_nothing(parents: list[int], most: int) -> None:
    steps = [creation(place, EVENTS.sibling(f"t{parent}")) for place, parent in enumerate(parents)]

    found = list(gathered(groups(steps), most))

    assert steps == list(chain.from_iterable(found))
    assert all(sum(map(weight, each)) <= most for each in found if is_light(each, most))


def test_a_server_with_little_room_for_locks() -> None:
    """The others keep three quarters of it, and what is many indexes for us is counted."""
    assert [TOGETHER, 10, 1] == [most_together(slots) for slots in (6_400, 600, 20)]
