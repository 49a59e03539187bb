"""
The ``alembic.plugins`` entry point: operations at once, comparisons where ``autogenerate_plugins`` names them.

Alembic imports this module while ``alembic.autogenerate`` is half imported: nothing here may import that.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from typing import Any


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
    from alembic.util import DispatchPriority

    from alembic_ext import operations

    operations.register()
    # A subgroup of our own: what others stop does not stop us, and the other way round.
    plugin.add_autogenerate_comparator(_prepare, "schema", "sa_partman", priority=DispatchPriority.FIRST)
    plugin.add_autogenerate_comparator(_finish, "schema", "sa_partman", priority=DispatchPriority.LAST)


def _prepare(*arguments: Any) -> None:
    from alembic_ext.compare.hooks import prepare

    prepare(*arguments)


def _finish(*arguments: Any) -> None:
    from alembic_ext.compare.hooks import finish

    finish(*arguments)
