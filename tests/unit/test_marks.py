"""Our mark: read back as what was written, with the user's comment behind it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sa_partman.marks import (
    CREATED,
    Mark,
    adopted,
    created,
    is_foreign,
    is_marked,
    is_restored,
    mark_of,
    marked,
    parent_of,
    restored,
    unmarked,
)
from sa_partman.names import QualifiedName

NAMES = st.text(alphabet="ab\". é'", min_size=1, max_size=8)


@given(schema=st.none() | NAMES, name=NAMES, comment=st.none() | st.text(min_size=1, max_size=20))
def test_a_mark_and_back(schema: str | None, name: str, comment: str | None) -> None:
    """Whatever the parent is called and the user wrote."""
    parent = QualifiedName(schema, name)
    text = marked(parent, comment)

    assert is_marked(text)
    assert parent == parent_of(text)
    assert comment == unmarked(text)


@pytest.mark.parametrize("comment", [None, "", "mine", "detached from events", 'about sa_partman: detached from "x"'])
def test_a_comment_of_somebody_elses(comment: str | None) -> None:
    """It is no mark, and is left alone."""
    assert not is_marked(comment)
    assert comment == unmarked(comment)
    assert parent_of(comment or "") is None


@pytest.mark.parametrize("name", ['"a"."b"."c"', "", "events"])
def test_a_mark_that_names_no_parent(name: str) -> None:
    """Somebody edited it: no parent."""
    assert parent_of(f"sa_partman: detached from {name}") is None


NOW = datetime(2026, 11, 21, 14, tzinfo=UTC)


@given(
    name=NAMES,
    at=st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-3, minutes=-30))])),
    bound=st.text(max_size=30),
    comment=st.none() | st.text(min_size=1, max_size=20),
)
def test_when_and_what_come_back(name: str, at: datetime, bound: str, comment: str | None) -> None:
    """Whatever quotes and line ends a bound holds."""
    parent = QualifiedName("public", name)
    text = marked(parent, comment, at, bound)

    assert Mark(parent, at, bound) == mark_of(text)
    assert comment == unmarked(text)


def test_a_mark_is_one_line() -> None:
    """So that the user's comment can follow."""
    text = marked(QualifiedName("public", "events"), "mine", NOW, "FOR VALUES IN ('a\nb', '\"')")

    assert [
        'sa_partman: detached from "public"."events" at 2026-11-21T14:00:00+00:00 had '
        "\"FOR VALUES IN ('a\\nb', '\\\"')\"",
        "mine",
    ] == text.split("\n")


def test_an_old_mark_does_not_say_when() -> None:
    """It is a mark all the same."""
    assert Mark(QualifiedName("public", "events")) == mark_of('sa_partman: detached from "public"."events"\nmine')


@pytest.mark.parametrize(
    "rest",
    [
        " at noon",
        " at 2026-11-21",
        " at 2026-11-21T14:00:00",
        ' had "x"',
        ' at 2026-11-21T14:00:00+00:00 had "x',
        " now",
    ],
)
def test_a_mark_that_somebody_edited(rest: str) -> None:
    """We can't tell any more what it says, so it says nothing."""
    assert mark_of(f'sa_partman: detached from "public"."events"{rest}') is None


def test_what_was_restored_says_so() -> None:
    """It is not a mark of a detached table."""
    text = restored('/a/"b\n.json', NOW, "mine")

    assert is_restored(text)
    assert not is_restored("mine")
    assert not is_marked(text)
    assert "mine" == text.split("\n")[1]


@pytest.mark.parametrize(
    ("comment", "foreign"),
    [
        (None, True),
        ("mine", True),
        ("about sa_partman: created", True),
        (CREATED, False),
        (created("mine"), False),
        (adopted(NOW, "mine"), False),
        (restored("/a.json", NOW, CREATED), False),
        (marked(QualifiedName("public", "events"), None), False),
        (marked(QualifiedName("public", "events"), "mine", NOW, "DEFAULT", foreign=True), True),
    ],
)
def test_what_is_foreign(comment: str | None, foreign: bool) -> None:
    """What no mark of ours says is ours; what 0.1.0 detached bears one."""
    assert foreign == is_foreign(comment)


def test_a_detach_and_back_keeps_who_made_it() -> None:
    """The mark of the detach stands before that of the creation, and comes off alone."""
    before = created("mine")

    assert before == unmarked(marked(QualifiedName("public", "events"), before, NOW, "DEFAULT"))
    assert is_foreign(unmarked(marked(QualifiedName("public", "events"), "mine", NOW)))
