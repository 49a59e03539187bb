"""Action -> statements, and plans as the SQL that runs."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, singledispatch
from typing import get_args

from sqlalchemy import Dialect
from sqlalchemy.schema import ExecutableDDLElement

from sa_partman.ddl import elements, membership
from sa_partman.plan.actions import (
    Action,
    ArchiveTable,
    AttachPartition,
    CreatePartition,
    CreateTable,
    DeleteExpired,
    DeleteReferring,
    DetachPartition,
    DropDetached,
    DropInvalidIndex,
    DropPartition,
    DropTable,
    FinalizeDetach,
    MarkAdopted,
    MarkDetached,
    MoveRows,
    RequireEmpty,
    Stored,
    UnmarkDetached,
)
from sa_partman.plan.member_actions import MemberAction
from sa_partman.plan.steps import Step

Statements = tuple[ExecutableDDLElement, ...]


@cache
def _printing() -> Dialect:
    # Imported when something is printed: it takes a tenth of the time that the whole package takes to start.
    from sqlalchemy.dialects import postgresql

    return postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]


@singledispatch
def render(action: Action) -> Statements:
    """The statements of *action*, in order."""
    raise NotImplementedError(type(action))


# Whoever makes a partition, by a run, a migration or create_all(), marks it in the same breath: here nobody forgets it.
@render.register
def _(action: CreateTable) -> Statements:
    return (elements.CreateTableDDL(action), elements.MarkCreatedDDL(action))


@render.register
def _(action: CreatePartition) -> Statements:
    return (elements.CreatePartitionDDL(action), elements.MarkCreatedDDL(action))


@render.register(DropTable)
@render.register(DropPartition)
def _(action: DropTable | DropPartition) -> Statements:
    return (elements.DropTableDDL(action),)


@render.register
def _(action: AttachPartition) -> Statements:
    return (elements.AttachPartitionDDL(action),)


@render.register
def _(action: DetachPartition) -> Statements:
    return (elements.DetachPartitionDDL(action),)


@render.register
def _(action: FinalizeDetach) -> Statements:
    return (elements.FinalizeDetachDDL(action),)


@render.register
def _(action: DropInvalidIndex) -> Statements:
    return (elements.DropInvalidIndexDDL(action),)


@render.register(MarkDetached)
@render.register(UnmarkDetached)
@render.register(MarkAdopted)
def _(action: MarkDetached | UnmarkDetached | MarkAdopted) -> Statements:
    return (elements.CommentDDL(action),)


@render.register
def _(action: DeleteReferring) -> Statements:
    return (elements.DeleteReferringDDL(action),)


@render.register
def _(action: DeleteExpired) -> Statements:
    return (elements.DeleteExpiredDDL(action),)


@render.register
def _(action: RequireEmpty) -> Statements:
    return (elements.RequireEmptyDDL(action),)


@render.register
def _(action: ArchiveTable) -> Statements:
    return (elements.ArchiveTableDDL(action),)


@render.register
def _(action: DropDetached) -> Statements:
    return (elements.DropDetachedDDL(action),)


@render.register
def _(action: MoveRows) -> Statements:
    return (elements.LockDDL(action), elements.MoveRowsDDL(action))


@render.register
def _(action: Stored) -> Statements:
    return (elements.StoredDDL(action),)


for _kind in get_args(MemberAction):
    render.register(_kind, membership.statements)


def sql_of(actions: Iterable[Action]) -> tuple[str, ...]:
    """The SQL of *actions*, a statement each, without semicolons; nothing is doubled for a driver."""
    return tuple(str(statement.compile(dialect=_printing())) for action in actions for statement in render(action))


def step_sql(step: Step) -> tuple[str, ...]:
    """The SQL of *step*, and before it who does it, when that is not whoever connected."""
    if step.role is None:
        return sql_of(step.actions)
    took = membership.RoleDDL(step.role, local=step.in_transaction)
    back = () if step.in_transaction else (membership.RoleDDL(None, local=False),)
    role, *given_back = (str(each.compile(dialect=_printing())) for each in (took, *back))
    return (role, *sql_of(step.actions), *given_back)


_ADVICE = """\
-- No statement waits in a queue for a lock, with others behind it, for longer than its lock_timeout. What fails so has
-- changed nothing: run it again. Use psql -v ON_ERROR_STOP=1, or paste one block at a time: the second half of a change
-- needs the first one. "sa-partman run" looks who is in the way before it queues, and tries again by itself.
"""


def script_of(steps: Iterable[Step], *, lock_timeout: float, patience: float) -> str:
    """
    *steps* as a script that psql can run, from a file or pasted: transactions as they are taken, each with the timeout
    that a run gives it, and nothing of it left in the session.

    Args:
        lock_timeout: Seconds that a transaction waits for a lock.
        patience: Seconds that a statement outside of any waits, behind which nobody queues.
    """
    blocks = [_block(step, lock_timeout, patience) for step in steps]
    return "\n".join([_ADVICE, *blocks]) if blocks else ""


def _block(step: Step, lock_timeout: float, patience: float) -> str:
    body = "".join(f"{sql};\n" for sql in step_sql(step))
    if step.in_transaction:
        return f"BEGIN;\nSET LOCAL lock_timeout = '{milliseconds(lock_timeout)}';\n{body}COMMIT;\n"
    return f"SET lock_timeout = '{milliseconds(patience)}';\n{body}RESET lock_timeout;\n"


def milliseconds(seconds: float) -> str:
    """As a setting has it: at least 1 ms, for 0 would mean without end."""
    return f"{max(1, round(seconds * 1000))}ms"
