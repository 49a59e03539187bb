"""
What each operation does: on a server, into a script, or nothing where there are no partitions. ``register()`` is all
that the operations need: themselves, how they are written into a migration, and our care for Alembic's own.

A script is whole, or it is not written: what is refused in its middle would leave a BEGIN without its COMMIT, and half
of the revisions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import StringIO
from typing import Any
from weakref import WeakSet

from alembic.ddl.impl import DefaultImpl
from alembic.operations import MigrateOperation, Operations
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError

from alembic_ext import enums, guards, indexes, offline, ops, partitions, render, table_ops, tables
from alembic_ext.session import is_offline, on_postgresql

Implementation = Callable[[Operations, Any], None]

_DONE: list[bool] = []


def register() -> None:
    """Once, whoever asks first: the entry point, ``env.py``, or a migration file."""
    if _DONE:
        return
    _DONE.append(True)
    _register(ops.CreatePartitionOp, partitions.create, offline.create)
    _register(ops.DropPartitionOp, partitions.drop, offline.drop)
    _register(ops.AttachPartitionOp, partitions.attach, offline.attach)
    _register(ops.DetachPartitionOp, partitions.detach, offline.detach)
    _register(table_ops.ProvisionPartitionsOp, tables.provision_partitions, offline.provision)
    _register(table_ops.RepartitionTableOp, tables.repartition_table, tables.refuse_offline)
    _register(table_ops.PartitionTableOp, tables.partition_table, tables.refuse_offline)
    _register(table_ops.UnpartitionTableOp, tables.unpartition_table, tables.refuse_offline)
    Operations.implementation_for(indexes.CreatePartitionedIndexOp)(indexes.create)
    Operations.implementation_for(indexes.DropPartitionedIndexOp)(indexes.drop)
    Operations.implementation_for(enums.AddEnumLabelsOp)(enums.add)
    Operations.implementation_for(enums.LabelsStayOp)(_nothing)
    Operations.implementation_for(ops.Nothing)(_nothing)
    render.register()
    guards.register()
    _hold_back_scripts()


def _register(kind: type[MigrateOperation], online: Implementation, offline_: Implementation) -> None:
    def implementation(operations: Operations, operation: Any) -> None:
        if not on_postgresql(operations):
            return
        if not is_offline(operations):
            online(operations, operation)
            return
        try:
            offline_(operations, operation)
        except CommandError:
            _break_off(operations)
            raise

    Operations.implementation_for(kind)(implementation)


_HELD: WeakSet[DefaultImpl] = WeakSet()


def _hold_back_scripts() -> None:
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


def _break_off(operations: Operations) -> None:
    """Ends a script that is refused and was not held back: a project without the line in env.py has its BEGIN there."""
    context = operations.migration_context
    if context.impl not in _HELD and context.impl.transactional_ddl:
        context.impl.static_output("ROLLBACK" + context.impl.command_terminator)


def _nothing(operations: Operations, operation: MigrateOperation) -> None:
    pass


register()
