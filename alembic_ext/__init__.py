"""
Partitions in Alembic migrations. In ``env.py``: ``import alembic_ext.autogenerate``.

This file is read wherever the package is installed, through Alembic's entry point: it imports nothing at all.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sa_partman.bounds.bound import MAXVALUE, MINVALUE

__all__ = ["MAXVALUE", "MINVALUE"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sa_partman.bounds import bound

    return getattr(bound, name)
