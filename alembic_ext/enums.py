"""
Labels of enums that a list partition needs: PostgreSQL takes a new one only when the transaction that added it is over.

So they are added in an autocommit block, ahead of everything else. Nothing takes a label away again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alembic.operations import MigrateOperation, Operations
from alembic.util import CommandError

from alembic_ext.session import OperationSession
from sa_partman.bounds.bound import Bound, ListBound
from sa_partman.ddl.blocks import add_enum_labels
from sa_partman.key import Family, PartitionKey
from sa_partman.names import QualifiedName, text_literal
from sa_partman.postgres.migrations import enums_of


class AddEnumLabelsOp(MigrateOperation):
    """
    New labels of an enum; written as the ALTER TYPE statements that add them.

    Args:
        labels: All that the enum is to have, in order.
        found: Those that it has.
    """

    def __init__(self, name: QualifiedName, labels: Sequence[str], found: Sequence[str]) -> None:
        self.name, self.labels, self.found = name, tuple(labels), tuple(found)

    @property
    def added(self) -> tuple[str, ...]:
        return tuple(label for label in self.labels if label not in self.found)

    def statements(self) -> tuple[str, ...]:
        return add_enum_labels(self.name, self.labels, self.found)

    def reverse(self) -> MigrateOperation:
        return LabelsStayOp(self)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return ("add_enum_labels", self.name.schema, self.name.name, self.added)


class LabelsStayOp(MigrateOperation):
    """The way back: there is none, and a label that no row has does no harm."""

    def __init__(self, back: AddEnumLabelsOp) -> None:
        self.back = back

    def reverse(self) -> MigrateOperation:
        return self.back

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return ("enum_labels_stay", self.back.to_diff_tuple())


def add(operations: Operations, operation: AddEnumLabelsOp) -> None:
    with operations.migration_context.autocommit_block():
        for statement in operation.statements():
            operations.execute(escaped(statement))


def escaped(statement: str) -> str:
    """``op.execute()`` takes ``:name`` for a parameter."""
    return statement.replace(":", r"\:")


def refuse_unknown_labels(session: OperationSession, bound: Bound, key: PartitionKey, what: str) -> None:
    """
    Raises:
        CommandError: *bound* has a value that the enum of the key has not.
    """
    kind = key.types[0]
    if not isinstance(bound, ListBound) or kind.family is not Family.ENUM:
        return
    known = {label for _, _, labels in enums_of(session.connection, [kind.sql]) for label in labels}
    unknown = sorted(str(value) for value in bound.values if value is not None and value not in known)
    if unknown:
        add = f"ALTER TYPE {kind.sql} ADD VALUE {text_literal(unknown[0])}"
        raise CommandError(
            f"{what}: the enum {kind.sql} has no label {unknown[0]!r}; nothing was changed. Add it first, in a block "
            f"of its own, because a new label can be used only when it is committed: "
            f"with op.get_context().autocommit_block(): op.execute({add!r})"
        )
