"""Whose transaction an operation works in: Alembic's, which it may commit, the caller's, or none at all."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

if TYPE_CHECKING:  # Alembic imports us while it is half imported itself
    from alembic.runtime.migration import MigrationContext

log = logging.getLogger(__name__)

WAITS = logging.getLogger("alembic.sa_partman")
"""Where a migration says what it waits for: loggers that alembic.ini does not name are silenced by it."""

_HAS_WRITTEN = text("SELECT pg_catalog.pg_current_xact_id_if_assigned() IS NOT NULL")


def in_autocommit(connection: Connection) -> bool:
    """Whether each statement commits itself, as inside of ``autocommit_block()``; SQLAlchemy's transaction is none."""
    return bool(getattr(connection.connection.dbapi_connection, "autocommit", False))


def may_leave(context: MigrationContext) -> bool:
    """Whether `outside` works: the session commits each statement, or Alembic may commit what it has begun."""
    connection = context.connection
    if connection is None or context._in_external_transaction:
        return False
    return in_autocommit(connection) or context._transaction is not None or not connection.in_transaction()


@contextmanager
def outside(context: MigrationContext) -> Iterator[Connection]:
    """
    A connection in autocommit, for what PostgreSQL does outside of transactions only; `announce` it before.

    Args:
        context: One that `may_leave`.
    """
    assert context.connection is not None
    with nullcontext() if in_autocommit(context.connection) else context.autocommit_block():
        assert context.connection is not None
        yield context.connection


def announce(context: MigrationContext, what: str) -> None:
    """Says what `outside` does to the transaction: nothing in autocommit."""
    connection = context.connection
    if connection is None or in_autocommit(connection):
        return
    if connection.in_transaction() and connection.execute(_HAS_WRITTEN).scalar_one():
        log.warning(
            "%s commits the migration's transaction, because PostgreSQL does this outside of transactions only: what "
            "was done before it stays, even if a later step fails. Give it a revision of its own, with "
            "transaction_per_migration=True in env.py.",
            what,
        )
    else:
        log.info("%s runs outside of the migration's transaction, in which nothing was changed before", what)


@contextmanager
def in_transaction(connection: Connection) -> Iterator[None]:
    """
    One transaction for what belongs together. In autocommit it is one of its own: settings of a transaction, savepoints
    and locks are there nowhere else.
    """
    if not in_autocommit(connection):
        yield
        return
    connection.exec_driver_sql("BEGIN")
    try:
        yield
    except BaseException:
        if not connection.invalidated:
            connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")
