"""What an error means, by its code."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import DBAPIError

from sa_partman.postgres.sqlstate import first_line, overtaken, sqlstate, worth_retrying


class OfPsycopg(Exception):
    def __init__(self, code: str, message: str = "no") -> None:
        super().__init__(message)
        self.sqlstate = code


class OfPsycopg2(Exception):
    pgcode = "55P03"


def wrapped(origin: Exception) -> DBAPIError:
    return DBAPIError("SELECT", {}, origin)


def test_the_code_of_any_driver() -> None:
    """Behind SQLAlchemy's error or bare."""
    assert "42P07" == sqlstate(OfPsycopg("42P07")) == sqlstate(wrapped(OfPsycopg("42P07")))
    assert "55P03" == sqlstate(wrapped(OfPsycopg2()))
    assert sqlstate(ValueError()) is None


@pytest.mark.parametrize(
    ("code", "again", "late"),
    [
        ("55P03", True, False),
        ("40P01", True, False),
        ("40001", True, False),
        ("42P07", False, True),
        ("42710", False, True),
        ("42P17", False, True),
        ("42501", False, False),
    ],
)
def test_what_to_do(code: str, again: bool, late: bool) -> None:
    """Try again; or look again, because somebody was faster; or neither."""
    assert again == worth_retrying(wrapped(OfPsycopg(code)))
    assert late == overtaken(wrapped(OfPsycopg(code)))


def test_the_first_line() -> None:
    """Message and detail, and nothing of where in the statement it was."""
    message = 'relation "x" exists\nLINE 1: CREATE\n        ^\nDETAIL:  because\nCONTEXT:  here'

    assert 'relation "x" exists DETAIL:  because' == first_line(wrapped(OfPsycopg("42P07", message)))
    assert "OfPsycopg" == first_line(OfPsycopg("42P07", ""))
