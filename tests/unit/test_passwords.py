"""Passwords: told by where they stand in a text, whoever wrote it."""

from dataclasses import fields, is_dataclass
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import pytest
from sqlalchemy import make_url

import alembic_ext
import sa_partman
from sa_partman.errors import ConfigurationError, NameTaken
from sa_partman.finding import Finding, Severity
from sa_partman.passwords import passwords_in, without_passwords
from sa_partman.postgres.session import passwords_of, shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://u:h7nter2@h:5432/db", "postgresql://u:***@h:5432/db"),
        ("postgresql+asyncpg://u:h7nter2%40%2F@h/db?ssl=on", "postgresql+asyncpg://u:***@h/db?ssl=on"),
        ("bad URL 'postgresql://u:h7nter2@h7nter2@h/db' here", "bad URL 'postgresql://u:***@h/db' here"),
        ("postgresql://:h7nter2@h/db", "postgresql://:***@h/db"),
        (
            "postgresql://h/db?password=h7nter2&sslpassword=h7nter2&x=1",
            "postgresql://h/db?password=***&sslpassword=***&x=1",
        ),
        ("postgresql://h/db?passfile=/home/me/.pgpass", "postgresql://h/db?passfile=/home/me/.pgpass"),
        ("host=h password=h7nter2 user=u", "host=h password=*** user=u"),
        (r"host=h password='h7nter2 \'h7nter2' user=u", "host=h password=*** user=u"),
        ("postgresql://h/db?password=***: no", "postgresql://h/db?password=***: no"),
        ("PGPASSWORD=h7nter2 psql", "PGPASSWORD=*** psql"),
        ("connect(user='u', password='h7nter2')", "connect(user='u', password=***)"),
        ("{'user': 'u', 'password': 'h7nter2'}", "{'user': 'u', 'password': ***}"),
        ('{"password":"h7nter2", "x": 1}', '{"password":***, "x": 1}'),
        ('invalid percent-encoded token: "%zzh7nter2"', "invalid percent-encoded token: ***"),
        ('missing "=" after "h7nter2" in connection info string', 'missing "=" after *** in connection info string'),
        ('password authentication failed for user "u"', 'password authentication failed for user "u"'),
        ("see https://example.org:80/a, or write to a@b.c", "see https://example.org:80/a, or write to a@b.c"),
        ("public.users: reset_password=1 is kept", "public.users: reset_password=1 is kept"),
    ],
)
def test_a_password_is_hidden_where_it_stands(text: str, expected: str) -> None:
    assert expected == without_passwords(text)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:h7nter2@h/db", "postgresql://u:***@h/db"),
        (
            "postgresql://u:h7nter2@h/db?password=h7nter2&sslpassword=h7%26nter2",
            "postgresql://u:***@h/db?password=***&sslpassword=***",
        ),
        ("postgresql://u:x@h7nter2@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u@h/db?sslmode=require", "postgresql://u@h/db?sslmode=require"),
    ],
)
def test_a_url_is_shown_without_its_passwords(url: str, expected: str) -> None:
    assert expected == shown(make_url(url))


def test_known_passwords_go_wherever_they_stand() -> None:
    url = make_url("postgresql://u:h7n%40ter2@h/db?sslpassword=ano/ther")

    assert "*** and ***, ***, but not h7n" == without_passwords(
        "h7n@ter2 and h7n%40ter2, ano/ther, but not h7n", passwords_of(url) - {"h7n", "ter2"}
    )


def test_what_is_no_secret_is_no_password() -> None:
    """The password of many a test database is its name."""
    assert frozenset() == passwords_of(make_url("postgresql://postgres:postgres@h/db"))


def test_the_parts_of_a_password_with_an_at_sign() -> None:
    """A parser takes them for the host, or for the port."""
    assert {"pa@ss:word", "pa", "ss", "word"} == set(passwords_in("postgresql://u:pa@ss:word@h/db"))


def test_no_error_and_no_finding_holds_one() -> None:
    url = "postgresql://u:h7nter2@h/db"

    assert "postgresql://u:***@h/db" == str(ConfigurationError(url))
    assert "h7nter2" not in str(NameTaken(url, held_by=url))
    assert "postgresql://u:***@h/db" == Finding("x", Severity.ERROR, "t", url).message


def test_no_repr_of_ours_shows_an_engine_or_a_url() -> None:
    """SQLAlchemy's own hide only the password before the @."""
    showing = [
        f"{each.__module__}.{each.__qualname__}.{field.name}"
        for each in _dataclasses()
        for field in fields(each)
        if field.repr and (field.name == "url" or str(field.type).split(" | ")[0] in ("Engine", "AsyncEngine", "URL"))
    ]

    assert [] == showing


def _dataclasses() -> set[Any]:
    found: set[Any] = set()
    for package in (sa_partman, alembic_ext):
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith("__main__"):
                continue
            held = vars(import_module(module.name)).values()
            found.update(each for each in held if isinstance(each, type) and is_dataclass(each))
    return found
