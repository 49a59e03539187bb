"""What a new primary key begins with, and the indexes that are lost by it."""

import pytest

from sa_partman.table.definition import Columns, key_in_order, lost_indexes


@pytest.mark.parametrize(
    ("wanted", "present", "key"),
    [
        (("at", "id"), ("id",), ("id", "at")),
        (("at", "b", "a"), ("a", "b"), ("a", "b", "at")),
        (("at", "b"), ("a", "b"), ("at", "b")),
        (("at", "a"), ("a", "b"), ("a", "at")),
        (("at", "id"), ("id", "at"), ("id", "at")),
        (("at", "id"), (), ("at", "id")),
        ((), ("id",), ()),
    ],
)
def test_the_new_key_begins_as_the_old_one(
    wanted: tuple[str, ...], present: tuple[str, ...], key: tuple[str, ...]
) -> None:
    assert key == key_in_order(wanted, present)


@pytest.mark.parametrize(
    ("before", "after", "lost"),
    [
        (("id",), [("at", "id")], ["k"]),
        (("id",), [("id", "at")], []),
        (("id",), [("at", "id"), ("id",)], []),
        (("a", "b"), [("a", "at", "b")], ["k"]),
        (("a", "b"), [("b", "a")], ["k"]),
        (("id",), [(None, "id")], ["k"]),
        ((None,), [("at", "id")], []),
        (("a", "b"), [("a",)], ["k"]),
    ],
)
def test_an_index_is_lost_when_no_other_one_begins_as_it_does(
    before: Columns, after: list[Columns], lost: list[str]
) -> None:
    assert lost == [each.name for each in lost_indexes([("k", before)], after)]
