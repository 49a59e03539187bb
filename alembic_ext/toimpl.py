"""Operation -> what is done: on a server, into a script, or nothing where there are no partitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alembic.operations import MigrateOperation, Operations
from alembic.util import CommandError

from alembic_ext import (
    conversion,
    conversion_ops,
    enums,
    index,
    index_ops,
    offline,
    ops,
    partitions,
    provision,
    repartition,
    table_ops,
)
from alembic_ext.session import is_offline, needs_connection, on_postgresql
from alembic_ext.whole import break_off

Implementation = Callable[[Operations, Any], None]


def register() -> None:
    _register(ops.CreatePartitionOp, partitions.create, offline.create)
    _register(ops.DropPartitionOp, partitions.drop, offline.drop)
    _register(ops.AttachPartitionOp, partitions.attach, offline.attach)
    _register(ops.DetachPartitionOp, partitions.detach, offline.detach)
    _register(table_ops.ProvisionPartitionsOp, provision.provision, offline.provision)
    _register(table_ops.RepartitionTableOp, repartition.repartition, _not_offline)
    _register(conversion_ops.PartitionTableOp, conversion.partition, conversion.not_offline)
    _register(conversion_ops.UnpartitionTableOp, conversion.unpartition, conversion.not_offline)
    Operations.implementation_for(index_ops.CreatePartitionedIndexOp)(index.create)
    Operations.implementation_for(index_ops.DropPartitionedIndexOp)(index.drop)
    Operations.implementation_for(enums.AddEnumLabelsOp)(enums.add)
    Operations.implementation_for(enums.LabelsStayOp)(_nothing)
    Operations.implementation_for(ops.Nothing)(_nothing)


def _register(kind: type[MigrateOperation], online: Implementation, offline: Implementation) -> None:
    def implementation(operations: Operations, operation: Any) -> None:
        if not on_postgresql(operations):
            return
        if not is_offline(operations):
            online(operations, operation)
            return
        try:
            offline(operations, operation)
        except CommandError:
            break_off(operations)
            raise

    Operations.implementation_for(kind)(implementation)


def _nothing(operations: Operations, operation: MigrateOperation) -> None:
    pass


def _not_offline(operations: Operations, operation: table_ops.RepartitionTableOp) -> None:
    what = f"op.{operation.verb}({operation.table!r}, ...)"
    needs_connection(operations, what, "it counts the rows that it moves. Run this migration on a connection.")
