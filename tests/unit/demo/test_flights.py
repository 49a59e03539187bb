"""The real input, against numbers counted in its source with other tools."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sa_partman.demo import flights
from sa_partman.demo.flights import Flight, read_flights

MONTHS = {
    "2013-01": 26_865,
    "2013-02": 24_936,
    "2013-03": 28_886,
    "2013-04": 28_353,
    "2013-05": 28_783,
    "2013-06": 28_231,
    "2013-07": 29_428,
    "2013-08": 29_381,
    "2013-09": 27_529,
    "2013-10": 28_905,
    "2013-11": 27_200,
    "2013-12": 28_191,
    "2014-01": 88,
}
"""Rows per month in UTC: the year ends five hours later in New York."""

ABSENT = {"tailnum": 2_512, "air_time": 9_430, "dep_delay": 8_255, "arr_delay": 9_430}


@pytest.fixture(scope="module")
def rows() -> tuple[Flight, ...]:
    return tuple(read_flights())


def test_every_flight_is_there(rows: tuple[Flight, ...]) -> None:
    assert len(rows) == 336_776
    assert Counter(flight.time_hour.strftime("%Y-%m") for flight in rows) == MONTHS


def test_they_come_in_the_order_of_time(rows: tuple[Flight, ...]) -> None:
    assert sorted(flight.time_hour for flight in rows) == [flight.time_hour for flight in rows]
    assert rows[0].time_hour == datetime(2013, 1, 1, 10, tzinfo=UTC)
    assert rows[-1].time_hour == datetime(2014, 1, 1, 4, tzinfo=UTC)


def test_absent_values_are_none(rows: tuple[Flight, ...]) -> None:
    assert {name: sum(getattr(flight, name) is None for flight in rows) for name in ABSENT} == ABSENT


def test_a_flight_is_the_one_of_the_source(rows: tuple[Flight, ...]) -> None:
    """The third row of the package's table."""
    wanted = datetime(2013, 1, 1, 10, tzinfo=UTC)

    assert Flight(wanted, "JFK", "AA", 1141, "MIA", 1089, "N619AA", 160, 2, 33) in rows[:10]


def test_a_package_without_the_data_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(flights, "PLACES", (tmp_path,))
    with pytest.raises(FileNotFoundError, match="install sa-partman again"):
        next(read_flights())
