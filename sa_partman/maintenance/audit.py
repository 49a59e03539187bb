"""
The record of a run: each step and the run itself go to the log, and to two tables of the database when that is
wanted.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from sa_partman.bounds.text import describe
from sa_partman.ddl.render import quoted_sql, step_sql
from sa_partman.errors import PartmanError
from sa_partman.finding import Finding, Severity
from sa_partman.maintenance.results import Outcome, StepResult, sentence
from sa_partman.maintenance.settings import Settings
from sa_partman.names import QualifiedName
from sa_partman.observe.health import LOGGER
from sa_partman.passwords import without_passwords
from sa_partman.plan.steps import Step
from sa_partman.postgres.audit import AuditTables, StepRow
from sa_partman.postgres.session import Session, connected, pin
from sa_partman.postgres.sqlstate import first_line
from sa_partman.version import __version__


@dataclass(frozen=True, slots=True)
class Entry:
    """
    Args:
        said: What the step does, in one line.
        bound: As text.
        step: The id of a conversion's step; empty for any other.
        error: Empty: none.
        blockers: Who held the locks that were not granted.
    """

    said: str
    purpose: str
    table: str
    partition: str
    outcome: Outcome
    sql: tuple[str, ...]
    seconds: float
    bound: str | None = None
    step: str = ""
    rows: int | None = None
    error: str = ""
    blockers: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        return self.outcome in (Outcome.FAILED, Outcome.DEFERRED)

    @property
    def good(self) -> bool:
        """Nothing in it needs a look."""
        return self.outcome in (Outcome.DONE, Outcome.SUPERSEDED) and not self.error


def of_result(result: StepResult) -> Entry:
    """Of a maintainer's step."""
    step = result.step
    return Entry(
        sentence(step),
        step.purpose.value,
        str(step.table),
        str(step.partition),
        result.outcome,
        step_sql(step),
        result.seconds,
        None if step.bound is None else describe(step.bound),
        rows=result.rows,
        error=result.error,
        blockers=result.blockers,
    )


def of_conversion(
    table: QualifiedName,
    purpose: str,
    step: Step,
    outcome: Outcome,
    seconds: float,
    error: str = "",
    blockers: tuple[str, ...] = (),
) -> Entry:
    """
    Of a conversion's step.

    Args:
        purpose: "convert", "undo" or "abort".
    """
    return Entry(
        f"~ {purpose:<9} {table}  {step.id}: {step.title}",
        purpose,
        str(table),
        str(table),
        outcome,
        (f"-- {step.id}: {step.title}", *sent_of(purpose, step)),
        seconds,
        step=step.id,
        error=error,
        blockers=blockers,
    )


def sent_of(purpose: str, step: Step) -> tuple[str, ...]:
    """What the server is sent of *step*: on the way, or to take it back."""
    return quoted_sql(step.undo if purpose == "abort" else step.actions)


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


class Record:
    """
    Of one run, from its first step to its end.

    Args:
        run: The run's name.
        audit: Where it is kept, too.
    """

    def __init__(self, run: str, audit: Audit | None) -> None:
        self.run, self._audit = run, audit
        self._began = time.monotonic()
        self._outcomes: Counter[Outcome] = Counter()

    @classmethod
    def of(cls, settings: Settings, run: str, session: Session) -> Record:
        """A maintainer's."""
        return cls(run, Audit.of(settings.engine, settings.audit, session))

    def begin(self, planned: int) -> None:
        """Before the first step."""
        LOGGER.debug("run %s begins, %d steps", self.run, planned, extra={"run": self.run, "steps": planned})
        if self._audit is not None:
            self._audit.begin(self.run, planned)

    def step(self, entry: Entry) -> None:
        """After each step that was tried."""
        self._outcomes[entry.outcome] += 1
        log_step(self.run, entry)
        if self._audit is not None:
            self._audit.step(entry)

    def end(self, findings: Sequence[Finding] = ()) -> tuple[Finding, ...]:
        """After the last step; what could not be recorded."""
        errors = [each.message for each in findings if each.severity is Severity.ERROR]
        self._close("; ".join(errors))
        return () if self._audit is None else self._audit.findings

    def broken(self, error: BaseException) -> None:
        """The run ends with *error*, which is raised all the same."""
        self._close(without_passwords(str(error)) or type(error).__name__)

    def _close(self, error: str) -> None:
        steps, done = self._outcomes.total(), self._outcomes[Outcome.DONE]
        failed = self._outcomes[Outcome.FAILED] + self._outcomes[Outcome.DEFERRED]
        seconds = round(time.monotonic() - self._began, 4)
        ok = not failed and not error
        said = f"run {self.run}: {done} of {steps} steps done, {seconds:.3f} s{'; ' + error if error else ''}"
        fields = {"run": self.run, "steps": steps, "failed": failed, "seconds": seconds}
        LOGGER.log(
            logging.INFO if ok else logging.WARNING, said, extra={**fields, "outcome": "done" if ok else "failed"}
        )
        if self._audit is not None:
            self._audit.end(ok=ok, done=done, failed=failed, error=error)


def log_step(run: str, entry: Entry) -> None:
    """One record a step; WARNING when it was not done. Its SQL is another one, at DEBUG."""
    fields = {
        "run": run,
        "table": entry.table,
        "partition": entry.partition,
        "purpose": entry.purpose,
        "step": entry.step,
        "outcome": entry.outcome.value,
        "seconds": round(entry.seconds, 4),
        "rows": entry.rows,
        "blockers": entry.blockers,
    }
    said = f"{entry.said}  {entry.outcome.value}{': ' + entry.error if entry.error else ''}"
    LOGGER.log(logging.INFO if entry.good else logging.WARNING, "%s", said, extra=fields)
    if LOGGER.isEnabledFor(logging.DEBUG):
        for statement in entry.sql:
            LOGGER.debug(statement, extra={"run": run, "table": fields["table"], "sql": statement})
