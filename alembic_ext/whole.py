"""
A script of ``--sql`` mode is whole, or it is not written: what is refused in its middle would leave a BEGIN without its
COMMIT, and half of the revisions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from io import StringIO
from typing import Any
from weakref import WeakSet

from alembic.ddl.impl import DefaultImpl
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError

_HELD: WeakSet[DefaultImpl] = WeakSet()


def register() -> None:
    """Holds back what Alembic writes inside of ``context.begin_transaction()``, on PostgreSQL."""
    begin = MigrationContext.begin_transaction

    def begin_transaction(self: MigrationContext, _per_migration: bool = False) -> AbstractContextManager[Any]:
        inner = begin(self, _per_migration)
        if _per_migration or not self.as_sql or self.dialect.name != "postgresql":
            return inner
        return _held_back(self.impl, inner)

    setattr(MigrationContext, "begin_transaction", begin_transaction)  # noqa: B010 -- there is no registry for it


@contextmanager
def _held_back(impl: DefaultImpl, inner: AbstractContextManager[Any]) -> Iterator[None]:
    out, held = impl.output_buffer, StringIO()
    assert out is not None
    impl.output_buffer = held
    _HELD.add(impl)
    refused = False
    try:
        with inner:
            yield
    except CommandError:
        refused = True
        raise
    finally:
        impl.output_buffer = out
        _HELD.discard(impl)
        if not refused:  # what fails otherwise shows how far it came, as ever
            out.write(held.getvalue())
            out.flush()


def break_off(operations: Operations) -> None:
    """Ends a script that is refused and was not held back: a project without the line in env.py has its BEGIN there."""
    context = operations.migration_context
    if context.impl not in _HELD and context.impl.transactional_ddl:
        context.impl.static_output("ROLLBACK" + context.impl.command_terminator)
