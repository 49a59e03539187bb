"""Wall-clock time and instants, where clocks are turned."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from sa_partman.bounds.interval import to_instant, to_wall, zone_named
from tests.support.builders import at


@pytest.mark.parametrize(
    ("wall", "zone", "instant"),
    [
        ("2025-01-15 12:00", "Europe/Paris", "2025-01-15 11:00"),
        ("2025-07-15 12:00", "Europe/Paris", "2025-07-15 10:00"),
        ("2025-03-30 02:30", "Europe/Paris", "2025-03-30 01:30"),  # skipped: by the offset before
        ("2025-10-26 02:30", "Europe/Paris", "2025-10-26 01:30"),  # twice: the second time
        ("2024-11-03 00:00", "America/Havana", "2024-11-03 05:00"),
        ("2011-12-30 00:00", "Pacific/Apia", "2011-12-30 10:00"),
        ("2024-04-07 01:45", "Australia/Lord_Howe", "2024-04-06 15:15"),
    ],
)
def test_the_instant_of_a_wall_clock_time(wall: str, zone: str, instant: str) -> None:
    """As ``timestamp AT TIME ZONE zone`` says."""
    assert at(instant) == to_instant(datetime.fromisoformat(wall), ZoneInfo(zone))


def test_the_wall_clock_time_of_an_instant() -> None:
    """Naive, and without a fold, so that it compares equal to any other."""
    wall = to_wall(at("2025-10-26 01:30"), ZoneInfo("Europe/Paris"))

    assert (datetime(2025, 10, 26, 2, 30), 0, None) == (wall, wall.fold, wall.tzinfo)


@pytest.mark.parametrize("name", ["Europe/Pari", "", "../etc/passwd", "/etc/localtime", "Europe"])
def test_no_such_zone(name: str) -> None:
    """One error, whatever the system's own is."""
    with pytest.raises(ValueError, match="IANA name"):
        zone_named(name)
