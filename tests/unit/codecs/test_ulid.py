"""ULID as text and as uuid."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from sa_partman.bounds.bound import MAXVALUE, KeyValue
from sa_partman.codecs import ULID
from sa_partman.key import Family

NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC)


def test_the_bound_in_a_text_column() -> None:
    """Ten characters of time, sixteen zeros."""
    assert "01HK153X00" + "0" * 16 == ULID().encode(NEW_YEAR, Family.TEXT)


def test_the_bound_in_a_uuid_column() -> None:
    """48 bits of milliseconds, then zeros."""
    assert UUID("018cc251-f400-0000-0000-000000000000") == ULID().encode(NEW_YEAR, Family.UUID)


def test_the_example_of_the_specification() -> None:
    """01ARZ3NDEKTSV4RRFFQ69G5FAV was made in July 2016."""
    expected = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=1_469_922_850_259)

    assert expected == ULID().decode("01ARZ3NDEKTSV4RRFFQ69G5FAV")


@pytest.mark.parametrize(
    "value", ["01HK153X00ZZZZZZZZZZZZZZZZ", "01HK153X00", UUID("018cc251-f400-4abc-8000-0123456789ab")]
)
def test_a_value_tells_its_millisecond(value: KeyValue) -> None:
    """As text, as a bound of the time alone, and as any uuid: chance may look like a version."""
    assert NEW_YEAR == ULID().decode(value)


@pytest.mark.parametrize(
    "value",
    [
        "01hk153x000000000000000000",
        "01HK153X0000000000000000000",
        "01HK153X0000000000000000U0",
        "81HK153X000000000000000000",
        "01HK153X00\n",
        "",
        5,
        MAXVALUE,
    ],
)
def test_what_is_no_ulid_is_refused(value: KeyValue) -> None:
    """In lower case it sorts elsewhere; I, L, O and U are no digits; 8 overflows."""
    with pytest.raises(ValueError, match="not a ULID"):
        ULID().decode(value)


def test_a_year_that_python_lacks_is_refused() -> None:
    """The largest ULID is of the year 10889."""
    with pytest.raises(ValueError, match="outside the years"):
        ULID().decode("7ZZZZZZZZZZZZZZZZZZZZZZZZZ")


def test_an_instant_before_1970_is_refused() -> None:
    """There is no negative time in a ULID."""
    with pytest.raises(ValueError, match="before 1970"):
        ULID().encode(datetime(1969, 1, 1, tzinfo=UTC), Family.TEXT)
