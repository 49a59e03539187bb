"""Action -> statements, and plans as the SQL that runs."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, singledispatch

from sqlalchemy import Dialect
from sqlalchemy.schema import ExecutableDDLElement

from sa_partman.ddl import elements
from sa_partman.plan.actions import (
    Action,
    AttachPartition,
    CreatePartition,
    CreateTable,
    DetachPartition,
    DropPartition,
    DropTable,
    FinalizeDetach,
    MarkDetached,
    MoveRows,
    UnmarkDetached,
)
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


@render.register
def _(action: CreateTable) -> Statements:
    return (elements.CreateTableDDL(action),)


@render.register
def _(action: CreatePartition) -> Statements:
    return (elements.CreatePartitionDDL(action),)


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


@render.register(MarkDetached)
@render.register(UnmarkDetached)
def _(action: MarkDetached | UnmarkDetached) -> Statements:
    return (elements.CommentDDL(action),)


@render.register
def _(action: MoveRows) -> Statements:
    return (elements.LockDDL(action), elements.MoveRowsDDL(action))


def sql_of(actions: Iterable[Action]) -> tuple[str, ...]:
    """The SQL of *actions*, a statement each, without semicolons; nothing is doubled for a driver."""
    return tuple(str(statement.compile(dialect=_printing())) for action in actions for statement in render(action))


def script_of(steps: Iterable[Step]) -> str:
    """*steps* as a script that psql can run: transactions as they are taken."""
    blocks = []
    for step in steps:
        body = "".join(f"{sql};\n" for sql in sql_of(step.actions))
        blocks.append(f"BEGIN;\n{body}COMMIT;\n" if step.in_transaction else body)
    return "\n".join(blocks)
