"""Names and labels: known answers; what holds for all is a property."""

from __future__ import annotations

import pytest

from sa_partman.names import QualifiedName, fits, join_name, label_of, quote


def test_a_name_that_fits_is_left_alone() -> None:
    """To the last byte."""
    assert "e" * 53 + "_p2026010" == join_name("e" * 53, "p2026010")
    assert fits(join_name("e" * 53, "p2026010"))


def test_a_name_that_does_not_fit() -> None:
    """The table's part is cut, the suffix is whole."""
    name = join_name("e" * 60, "p20260101")

    assert 63 == len(name)
    assert name.endswith("_p20260101")
    assert name.startswith("eeeee")


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("de", "de"),
        ("t1_2", "t1_2"),
        (None, "null"),
        (5, "5"),
        (True, None),
        ("ABC", None),
        ("null", None),
        ("default", None),
    ],
)
def test_labels(value: object, label: str | None) -> None:
    """A plain word is its own label; anything else gets a hash, and its letters for people to read."""
    if label is not None:
        assert label == label_of(value)
    else:
        assert label_of(value) != str(value)
        assert label_of(value).startswith(str(value).lower()[:7])


def test_a_label_without_letters() -> None:
    """Only the hash is left."""
    assert 8 == len(label_of("日本語"))


def test_qualified_names() -> None:
    """As people write them, and as SQL does."""
    name = QualifiedName("audit", 'the "log"')

    assert 'audit.the "log"' == str(name)
    assert '"audit"."the ""log"""' == name.quoted
    assert '"x"' == QualifiedName(None, "x").quoted
    assert QualifiedName("audit", "y") == name.sibling("y")


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_what_nothing_can_be_called(name: str) -> None:
    """PostgreSQL has no such name."""
    with pytest.raises(ValueError, match="can't be the name"):
        quote(name)
