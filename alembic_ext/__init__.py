"""
Partitions in Alembic migrations. In ``env.py``: ``import alembic_ext.autogenerate``.

This file is read while Alembic itself is half imported (its entry point), so it imports nothing of Alembic.
"""

from sa_partman.bounds.values import MAXVALUE, MINVALUE

__all__ = ["MAXVALUE", "MINVALUE"]
