"""Snowflakes of Twitter, Discord and others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from sa_partman.bounds.bound import MAXVALUE, KeyValue
from sa_partman.codecs import Snowflake
from sa_partman.errors import DeclarationError
from sa_partman.key import Family

TWITTER = Snowflake(epoch=1288834974657)
DISCORD = Snowflake(epoch="2015-01-01")


def test_the_example_of_discord() -> None:
    """175928847299117063 was made on 2016-04-30 at 11:18:25.796, says Discord's reference."""
    assert datetime(2016, 4, 30, 11, 18, 25, 796_000, tzinfo=UTC) == DISCORD.decode(175928847299117063)


def test_the_example_of_twitter() -> None:
    """1541815603606036480 was made on 2022-06-28 at 16:07:40.105, says Wikipedia."""
    assert datetime(2022, 6, 28, 16, 7, 40, 105_000, tzinfo=UTC) == TWITTER.decode(1541815603606036480)


def test_the_bound_of_an_instant() -> None:
    """Milliseconds since the epoch, with nothing in the lower bits."""
    assert 1000 << 22 == DISCORD.encode(datetime(2015, 1, 1, 0, 0, 1, tzinfo=UTC), Family.INTEGER)


def test_an_interval_may_begin_before_the_epoch() -> None:
    """The month that holds Twitter's epoch begins below zero, and the bound still tells its time."""
    month = datetime(2010, 11, 1, tzinfo=UTC)
    bound = TWITTER.encode(month, Family.INTEGER)

    assert (True, month) == (bound < 0, TWITTER.decode(bound))


@pytest.mark.parametrize(
    "epoch",
    [
        "2015-01-01",
        "2015-01-01T00:00:00Z",
        "2015-01-01 02:00:00+02:00",
        datetime(2015, 1, 1, tzinfo=UTC),
        datetime(2015, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))),
        1420070400000,
    ],
)
def test_an_epoch_has_one_form(epoch: int | str | datetime) -> None:
    """However it is given, declarations are equal, and their repr needs no import of datetime."""
    codec = Snowflake(epoch=epoch)

    assert (DISCORD, hash(DISCORD), "Snowflake(epoch=1420070400000, shift=22)") == (codec, hash(codec), repr(codec))


def test_a_numeric_column_gets_a_decimal() -> None:
    """The value that the catalog shows for such a column."""
    bound = DISCORD.encode(datetime(2015, 1, 2, tzinfo=UTC), Family.NUMERIC)

    assert (Decimal(86_400_000 << 22), Decimal) == (bound, type(bound))


@pytest.mark.parametrize(
    "arguments",
    [
        {"epoch": datetime(2015, 1, 1)},
        {"epoch": "new year"},
        {"epoch": None},
        {"epoch": 0, "shift": 63},
        {"epoch": 0, "shift": -1},
        {"epoch": 0, "shift": "22"},
        {"epoch": 0, "shift": True},
    ],
)
def test_a_wrong_declaration_is_refused(arguments: dict[str, Any]) -> None:
    """A naive epoch, no epoch, or a shift that leaves no room for time."""
    with pytest.raises(DeclarationError, match="Snowflake"):
        Snowflake(**arguments)


def test_an_instant_too_far_from_the_epoch_is_refused() -> None:
    """41 bits of milliseconds last 69 years."""
    with pytest.raises(ValueError, match="does not fit a bigint"):
        DISCORD.encode(datetime(2015 + 70, 1, 1, tzinfo=UTC), Family.INTEGER)


@pytest.mark.parametrize("value", ["175928847299117063", None, True, MAXVALUE, 2**80])
def test_what_is_no_snowflake_is_refused(value: KeyValue) -> None:
    """Text, NULL, ends of ranges, and years that Python lacks."""
    with pytest.raises(ValueError):
        DISCORD.decode(value)
