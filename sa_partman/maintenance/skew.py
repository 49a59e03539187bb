"""Two clocks: when the client's and the server's disagree, nobody knows what is expired."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from sa_partman.finding import Finding, Severity
from sa_partman.maintenance.settings import Settings
from sa_partman.postgres.connect import connected
from sa_partman.postgres.session import pin
from sa_partman.postgres.view import CATALOG_LOCK_TIMEOUT

ALLOWED = timedelta(seconds=10)
"""Clocks that are further apart than this do not agree."""

_NOW = text("SELECT pg_catalog.clock_timestamp()")


def client_clock() -> datetime:
    """The clock of this machine; aware."""
    return datetime.now(UTC)


def skew_finding(settings: Settings, severity: Severity) -> Finding | None:
    """
    None when the clocks agree, or when the instant was given: then none of them counts.

    The server's clock was read somewhere between the question and the answer, so how long that took is no skew.
    """
    if settings.now is not None:
        return None
    with connected(settings.engine) as connection:
        pin(connection, CATALOG_LOCK_TIMEOUT)  # some drivers can't read a time in every DateStyle
        asked = client_clock()
        server: datetime = connection.execute(_NOW).scalar_one()
        answered = client_clock()
    apart = max(asked - server, server - answered)
    if apart <= ALLOWED:
        return None
    which = "behind" if server < asked else "ahead of"
    return Finding(
        "clock-skew",
        severity,
        "",
        f"the server's clock is {apart.total_seconds():.0f} s {which} this machine's, so nothing is removed",
        "put the clocks right (NTP), or give the instant with now= or --at; partitions are made all the same",
    )
