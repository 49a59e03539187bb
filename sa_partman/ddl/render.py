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
def _(action: ArchiveTable) -> Statements:
    return (elements.ArchiveTableDDL(action),)


@render.register
def _(action: DropDetached) -> Statements:
    return (elements.DropDetachedDDL(action),)


@render.register
def _(action: MoveRows) -> Statements:
    return (elements.LockDDL(action), elements.MoveRowsDDL(action))


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


def script_of(steps: Iterable[Step]) -> str:
    """*steps* as a script that psql can run: transactions as they are taken."""
    blocks = []
    for step in steps:
        body = "".join(f"{sql};\n" for sql in step_sql(step))
        blocks.append(f"BEGIN;\n{body}COMMIT;\n" if step.in_transaction else body)
    return "\n".join(blocks)
