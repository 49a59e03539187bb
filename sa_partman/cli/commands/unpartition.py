"""``sa-partman unpartition``."""

from __future__ import annotations

from typing import Any

import click

from sa_partman.cli.request import Request, shared
from sa_partman.cli.rewriting import How, RewriteCommand, perform, rewriting
from sa_partman.maintenance.copier import Copier


@click.command("unpartition")
@click.argument("table")
@shared
@rewriting
def command(request: Request, table: str, **how: Any) -> int:
    """
    Make the partitioned TABLE a plain one online: its rows are copied into one table, which takes its name.
    """
    asked = How.of(**how)
    unpartition = RewriteCommand(
        "unpartition",
        table,
        lambda copier: copier.plan_unpartition(table),
        lambda copier, **told: copier.unpartition(table, **told),
        Copier,
    )
    return perform(request, unpartition, asked)
