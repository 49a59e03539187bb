"""What every codec keeps to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sa_partman import codecs
from sa_partman.bounds.interval import Interval, ZonedGrid
from sa_partman.codecs import ULID, Codec, Epoch, Snowflake, UUIDv7
from sa_partman.key import Family

CODECS: list[Codec] = [
    UUIDv7(),
    ULID(),
    Epoch("s"),
    Epoch("ms"),
    Epoch("us"),
    Epoch("ns"),
    Snowflake(epoch="2015-01-01"),
]
CASES = [(codec, family) for codec in CODECS for family in sorted(codec.families)]
TICK = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

INSTANTS = st.datetimes(datetime(1995, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))
LATER_INSTANTS = st.datetimes(datetime(1970, 1, 10), datetime(9999, 12, 30), timezones=st.just(UTC))
GRIDS = st.builds(
    ZonedGrid,
    st.sampled_from(["1 month", "1 day", "1 week", "15 minutes", "1 hour", "1 second", "1 year"]).map(Interval.parse),
    st.sampled_from(["UTC", "America/Havana", "Asia/Kathmandu", "Australia/Lord_Howe"]).map(ZoneInfo),
)


def made(codec: Codec, family: Family, instant: datetime, chance: int) -> Any:
    """A value as an application makes it at *instant*; *chance* is 80 bits."""
    micros = (instant - EPOCH) // TICK
    match codec:
        case UUIDv7():
            a, b = chance >> 68, chance & (1 << 62) - 1
            return UUID(int=micros // 1000 << 80 | 7 << 76 | a << 64 | 2 << 62 | b)
        case ULID():
            number = micros // 1000 << 80 | chance
            return UUID(int=number) if family is Family.UUID else base32(number)
        case Epoch():
            nanos = micros * 1000 + chance % 1000
            number = nanos // {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[codec.unit]
        case _:
            since_2015 = (instant - datetime(2015, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
            number = since_2015 * 2**22 + chance % 2**22
    return Decimal(number) if family is Family.NUMERIC else number


def base32(number: int) -> str:
    text = ""
    for _ in range(26):
        number, digit = divmod(number, 32)
        text = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[digit] + text
    return text


CHANCE = st.integers(0, 2**80 - 1)


@pytest.mark.parametrize(("codec", "family"), CASES)
@given(grid=GRIDS, instant=INSTANTS, inside=st.floats(0, 1), chance=CHANCE)
def test_values_lie_in_the_partition_of_their_instant(
    codec: Codec, family: Family, grid: ZonedGrid, instant: datetime, inside: float, chance: int
) -> None:
    """The first value of a period is >= its bound, the last of the period before is < it, all others lie between."""
    cell = grid.cell(instant)
    lower, upper = encoded(codec, cell.lower, family), encoded(codec, cell.upper, family)
    within = min(cell.lower + (cell.upper - cell.lower) * inside, cell.upper - TICK)

    first, last = made(codec, family, cell.lower, 0), made(codec, family, cell.upper - TICK, 2**80 - 1)
    before = made(codec, family, cell.lower - TICK, 2**80 - 1)

    assert before < lower <= first <= last < upper
    assert lower <= made(codec, family, within, chance) < upper


def encoded(codec: Codec, instant: datetime, family: Family) -> Any:
    return codec.encode(instant, family)


@pytest.mark.parametrize(("codec", "family"), CASES)
@given(instant=INSTANTS)
def test_decode_undoes_encode(codec: Codec, family: Family, instant: datetime) -> None:
    """Every instant on the resolution comes back."""
    exact = EPOCH + (instant - EPOCH) // codec.resolution * codec.resolution

    assert exact == codec.decode(codec.encode(exact, family))


@pytest.mark.parametrize(("codec", "family"), CASES)
@given(instant=INSTANTS, chance=CHANCE)
def test_decode_tells_when_a_value_was_made(codec: Codec, family: Family, instant: datetime, chance: int) -> None:
    """To the resolution, whatever chance put into the lower bits."""
    exact = EPOCH + (instant - EPOCH) // codec.resolution * codec.resolution

    assert exact == codec.decode(made(codec, family, instant, chance))


@pytest.mark.parametrize(("codec", "family"), CASES)
@given(first=INSTANTS, second=INSTANTS)
def test_encode_keeps_the_order(codec: Codec, family: Family, first: datetime, second: datetime) -> None:
    """An earlier instant never has the greater value."""
    earlier, later = sorted((first, second))

    assert encoded(codec, earlier, family) <= encoded(codec, later, family)


@given(instant=LATER_INSTANTS)
def test_uuids_and_ulids_reach_to_the_end_of_pythons_years(instant: datetime) -> None:
    """48 bits are enough for every instant since 1970."""
    exact = instant.replace(microsecond=instant.microsecond // 1000 * 1000)
    values = [UUIDv7().encode(exact), ULID().encode(exact, Family.TEXT), ULID().encode(exact, Family.UUID)]

    assert [exact] * 3 == [UUIDv7().decode(values[0]), ULID().decode(values[1]), ULID().decode(values[2])]


@pytest.mark.parametrize("codec", CODECS)
def test_the_repr_makes_it_again(codec: Codec) -> None:
    """Migration files contain it; the names of the package are all that it needs."""
    again = eval(repr(codec), {name: getattr(codecs, name) for name in codecs.__all__})

    assert (codec, hash(codec)) == (again, hash(again))


@pytest.mark.parametrize("codec", CODECS)
def test_it_is_a_codec(codec: object) -> None:
    """The protocol that a user's own class keeps to as well."""
    assert isinstance(codec, Codec)


def test_different_codecs_differ() -> None:
    """A set of declarations holds each once."""
    assert len(CODECS) == len({*CODECS, *CODECS})


@pytest.mark.parametrize(
    ("codec", "family", "expected"),
    [
        (UUIDv7(), Family.UUID, """pg_catalog.substr(("id")::pg_catalog.text, 15, 1) <> '7'"""),
        (ULID(), Family.TEXT, """("id")::pg_catalog.text !~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'"""),
        (ULID(), Family.UUID, None),
        (Epoch("s"), Family.INTEGER, None),
        (Snowflake(epoch=0), Family.NUMERIC, None),
    ],
)
def test_misplaced_rows(codec: Codec, family: Family, expected: str | None) -> None:
    """SQL that finds what the codec can't place; None where it can place everything."""
    assert expected == codec.misplaced('"id"', family)
