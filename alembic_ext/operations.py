"""
What each operation does: on a server, into a script, or nothing where there are no partitions. ``register()`` is all
that the operations need: themselves, how they are written into a migration, and our care for Alembic's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alembic.operations import MigrateOperation, Operations
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
    offline.hold_back_scripts()


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
            offline.break_off(operations)
            raise

    Operations.implementation_for(kind)(implementation)


def _nothing(operations: Operations, operation: MigrateOperation) -> None:
    pass


register()
