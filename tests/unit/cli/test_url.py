"""URLs as people write them."""

import pytest
from sqlalchemy import make_url

from sa_partman.cli.discovery.url import usable
from sa_partman.errors import ConfigurationError


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("postgres://me@host/db", "postgresql+psycopg://me@host/db"),
        ("postgresql://me@host/db", "postgresql+psycopg://me@host/db"),
        ("postgresql+psycopg://me@host/db", "postgresql+psycopg://me@host/db"),
        ("postgresql+psycopg2://me@host/db", "postgresql+psycopg://me@host/db"),
        ("postgresql+psycopg_async://me@host/db", "postgresql+psycopg://me@host/db"),
        ("postgresql+asyncpg://me@host/db?ssl=require", "postgresql+psycopg://me@host/db?sslmode=require"),
        ("postgresql+asyncpg://me@host/db?prepared_statement_cache_size=0", "postgresql+psycopg://me@host/db"),
        ("postgresql://", "postgresql+psycopg://"),
    ],
)
def test_every_spelling_becomes_one_for_psycopg(written: str, wanted: str) -> None:
    assert make_url(wanted) == usable(written, "--url")


def test_the_password_is_kept_and_not_told() -> None:
    url = usable("postgres://me:p%40ss@host/db", "--url")

    assert "p@ss" == url.password
    with pytest.raises(ConfigurationError) as caught:
        usable("mysql://me:secret@host/db", "--url")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "host/db", "postgresql//secret@host", "postgresql://me:secret@host:port/db"])
def test_what_is_no_url_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ConfigurationError, match="that is no database URL") as caught:
        usable(text, "DATABASE_URL")
    assert "secret" not in str(caught.value)
