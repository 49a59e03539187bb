"""Records: whatever the pieces of a stream are, its rows are the same; and what a value's text is made of."""

from __future__ import annotations

import hashlib
import random
import struct
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sa_partman.archive.parquet import print_double
from sa_partman.archive.places import apart, file_name
from sa_partman.archive.records import Splitter, Tally, fields, record

VALUES = st.none() | st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9)
HARD = st.none() | st.text(alphabet='",\n\r\\N', max_size=9)
ROWS = st.lists(st.lists(VALUES | HARD, min_size=1, max_size=4), max_size=6)


@given(row=st.lists(VALUES | HARD, min_size=1, max_size=5))
def test_a_record_and_back(row: list[str | None]) -> None:
    """NULL is not the empty text."""
    assert row == fields(record(row))


@given(rows=ROWS, cuts=st.lists(st.integers(0, 200), max_size=8))
def test_pieces_of_a_stream(rows: Sequence[Sequence[str | None]], cuts: list[int]) -> None:
    """In the middle of a value, of a quote, of a character."""
    records = [record(row) for row in rows]
    stream = b"".join(records)
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    splitter = Splitter()
    found = [each for start, end in pairwise(places) for each in splitter.feed(stream[start:end])]

    assert records == found
    assert b"" == splitter.rest


def test_a_stream_that_was_cut_off() -> None:
    """Something is left that is no record."""
    splitter = Splitter()

    assert [b'"1"\n'] == splitter.feed(b'"1"\n"two\nlines')
    assert b'"two\nlines' == splitter.rest


@given(rows=ROWS, seed=st.randoms(use_true_random=False))
def test_a_tally(rows: Sequence[Sequence[str | None]], seed: random.Random) -> None:
    """The hash depends on the order, the checksum does not."""
    records = [record(row) for row in rows]
    mixed = list(records)
    seed.shuffle(mixed)
    one, other = Tally(), Tally()
    one.add(records)
    for each in mixed:
        other.add([each])

    assert hashlib.sha256(b"".join(records)).hexdigest() == one.sha256
    assert (len(records), len(b"".join(records))) == (one.rows, one.size)
    assert (one.rows, one.checksum) == (other.rows, other.checksum)
    assert (records == mixed) is (one.sha256 == other.sha256)


def test_a_checksum_notices() -> None:
    """One row more, or one that is there twice instead of another."""
    sums = set()
    several: list[list[str | None]] = [["a", "b"], ["a", "a"], ["a", "b", "b"], ["a", None], ["a", ""]]
    for rows in several:
        tally = Tally()
        tally.add(record([value]) for value in rows)
        sums.add(tally.checksum)

    assert 5 == len(sums)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (0.1, "0.1"),
        (1e-4, "0.0001"),
        (1e-5, "1e-05"),
        (1e15, "1e+15"),
        (123456789012345.0, "123456789012345"),
        (1234567890123456.0, "1.234567890123456e+15"),
        (1e23, "9.999999999999999e+22"),
        (5e-324, "5e-324"),
        (1.5e300, "1.5e+300"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (float("nan"), "NaN"),
    ],
)
def test_doubles_as_postgresql_prints_them(value: float, text: str) -> None:
    assert text == print_double(value)


@given(bits=st.integers(0, 2**64 - 1))
def test_every_double_comes_back(bits: int) -> None:
    (value,) = struct.unpack("d", bits.to_bytes(8, "little"))
    again = float(print_double(value))

    assert again == value or value != value


def test_names_of_files() -> None:
    """Plain words as they are; others are told apart by a hash."""
    assert "public.events_p20260101" == file_name("public", "events_p20260101")
    assert 3 == len({file_name("a/b"), file_name("a b"), file_name("a_b")})
    assert all("/" not in file_name(name) and len(file_name(name)) < 64 for name in ("../x", "é" * 31, "x" * 63, ""))


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/a/b.json", ("/a", "b.json")),
        ("/b.json", ("/", "b.json")),
        ("b.json", (".", "b.json")),
        ("s3://bucket/folder/b.json", ("s3://bucket/folder", "b.json")),
        ("s3://bucket/b.json?endpoint_override=http://a/b", ("s3://bucket?endpoint_override=http://a/b", "b.json")),
        ("/a?b/c.json", ("/a?b", "c.json")),
    ],
)
def test_where_a_file_lies(location: str, expected: tuple[str, str]) -> None:
    assert expected == apart(location)
