"""Residues: whose they are."""

from __future__ import annotations

import pytest

from sa_partman.catalog import InvalidIndex
from sa_partman.names import QualifiedName, join_name

EVENTS = QualifiedName("public", "events")
OLD = EVENTS.sibling("events_old")


def _index(name: str, *above: str, partitioned: bool = False) -> InvalidIndex:
    return InvalidIndex(EVENTS.sibling(name), OLD, 1, partitioned, above=above)


@pytest.mark.parametrize(
    ("index", "ours"),
    [
        (_index("events_old_by_note", "by_note"), True),
        (_index("events_old_by_note", "by_id", "by_note"), True),
        (_index(join_name("events_old", "x" * 60), "x" * 60), True),
        (_index("events_old_by_note"), False),
        (_index("events_old_note_idx", "by_note"), False),
        (_index("events_old_by_note_ccnew", "by_note"), False),
        (_index("events_old_by_note_ccold", "by_note"), False),
        (_index("events_old_by_note", "by_note", partitioned=True), False),
    ],
)
def test_an_index_is_ours_when_only_we_name_one_so(index: InvalidIndex, ours: bool) -> None:
    """The partition's name and that of an index of its parent; also when both are too long for a name."""
    assert ours == index.ours
