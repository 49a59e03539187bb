"""Timeouts that an administrator gave the role for the sake of its application: no conversion ends by them."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from sa_partman.errors import ExecutionError
from sa_partman.postgres.session import connected
from tests.support.converting import HASTY, OLD_SNAPSHOT, TABLE, Ends, converter
from tests.support.database import holding
from tests.support.keeper import keeper, require_known, slow_to_greet, soon_over

TIMEOUTS = (
    "statement_timeout = '100ms'",
    "transaction_timeout = '100ms'",
    "idle_in_transaction_session_timeout = '50ms'",
    "idle_session_timeout = '300ms'",
    "lock_timeout = '1ms'",
)


@pytest.mark.parametrize("setting", TIMEOUTS)
def test_a_timeout_of_the_role_ends_no_conversion(
    setting: str, events: Engine, undisturbed: Ends, server_major: int
) -> None:
    require_known(setting, server_major)
    with keeper(events, setting) as theirs:
        converter(theirs).convert(TABLE)
        undisturbed.check(events, "convert")
        converter(theirs).undo(TABLE)
        undisturbed.check(events, "undo")


LOCKED = ("LOCK TABLE events IN ACCESS EXCLUSIVE MODE",)


@pytest.mark.parametrize("setting", ["statement_timeout = '400ms'", "transaction_timeout = '400ms'"])
@pytest.mark.parametrize("held", [LOCKED, OLD_SNAPSHOT], ids=["counting", "building"])
def test_what_takes_longer_than_the_role_allows_is_waited_for(
    held: tuple[str, ...], setting: str, events: Engine, server_major: int
) -> None:
    """The counting of rows before anything is touched, and the concurrent build: here both wait for somebody."""
    require_known(setting, server_major)
    with keeper(events, setting) as theirs, soon_over(events, *held):
        assert converter(theirs).convert(TABLE).cut_over


def test_a_timeout_before_our_first_word_is_not_taken_for_no_connection(events: Engine) -> None:
    """The driver asks for the server's version before we can set anything."""
    said = r"ended our first statement: .*statement timeout; nothing was changed"
    with (
        slow_to_greet(events.url, 0.4, "-c statement_timeout=50") as theirs,
        pytest.raises(ExecutionError, match=said),
        connected(theirs),
    ):
        raise AssertionError


@pytest.mark.parametrize("verb", ["plan", "convert"])
def test_an_error_of_the_server_is_ours(verb: str, events: Engine) -> None:
    """Also where no step is at work: who holds the table here keeps it from being read."""
    said = r"the server refused: .*; what was done before stays.*--state"
    with (
        holding(events, "LOCK TABLE events IN ACCESS EXCLUSIVE MODE"),
        pytest.raises(ExecutionError, match=said),
    ):
        getattr(converter(events, HASTY), verb)(TABLE)
