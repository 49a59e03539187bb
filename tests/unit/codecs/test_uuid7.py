"""UUIDv7: bounds, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from sa_partman.bounds.bound import MINVALUE, KeyValue
from sa_partman.codecs import UUIDv7


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        (datetime(2024, 1, 1, tzinfo=UTC), "018cc251-f400-7000-8000-000000000000"),
        (datetime(2025, 2, 1, tzinfo=UTC), "0194bece-a000-7000-8000-000000000000"),
        (datetime(1970, 1, 1, tzinfo=UTC), "00000000-0000-7000-8000-000000000000"),
    ],
)
def test_the_bound_of_an_instant(instant: datetime, expected: str) -> None:
    """48 bits of milliseconds, then the smallest that version and variant allow."""
    assert UUID(expected) == UUIDv7().encode(instant)


@pytest.mark.parametrize(
    "value",
    [
        "018cc251-f400-7000-8000-000000000000",
        "018cc251-f400-7fff-bfff-ffffffffffff",
        "018cc251-f400-0000-0000-000000000000",
        "018cc251-f400-7000-0000-000000000000",
    ],
)
def test_a_value_tells_its_millisecond(value: str) -> None:
    """Values that a generator made, and bounds that another tool filled up with zeros."""
    assert datetime(2024, 1, 1, tzinfo=UTC) == UUIDv7().decode(UUID(value))


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (UUID("5e5b0b0c-9a5e-4c1e-8f5e-0123456789ab"), "version 4"),
        (UUID("1ef0b0c0-9a5e-6c1e-8f5e-0123456789ab"), "version 6"),
        (UUID("ffffffff-ffff-ffff-ffff-ffffffffffff"), "version 15"),
        (UUID("ffffffff-ffff-7fff-bfff-ffffffffffff"), "outside the years"),
        ("018cc251-f400-7000-8000-000000000000", "not a UUID"),
        (MINVALUE, "not a UUID"),
        (None, "not a UUID"),
    ],
)
def test_what_tells_no_time_is_refused(value: KeyValue, complaint: str) -> None:
    """A random UUID would name a year thousands away."""
    with pytest.raises(ValueError, match=complaint):
        UUIDv7().decode(value)


@pytest.mark.parametrize(
    ("instant", "complaint"),
    [(datetime(1969, 12, 31, tzinfo=UTC), "before 1970"), (datetime(2024, 1, 1), "no time zone")],
)
def test_an_instant_that_has_no_uuid_is_refused(instant: datetime, complaint: str) -> None:
    """UUIDs do not reach before 1970, and a naive time is no instant."""
    with pytest.raises(ValueError, match=complaint):
        UUIDv7().encode(instant)
