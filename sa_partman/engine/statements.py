"""
The statements of one transaction: sent, verified, and the server's errors in our words.

They are sent without waiting for each answer where the driver can: a round trip takes as long as a small statement.
Every statement is a message of its own: extensions such as Citus read the text of the message again, and so does
whoever reads the server's log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from itertools import chain
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import ExecutableDDLElement

from sa_partman.bounds.read import parse_bound
from sa_partman.bounds.text import describe
from sa_partman.ddl.render import render
from sa_partman.engine.guard import no_scan
from sa_partman.engine.unchanged import Overtaken
from sa_partman.errors import ExecutionError, NameTaken, VerificationFailed
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import (
    Action,
    AttachPartition,
    CreatePartition,
    CreateTable,
    DetachPartition,
    FinalizeDetach,
)
from sa_partman.plan.steps import Step
from sa_partman.postgres.reflect import BOUNDS, NAME_HELD_BY
from sa_partman.postgres.residues import require_current
from sa_partman.postgres.session import driver_of, without_preparing
from sa_partman.postgres.sqlstate import REFERENCED, first_line, overtaken, sqlstate


def apply_actions(
    connection: Connection,
    actions: Iterable[Action],
    owner: str | None = None,
    *,
    singly: bool = False,
    guarded: bool = False,
) -> None:
    """
    Executes *actions* in the caller's pinned transaction and reads back every bound that they make: runs, conversions
    and migrations all change a database so.

    Args:
        owner: To whom what they make has to belong; None: to whomever.
        singly: Each answer is waited for, so whoever interrupts it stops the statement that runs.
        guarded: Nothing in them may scan a table; sent singly, so one that does is stopped there and then.

    Raises:
        ExecutionError: What is to be attached again is not what its table is by now; nothing was changed.
        VerificationFailed: The catalog shows another bound or owner; the caller's transaction should be rolled back.
        WouldScan: See `no_scan`.
    """
    done = tuple(actions)
    if again := tuple(_attached_again(done)):
        require_current(connection, again)
    statements = chain.from_iterable(map(render, done))
    if singly or guarded:
        with no_scan(connection) if guarded else nullcontext():
            for statement in statements:
                connection.execute(statement)
    else:
        send(connection, statements)
    _verify(connection, done, owner)


_TRIGGER = "Correct the event trigger that changes it (pg_event_trigger), and run again."


def _verify(connection: Connection, actions: tuple[Action, ...], owner: str | None) -> None:
    made = {_partition(action): action for action in actions if isinstance(action, AttachPartition | CreatePartition)}
    if not made:
        return
    parameters = {"schemas": [name.schema for name in made], "names": [name.name for name in made]}
    seen = {QualifiedName(row[0], row[1]): (row[2], row[3]) for row in connection.execute(BOUNDS, parameters)}
    for name, action in made.items():
        text, belongs = seen.get(name, (None, None))
        found = None if text is None else parse_bound(text, action.key.types)
        if found != action.bound:
            shown = "nothing" if found is None else describe(found)
            raise VerificationFailed(
                f"{name}: {describe(action.bound)} was asked for and the catalog shows {shown}; this step was rolled "
                f"back. {_TRIGGER}"
            )
        if owner is not None and belongs != owner:
            raise VerificationFailed(
                f"{name} belongs to {belongs}, and its table to {owner}; this step was rolled back. {_TRIGGER}"
            )


def _attached_again(actions: tuple[Action, ...]) -> Iterator[tuple[QualifiedName, QualifiedName]]:
    """What becomes a partition that these actions neither make nor detach, behind its parent."""
    made = {action.name for action in actions if isinstance(action, CreateTable | CreatePartition)}
    made |= {action.partition for action in actions if isinstance(action, DetachPartition | FinalizeDetach)}
    attached = (action for action in actions if isinstance(action, AttachPartition))
    return ((action.parent, action.partition) for action in attached if action.partition not in made)


def _partition(action: AttachPartition | CreatePartition) -> QualifiedName:
    return action.partition if isinstance(action, AttachPartition) else action.name


def translated(step: Step, error: DBAPIError) -> ExecutionError:
    """Our error for the server's; the driver's own stays as its cause."""
    if overtaken(error):
        return Overtaken(f"{step.partition}: {first_line(error)}; nothing was changed")
    if sqlstate(error) in REFERENCED and step.purpose.removes:
        return ExecutionError(
            f"{step.partition} stays, because its rows are referenced: {first_line(error)}; this step was rolled back. "
            f"Remove the rows that refer to it first, or name their table in Retention(referencing_tables=...)."
        )
    return ExecutionError(f"{step.partition}: {first_line(error)}; this step was rolled back")


def name_taken(connection: Connection, name: QualifiedName) -> NameTaken | None:
    """The error that says who bears *name*; None when nobody does."""
    held = connection.execute(NAME_HELD_BY, {"schema": name.schema, "name": name.name}).scalar()
    return None if held is None else NameTaken(str(name), held_by=held)


@contextmanager
def translating(step: Step) -> Iterator[None]:
    """
    Our errors for the server's.

    Raises:
        ExecutionError: The server refused the statement; see `translated`.
    """
    try:
        yield
    except DBAPIError as error:
        raise translated(step, error) from error


def send(connection: Connection, statements: Iterable[ExecutableDDLElement]) -> None:
    """
    Executes *statements*, in order. The server ends at the first that fails, as it would if they came one by one.

    Raises:
        DBAPIError: The server refused one of them; the connection is as usable as after any refusal.
    """
    elements = tuple(statements)
    driver = driver_of(connection)
    if len(elements) < 2 or not _has_pipelines(driver):
        for element in elements:
            connection.execute(element)
        return
    with without_preparing(connection):
        _pipelined(connection, driver.pipeline(), elements)


def _has_pipelines(driver: Any) -> bool:
    """psycopg 3 with a libpq of 14 or later; asyncpg has none."""
    if not hasattr(driver, "pipeline"):
        return False
    from psycopg import Pipeline

    return Pipeline.is_supported()


def _pipelined(connection: Connection, pipeline: Any, elements: tuple[ExecutableDDLElement, ...]) -> None:
    """An answer comes with a later statement, or at the end: so the text of an error is that of all of them."""
    _run(connection, pipeline, "enter")
    try:
        for element in elements:
            connection.execute(element)
    except BaseException as error:
        # Without the error, which has what follows from it logged as a warning.
        with suppress(Exception):
            _run(connection, pipeline, "exit", None, None, None)
        if isinstance(error, DBAPIError):
            error.statement = _text(connection, elements)
        raise
    try:
        _run(connection, pipeline, "exit", None, None, None)
    except connection.dialect.loaded_dbapi.Error as error:
        raise _refused(connection, elements, error) from error


def _run(connection: Connection, pipeline: Any, what: str, *arguments: None) -> None:
    if not connection.dialect.is_async:
        getattr(pipeline, f"__{what}__")(*arguments)
        return
    from sqlalchemy.util import await_only

    await_only(getattr(pipeline, f"__a{what}__")(*arguments))


def _refused(connection: Connection, elements: tuple[ExecutableDDLElement, ...], error: Exception) -> BaseException:
    """As SQLAlchemy raises it, which does not see the end of a pipeline."""
    dialect, base = connection.dialect, connection.dialect.loaded_dbapi.Error
    lost = dialect.is_disconnect(error, connection.connection.dbapi_connection, None)  # type: ignore[arg-type]
    if lost:
        connection.invalidate(error)
    text = _text(connection, elements)
    return DBAPIError.instance(text, None, error, base, connection_invalidated=lost, dialect=dialect)


def _text(connection: Connection, elements: tuple[ExecutableDDLElement, ...]) -> str:
    return ";\n".join(str(each.compile(dialect=connection.dialect)) for each in elements)
