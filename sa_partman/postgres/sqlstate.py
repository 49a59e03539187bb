"""
What an error means, by SQLSTATE and never by its text.

Source: PostgreSQL, Appendix A, PostgreSQL Error Codes.
"""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

from sa_partman.passwords import without_passwords

LOCK_NOT_AVAILABLE = "55P03"
DEADLOCK_DETECTED = "40P01"
SERIALIZATION_FAILURE = "40001"
INSUFFICIENT_PRIVILEGE = "42501"
FOREIGN_KEY_VIOLATION = "23503"
REFERENCED = frozenset({FOREIGN_KEY_VIOLATION, "23001"})
"""A row to delete is referred to; with RESTRICT it is a code of its own, which PostgreSQL uses since 18."""
READ_ONLY = "25006"
UNDEFINED_TABLE = "42P01"
WRONG_OBJECT_TYPE = "42809"
UNCOMMITTED_LABEL = "55P04"
"""An enum's label that this transaction has added itself."""

TIMED_OUT = frozenset({"57014", "25P03", "25P04"})
"""A statement was canceled, or a transaction or its idling was ended: by a timeout, when nobody else did it."""

_AGAIN = frozenset({LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED, SERIALIZATION_FAILURE})
# A table, a type's name or a bound that somebody else made since the catalog was read.
_OVERTAKEN = frozenset({"42P07", "42710", "42P17", "23505"})


def sqlstate(error: BaseException) -> str | None:
    """The five characters of the driver's error behind *error*, whichever driver it is."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    for name in ("sqlstate", "pgcode"):
        state = getattr(origin, name, None)
        if isinstance(state, str):
            return state
    return None


def worth_retrying(error: BaseException) -> bool:
    return sqlstate(error) in _AGAIN


def overtaken(error: BaseException) -> bool:
    """Whether the catalog may have changed since the plan was made."""
    return sqlstate(error) in _OVERTAKEN


def first_line(error: BaseException) -> str:
    """The driver's message without SQLAlchemy's additions and without passwords; its detail behind it."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    lines = [line.strip() for line in str(origin).splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith(("LINE ", "^", "CONTEXT:"))]
    return without_passwords(" ".join(kept[:2])) if kept else type(origin).__name__
