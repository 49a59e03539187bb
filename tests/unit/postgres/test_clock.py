"""The clock, when somebody set it."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from sa_partman.errors import ConfigurationError
from sa_partman.postgres.session import appointed, instant


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2030-01-31", datetime(2030, 1, 31, tzinfo=UTC)),
        ("2030-01-31T13:00", datetime(2030, 1, 31, 13, tzinfo=UTC)),
        (" 2030-01-31 13:00:00Z ", datetime(2030, 1, 31, 13, tzinfo=UTC)),
        ("2030-01-31T13:00:00+01:00", datetime(2030, 1, 31, 13, tzinfo=timezone(timedelta(hours=1)))),
    ],
)
def test_a_time_without_an_offset_is_utc(text: str, wanted: datetime) -> None:
    assert wanted == instant(text)


@pytest.mark.parametrize("text", ["yesterday", "2030-02-30", "31.1.2030"])
def test_what_is_no_time_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"--at=.* is no time; write it as 2030-01-31"):
        instant(text, "--at")


def test_the_variable_is_a_time_or_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SA_PARTMAN_AT", raising=False)
    assert appointed() is None

    monkeypatch.setenv("SA_PARTMAN_AT", "")
    assert appointed() is None

    monkeypatch.setenv("SA_PARTMAN_AT", "2030-01-31")
    assert datetime(2030, 1, 31, tzinfo=UTC) == appointed()

    monkeypatch.setenv("SA_PARTMAN_AT", "soon")
    with pytest.raises(ConfigurationError, match="SA_PARTMAN_AT='soon'"):
        appointed()
