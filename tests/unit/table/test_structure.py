"""What heals a detach that can't be ended, as statements."""

from __future__ import annotations

import pytest

from sa_partman.names import QualifiedName
from sa_partman.table.definition import Column
from sa_partman.table.structure import Structure, StructureChange, changes_of, explained

EVENTS = QualifiedName("public", "events")
OLD = EVENTS.sibling("events_old")
TABLE = 'ALTER TABLE "public"."events"'
ID, NOTE = Column("id", "bigint", True), Column("note", "text")
BEFORE = Structure((ID, NOTE), (("positive", "CHECK ((id > 0))"),))


@pytest.mark.parametrize(
    ("after", "undo", "redo"),
    [
        (
            Structure((ID, NOTE, Column("extra", "integer", True, expression="5")), BEFORE.checks),
            'DROP COLUMN "extra"',
            'ADD COLUMN "extra" integer DEFAULT 5 NOT NULL',
        ),
        (
            Structure((ID, Column("remark", "text")), BEFORE.checks),
            'RENAME COLUMN "remark" TO "note"',
            'RENAME COLUMN "note" TO "remark"',
        ),
        (
            Structure((Column("id", "numeric(9,2)", True), NOTE), BEFORE.checks),
            'ALTER COLUMN "id" TYPE bigint',
            'ALTER COLUMN "id" TYPE numeric(9,2)',
        ),
        (
            Structure((ID, Column("note", "text", True)), BEFORE.checks),
            'ALTER COLUMN "note" DROP NOT NULL',
            'ALTER COLUMN "note" SET NOT NULL',
        ),
        (
            Structure((ID, NOTE), (*BEFORE.checks, ('a"b', "CHECK (note <> '')"))),
            'DROP CONSTRAINT "a""b"',
            'ADD CONSTRAINT "a""b" CHECK (note <> \'\')',
        ),
    ],
)
def test_each_change_is_undone_and_made_again(after: Structure, undo: str, redo: str) -> None:
    (change,) = changes_of(EVENTS, after, BEFORE)

    assert (f"{TABLE} {undo}", f"{TABLE} {redo}") == (change.undo, change.redo)
    assert ("DROP COLUMN" in undo) is change.loses


@pytest.mark.parametrize(
    "after",
    [
        BEFORE,
        Structure((ID,), BEFORE.checks),
        Structure((Column("id", "bigint"), NOTE), ()),
        Structure((NOTE, ID), BEFORE.checks),
        Structure((Column("id", "bigint", True, expression="5"), NOTE), BEFORE.checks),
    ],
)
def test_what_does_not_keep_a_detach_from_ending(after: Structure) -> None:
    """A dropped column or constraint, another order, a default, a column that may be NULL now."""
    assert [] == list(changes_of(EVENTS, after, BEFORE))


def test_a_column_renamed_and_made_strict() -> None:
    """Two changes of one column: what was done last is taken back first."""
    after = Structure((ID, Column("remark", "text", True)), BEFORE.checks)
    changes = tuple(changes_of(EVENTS, after, BEFORE))
    shown = explained(EVENTS, OLD, changes)
    order = ['"remark" DROP NOT NULL', '"remark" TO "note"', "FINALIZE", '"note" TO "remark"', '"remark" SET NOT NULL']

    assert sorted(order, key=shown.index) == order
    assert 'DROP TABLE "public"."events_old"' in shown


def test_what_would_be_lost_is_said() -> None:
    lost, kept = StructureChange("x", "undo", "redo", loses=True), StructureChange("x", "undo", "redo")

    assert "is lost" in explained(EVENTS, OLD, (kept, lost))
    assert "is lost" not in explained(EVENTS, OLD, (kept,))
    assert "" == explained(EVENTS, OLD, ())
