"""Residues: whose they are, and what heals a detach that can't be ended, as statements."""

from __future__ import annotations

import pytest

from sa_partman.compare.residues import Anatomy, Change, Column, InvalidIndex, changes_of, explained
from sa_partman.names import QualifiedName, join_name

EVENTS = QualifiedName("public", "events")
OLD = EVENTS.sibling("events_old")
TABLE = 'ALTER TABLE "public"."events"'
ID, NOTE = Column("id", "bigint", True), Column("note", "text")
BEFORE = Anatomy((ID, NOTE), (("positive", "CHECK ((id > 0))"),))


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


@pytest.mark.parametrize(
    ("after", "undo", "redo"),
    [
        (
            Anatomy((ID, NOTE, Column("extra", "integer", True, "DEFAULT 5")), BEFORE.checks),
            'DROP COLUMN "extra"',
            'ADD COLUMN "extra" integer DEFAULT 5 NOT NULL',
        ),
        (
            Anatomy((ID, Column("remark", "text")), BEFORE.checks),
            'RENAME COLUMN "remark" TO "note"',
            'RENAME COLUMN "note" TO "remark"',
        ),
        (
            Anatomy((Column("id", "numeric(9,2)", True), NOTE), BEFORE.checks),
            'ALTER COLUMN "id" TYPE bigint',
            'ALTER COLUMN "id" TYPE numeric(9,2)',
        ),
        (
            Anatomy((ID, Column("note", "text", True)), BEFORE.checks),
            'ALTER COLUMN "note" DROP NOT NULL',
            'ALTER COLUMN "note" SET NOT NULL',
        ),
        (
            Anatomy((ID, NOTE), (*BEFORE.checks, ('a"b', "CHECK (note <> '')"))),
            'DROP CONSTRAINT "a""b"',
            'ADD CONSTRAINT "a""b" CHECK (note <> \'\')',
        ),
    ],
)
def test_each_change_is_undone_and_made_again(after: Anatomy, undo: str, redo: str) -> None:
    (change,) = changes_of(EVENTS, after, BEFORE)

    assert (f"{TABLE} {undo}", f"{TABLE} {redo}") == (change.undo, change.redo)
    assert ("DROP COLUMN" in undo) is change.loses


@pytest.mark.parametrize(
    "after",
    [
        BEFORE,
        Anatomy((ID,), BEFORE.checks),
        Anatomy((Column("id", "bigint"), NOTE), ()),
        Anatomy((NOTE, ID), BEFORE.checks),
        Anatomy((Column("id", "bigint", True, "DEFAULT 5"), NOTE), BEFORE.checks),
    ],
)
def test_what_does_not_keep_a_detach_from_ending(after: Anatomy) -> None:
    """A dropped column or constraint, another order, a default, a column that may be NULL now."""
    assert [] == list(changes_of(EVENTS, after, BEFORE))


def test_a_column_renamed_and_made_strict() -> None:
    """Two changes of one column: what was done last is taken back first."""
    after = Anatomy((ID, Column("remark", "text", True)), BEFORE.checks)
    changes = tuple(changes_of(EVENTS, after, BEFORE))
    shown = explained(EVENTS, OLD, changes)
    order = ['"remark" DROP NOT NULL', '"remark" TO "note"', "FINALIZE", '"note" TO "remark"', '"remark" SET NOT NULL']

    assert sorted(order, key=shown.index) == order
    assert 'DROP TABLE "public"."events_old"' in shown


def test_what_would_be_lost_is_said() -> None:
    lost, kept = Change("x", "undo", "redo", loses=True), Change("x", "undo", "redo")

    assert "is lost" in explained(EVENTS, OLD, (kept, lost))
    assert "is lost" not in explained(EVENTS, OLD, (kept,))
    assert "" == explained(EVENTS, OLD, ())
