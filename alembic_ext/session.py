"""
The user's connection, borrowed for an operation: names resolved, settings pinned, errors translated; and whose
transaction it works in: Alembic's, which it may commit, the caller's, or none at all.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from alembic.operations import Operations
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from sa_partman.errors import PartmanError
from sa_partman.names import QualifiedName
from sa_partman.postgres.relations import Relation, oid_of, relation_of
from sa_partman.postgres.residues import pending_around
from sa_partman.postgres.session import appointed, has_written, lock_timeout_of, pinned
from sa_partman.postgres.sqlstate import LOCK_NOT_AVAILABLE, UNCOMMITTED_LABEL, first_line, sqlstate
from sa_partman.spec.base import PartitionSpec
from sa_partman.spec.declared import ColumnType, Level, bind

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext


log = logging.getLogger(__name__)

WAIT_LOG = logging.getLogger("alembic.sa_partman")
"""Where a migration says what it waits for: loggers that alembic.ini does not name are silenced by it."""


def in_autocommit(connection: Connection) -> bool:
    """Whether each statement commits itself, as inside of ``autocommit_block()``; SQLAlchemy's transaction is none."""
    return bool(getattr(connection.connection.dbapi_connection, "autocommit", False))


def may_autocommit(context: MigrationContext) -> bool:
    """Whether `in_autocommit_block` works: each statement commits itself, or Alembic may commit what it has begun."""
    connection = context.connection
    if connection is None or context._in_external_transaction:
        return False
    return in_autocommit(connection) or context._transaction is not None or not connection.in_transaction()


@contextmanager
def in_autocommit_block(context: MigrationContext) -> Iterator[Connection]:
    """
    A connection in autocommit, for what PostgreSQL does outside of transactions only; `announce_commit` it before.

    Args:
        context: One that `may_autocommit`.
    """
    assert context.connection is not None
    with nullcontext() if in_autocommit(context.connection) else context.autocommit_block():
        assert context.connection is not None
        yield context.connection


def announce_commit(context: MigrationContext, what: str) -> None:
    """Says what `in_autocommit_block` does to the transaction: nothing in autocommit."""
    connection = context.connection
    if connection is None or in_autocommit(connection):
        return
    if connection.in_transaction() and has_written(connection):
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


LOCK_TIMEOUT = 5.0
"""Seconds, where the session has no lock_timeout of its own: a migration must not queue before the application."""


@dataclass(frozen=True, slots=True)
class OperationSession:
    """
    A pinned session, in which an operation works.

    Args:
        table: What it is about.
        now: The server's clock, unless ``SA_PARTMAN_AT`` names an instant.
    """

    connection: Connection
    table: Relation
    now: datetime


def on_postgresql(operations: Operations) -> bool:
    """Whether there is anything to do; elsewhere tables are plain, and what is said about partitions is not done."""
    return operations.migration_context.dialect.name == "postgresql"


def is_offline(operations: Operations) -> bool:
    return bool(operations.migration_context.as_sql)


@contextmanager
def reading_connection(operations: Operations) -> Iterator[Connection | None]:
    """
    The connection, for a look that leaves no trace: a query begins a transaction, and Alembic commits what it does
    outside of one, in a batch for example, only where none has begun.

    Yields:
        None where there is nothing to look at: in ``--sql`` mode, and off PostgreSQL.
    """
    connection = operations.migration_context.connection
    if not on_postgresql(operations) or is_offline(operations) or not isinstance(connection, Connection):
        yield None
        return
    with nullcontext() if connection.in_transaction() else connection.begin():
        yield connection


def needs_connection(operations: Operations, what: str, instead: str) -> None:
    """
    Raises:
        CommandError: This is ``--sql`` mode.
    """
    if is_offline(operations):
        raise CommandError(f"{what} needs a live connection and can't be written with --sql; {instead}")


@contextmanager
def on_table(operations: Operations, table: str, schema: str | None, what: str) -> Iterator[OperationSession]:
    """
    The pinned session around *table*, plain or partitioned.

    Raises:
        CommandError: The table does not exist, or the server or a rule of ours refuses.
    """
    connection = operations.get_bind()
    with translated(what):
        oid = oid_of(connection, translated_name(connection, QualifiedName(schema, table)))
        if oid is None:
            raise CommandError(f"{what}: the table {QualifiedName(schema, table)} does not exist; nothing was changed")
        with in_transaction(connection), pinned(connection, lock_timeout(connection)) as session:
            yield OperationSession(connection, relation_of(connection, oid), appointed() or session.now)


@contextmanager
def on_partitioned_table(
    operations: Operations, table: str, schema: str | None, what: str
) -> Iterator[OperationSession]:
    """
    Raises:
        CommandError: As for `on_table`; the table is not partitioned, or a detach of its partitions is pending.
    """
    with on_table(operations, table, schema, what) as session:
        if session.table.key is None:
            raise CommandError(
                f"{what}: {session.table.name} is not partitioned; nothing was changed. Make it partitioned before: "
                f"op.partition_table({table!r}, ...)"
            )
        refuse_pending(session.connection, session.table.oid, what)
        yield session


def refuse_pending(connection: Connection, oid: int, what: str) -> None:
    """
    Raises:
        CommandError: In the partition tree of the relation *oid* a detach is pending: what is changed meanwhile does
            not reach that partition, and from PostgreSQL 18 on can keep the detach from being ended.
    """
    for parent, partition in pending_around(connection, oid):
        raise CommandError(
            f"{what}: the concurrent detach of {partition} from {parent} was interrupted and is pending; nothing was "
            f"changed. End it first: sa-partman run --repair, or "
            f"ALTER TABLE {parent.quoted} DETACH PARTITION {partition.quoted} FINALIZE"
        )


def lock_timeout(connection: Connection) -> float:
    return lock_timeout_of(connection) or LOCK_TIMEOUT


def translated_name(connection: Connection, name: QualifiedName) -> QualifiedName:
    """*name* as ``schema_translate_map`` has it, which a Table would obey too."""
    mapping: Any = connection.get_execution_options().get("schema_translate_map") or {}
    return QualifiedName(mapping.get(name.schema, name.schema), name.name)


def bound_level(name: QualifiedName, spec: PartitionSpec, columns: Mapping[str, ColumnType]) -> Level:
    """
    Raises:
        CommandError: The table lacks a column that *spec* names.
    """
    for each in spec.levels():
        for column in each.columns:
            if column not in columns:
                raise CommandError(
                    f"{name}: {spec!r} names the column {column!r}, which the table lacks; it has {', '.join(columns)}"
                )
    return bind(name, spec, columns).level


@contextmanager
def translated(what: str) -> Iterator[None]:
    """
    One line of Alembic's for our errors and for the server's; the cause stays behind it.

    Raises:
        CommandError: For each of them.
    """
    try:
        yield
    except PartmanError as error:
        raise CommandError(f"{what}: {error}") from error
    except DBAPIError as error:
        raise CommandError(f"{what}: {_words(error)}. The migration's transaction is rolled back.") from error


def _words(error: DBAPIError) -> str:
    said = first_line(error).rstrip(".")
    if sqlstate(error) == UNCOMMITTED_LABEL:
        return f"{said}; write the ALTER TYPE inside of 'with op.get_context().autocommit_block():', which commits it"
    if sqlstate(error) != LOCK_NOT_AVAILABLE:
        return said
    return f"{said}; another transaction holds the table (see pg_locks). Try later, or set lock_timeout in env.py"
