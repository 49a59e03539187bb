"""Retention and archive as they are declared: whole, comparable, written back as Python."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sa_partman import Archive, Retention
from sa_partman.bounds.interval import Duration
from sa_partman.errors import DeclarationError

WRITTEN = [
    Retention("30 days"),
    Retention(12, then="drop"),
    Retention("14 months", then="detach", concurrently=True),
    Retention("14 months", then="drop", grace="7 days"),
    Retention("1 month", then=Archive("/var/archive")),
    Retention("1 month", then=Archive("s3://bucket/it's", format="parquet"), grace="2 days", concurrently=False),
    Retention("1 month", then="drop", referencing_tables=("notes", "other.notes")),
]


@pytest.mark.parametrize("retention", WRITTEN, ids=str)
def test_repr_is_the_python_that_makes_it_again(retention: Retention) -> None:
    assert retention == eval(repr(retention), {"Retention": Retention, "Archive": Archive})


def test_retentions_are_told_apart() -> None:
    """By everything that they say, and usable in sets."""
    assert len(WRITTEN) == len(set(WRITTEN))


def test_what_was_written_before_means_the_same() -> None:
    """No grace, no referencing table, no archive."""
    plain = Retention("30 days", then="drop")

    assert (None, (), None, False) == (plain.grace, plain.referencing_tables, plain.archive, plain.detaches)
    assert "Retention('30 days', then='drop')" == repr(plain)
    assert "30 days, then drop" == str(plain)


def test_the_old_name_of_referencing_tables_still_works() -> None:
    with pytest.warns(DeprecationWarning, match=r"called Retention\(referencing_tables=...\) now"):
        old = Retention("1 month", then="drop", satellites=["notes"])

    assert old == Retention("1 month", then="drop", referencing_tables=["notes"])


@pytest.mark.parametrize(
    ("retention", "detaches"),
    [
        (Retention("1 day"), True),
        (Retention("1 day", then="drop"), False),
        (Retention("1 day", then="drop", grace="1 day"), True),
        (Retention("1 day", then=Archive("/a")), True),
    ],
)
def test_what_stands_alone_for_a_while(retention: Retention, detaches: bool) -> None:
    """Only what is dropped at once does not."""
    assert detaches is retention.detaches


def test_a_grace_is_calendar_time() -> None:
    assert Duration(days=7) == Retention("1 day", then="drop", grace=timedelta(days=7)).grace
    assert "1 day, then detach, 1 week later drop" == str(Retention("1 day", then="drop", grace="7 days"))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: Retention("1 day", grace="7 days"), "kept for ever"),
        (lambda: Retention("1 day", then="drop", grace="soon"), "is not an interval"),
        (lambda: Retention("1 day", then="drop", grace=timedelta(0)), "leave grace= out"),
        (lambda: Retention("1 day", then="delete"), "then=Archive("),  # type: ignore[arg-type]
        (lambda: Retention("1 day", referencing_tables="notes"), "referencing_tables=('notes',)"),
        (lambda: Retention("1 day", referencing_tables=("",)), "names of tables"),
        (lambda: Archive(""), "name a directory"),
        (lambda: Archive("S3://bucket"), "that is no URL"),
        (lambda: Archive("/a", format="json"), "write format='csv.gz'"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_declaration_says_what_to_write(wrong: Callable[[], Any], says: str) -> None:
    """When the class is mapped, and not when something expires."""
    with pytest.raises(DeclarationError) as caught:
        wrong()

    assert says in str(caught.value)


def test_an_archive_is_a_value() -> None:
    """Immutable, comparable; a path is as good as text."""
    archive = Archive(Path("/var/archive"))

    assert Archive("/var/archive") == archive
    assert "Archive('/var/archive')" == repr(archive)
    with pytest.raises(AttributeError):
        archive.to = "/elsewhere"  # type: ignore[misc]
