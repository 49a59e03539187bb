"""How a partitioned table is partitioned at all, and by what."""

from __future__ import annotations

from alembic.util import CommandError

from sa_partman.catalog import FoundTable
from sa_partman.compare.shape import shape_finding
from sa_partman.spec.declared import DeclaredTable


def compare_scheme(declared: DeclaredTable, found: FoundTable) -> None:
    """
    Raises:
        CommandError: Strategy or key differ, and PostgreSQL can't change them in place.
    """
    misfit = shape_finding(declared, found)
    if misfit is not None:
        raise CommandError(
            f"{misfit.message}; no migration was written. PostgreSQL can't change a partition key: declare what is "
            f"there; or take __partition__ off the model, migrate (op.unpartition_table makes the table plain), and "
            f"declare {declared.level.partition_by} afterwards."
        )
