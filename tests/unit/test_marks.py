"""Our mark: read back as what was written, with the user's comment behind it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sa_partman.marks import is_marked, marked, parent_of, unmarked
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
