"""Whether a migration may commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # Alembic imports us while it is half imported itself
    from alembic.runtime.migration import MigrationContext


def owns_transaction(context: MigrationContext) -> bool:
    """Whether Alembic may commit: ``autocommit_block()`` fails with a bare assertion where it may not."""
    if context._in_external_transaction or context.connection is None:
        return False
    return context._transaction is not None or not context.connection.in_transaction()
