"""
``import alembic_ext.autogenerate`` in ``env.py`` is all that a project needs, with every Alembic from 1.13 on.

It may be active together with the entry point: what both register runs once.
"""

from __future__ import annotations

from typing import Any

from alembic import util
from alembic.autogenerate import comparators as _comparators

from alembic_ext import operations
from alembic_ext.compare.hooks import finish, prepare


def _register(comparators: Any) -> None:
    # Qualifier "default": before 1.18 one of a dialect's own would replace Alembic's comparison of tables.
    priority = getattr(util, "DispatchPriority", None)
    if priority is not None:
        comparators.dispatch_for("schema", priority=priority.FIRST, subgroup="sa_partman")(prepare)
        comparators.dispatch_for("schema", priority=priority.LAST, subgroup="sa_partman")(finish)
        return
    # In order of registration; nothing public puts a function before Alembic's own.
    comparators.dispatch_for("schema")(finish)
    comparators._registry[("schema", "default")].insert(0, prepare)


operations.register()
_register(_comparators)
