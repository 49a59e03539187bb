"""
The ``alembic.plugins`` entry point: operations by name, comparisons where ``autogenerate_plugins`` names them.

Every project that has the package installed loads this file, also those that know nothing of us: it imports nothing of
``sa_partman``, whose import listens to events of every Table, and changes nothing of Alembic's own. The rest follows
when a migration uses an operation of ours. Alembic itself is half imported here, and little of it can be imported.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from typing import Any

OPERATIONS = (
    "attach_partition",
    "create_partition",
    "create_partitioned_index",
    "detach_partition",
    "drop_partition",
    "drop_partitioned_index",
    "partition_table",
    "provision_partitions",
    "repartition_table",
    "unpartition_table",
)
"""What ``op`` offers without a line in ``env.py``."""


class _IterableModule(types.ModuleType):
    """Alembic 1.18.0 to 1.20.0 iterate over what the entry point names; later ones take it as it is."""

    def __iter__(self) -> Iterator[types.ModuleType]:
        yield self


sys.modules[__name__].__class__ = _IterableModule


def setup(plugin: Any) -> None:
    """
    Args:
        plugin: ``alembic.runtime.plugins.Plugin``, of Alembic 1.18 and later.
    """
    from alembic.operations import Operations
    from alembic.util import DispatchPriority

    for name in OPERATIONS:
        # Whoever imported us before has the operations themselves.
        if not hasattr(Operations, name):
            Operations.register_operation(name, "use")(_stand_in(name))
    # A subgroup of our own: what others stop does not stop us, and the other way round.
    plugin.add_autogenerate_comparator(_prepare, "schema", "sa_partman", priority=DispatchPriority.FIRST)
    plugin.add_autogenerate_comparator(_finish, "schema", "sa_partman", priority=DispatchPriority.LAST)


def _stand_in(name: str) -> Any:
    """Makes way for the operation *name* when it is used first."""

    class StandIn:
        @classmethod
        def use(cls, operations: Any, *arguments: Any, **keywords: Any) -> Any:
            _register()
            return getattr(operations, name)(*arguments, **keywords)

    return StandIn


def _register() -> None:
    from alembic_ext import operations

    operations.register()


def _prepare(*arguments: Any) -> None:
    from alembic_ext.compare.hooks import prepare

    _register()
    prepare(*arguments)


def _finish(*arguments: Any) -> None:
    from alembic_ext.compare.hooks import finish

    finish(*arguments)
