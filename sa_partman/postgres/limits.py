"""What the server allows, asked once a run; and the settings of a step's transaction, which end with it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from sa_partman.postgres.connect import connected
from sa_partman.postgres.session import pin

FROZEN = "10s"
"""How long a client may sleep inside a transaction before the server ends it."""

CHECK_INTERVAL = "1s"
"""How soon the server notices that the client of a running or waiting statement is dead."""

_ALWAYS = {
    "idle_in_transaction_session_timeout": FROZEN,
    # Our few queries of the catalog are planned once a connection: planning takes longer than they do.
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    # Over a network that swallows packets; on a unix socket they do nothing.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "20s",
}

_LIMITS = text("""
SELECT CAST(extract(epoch FROM CAST(pg_catalog.current_setting('deadlock_timeout') AS interval)) AS float8),
    CAST(pg_catalog.current_setting('max_locks_per_transaction') AS int)
        * (CAST(pg_catalog.current_setting('max_connections') AS int)
           + CAST(pg_catalog.current_setting('max_prepared_transactions') AS int)),
    pg_catalog.current_setting('transaction_timeout', true) IS NOT NULL
""")


@dataclass(frozen=True, slots=True)
class Limits:
    """
    Args:
        deadlock_timeout: Seconds.
        lock_slots: Locks that the server has room for, of all sessions together.
        has_transaction_timeout: Since PostgreSQL 17.
        checks_clients: ``client_connection_check_interval`` works here: not on every operating system.
    """

    deadlock_timeout: float
    lock_slots: int
    has_transaction_timeout: bool
    checks_clients: bool

    def settings(self, application: str, seconds: float) -> dict[str, str]:
        """
        For a step's transaction.

        Args:
            application: For ``application_name``.
            seconds: That one statement may take.
        """
        found = {**_ALWAYS, "application_name": application, "statement_timeout": f"{round(seconds * 1000)}ms"}
        if self.has_transaction_timeout:
            found["transaction_timeout"] = "0"
        if self.checks_clients:
            found["client_connection_check_interval"] = CHECK_INTERVAL
        return found


def limits_of(engine: Engine) -> Limits:
    """Asks the server."""
    with connected(engine) as connection:
        pin(connection, 1.0)
        row = connection.execute(_LIMITS).one()
        return Limits(row[0], row[1], row[2], notice_dead_clients(connection))


def notice_dead_clients(connection: Connection) -> bool:
    """
    Makes the server look after the client of the current transaction; False when its platform can't.

    Without it a killed process keeps its place in the queue, and everybody behind it.
    """
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(f"SET LOCAL client_connection_check_interval = '{CHECK_INTERVAL}'")
    except DBAPIError as error:
        if connection.invalidated:
            raise
        del error
        return False
    return True
