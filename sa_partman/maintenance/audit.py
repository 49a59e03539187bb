"""
Auditing: what a run does is written to two tables of the database, each row in a short transaction of its own.

A row that can't be written costs no step: the run goes on, and a finding says so.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from sa_partman.errors import PartmanError
from sa_partman.finding import Finding, Severity
from sa_partman.maintenance.entries import Entry
from sa_partman.postgres.audit import AuditTables, StepRow
from sa_partman.postgres.connect import connected
from sa_partman.postgres.session import Session, pin
from sa_partman.postgres.sqlstate import first_line
from sa_partman.version import __version__

LOCK_TIMEOUT = 2.0
"""Seconds; nobody but us locks these tables."""


class Audit:
    """
    The rows of one run.

    Args:
        schema: Where the tables are.
    """

    def __init__(self, engine: Engine, schema: str) -> None:
        self.engine, self.tables = engine, AuditTables(schema)
        self._id: int | None = None
        self._trouble: list[str] = []

    @classmethod
    def of(cls, engine: Engine, wanted: bool | str, session: Session) -> Audit | None:
        """
        None when no audit is wanted.

        Args:
            wanted: Text: the schema of its tables.
        """
        if wanted is False:
            return None
        schema = wanted if isinstance(wanted, str) else session.default_schema
        return cls(engine, schema or "public")

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What could not be written, in one finding."""
        if not self._trouble:
            return ()
        schema = self.tables.schema
        return (
            Finding(
                "audit-failed",
                Severity.WARNING,
                "",
                f"{len(self._trouble)} rows of the audit could not be written: {self._trouble[0]}; no step was lost",
                f"let the connected role create tables in schema {schema} and write them, or turn audit= off",
            ),
        )

    def begin(self, run: str, planned: int) -> None:
        """The run's row, which says that it has not finished; the tables too when they are not there."""
        with self._tried() as connection:
            self.tables.make(connection)
        if self._trouble:
            return
        with self._tried() as connection:
            self._id = self.tables.begin(connection, run, planned, __version__, socket.gethostname(), os.getpid())

    def step(self, entry: Entry) -> None:
        """The row of a step, whatever its outcome."""
        if self._id is None:
            return
        row = StepRow(
            entry.purpose,
            entry.table,
            entry.partition,
            entry.bound,
            entry.outcome.value,
            _script(entry.sql),
            entry.seconds,
            entry.rows,
            entry.error,
            entry.blockers,
        )
        with self._tried() as connection:
            self.tables.step(connection, self._id, row)

    def end(self, *, ok: bool, done: int, failed: int, error: str) -> None:
        """The run's row says how it ended; rows that are too old go."""
        if self._id is None:
            return
        with self._tried() as connection:
            self.tables.end(connection, self._id, ok=ok, done=done, failed=failed, error=error)
        with self._tried() as connection:
            self.tables.prune(connection)

    @contextmanager
    def _tried(self) -> Iterator[Connection]:
        try:
            with connected(self.engine) as connection:
                pin(connection, LOCK_TIMEOUT)
                yield connection
        except DBAPIError as error:
            self._trouble.append(first_line(error))
        except PartmanError as error:
            self._trouble.append(str(error))


def _script(statements: tuple[str, ...]) -> str:
    """A comment ends with its line, a statement with a semicolon, the last one with nothing."""
    comments = tuple(each for each in statements if each.startswith("--"))
    return "\n".join((*comments, ";\n".join(each for each in statements if each not in comments)))
