"""``sa-partman regrid``."""

from __future__ import annotations

from typing import Any

import click

from sa_partman.cli.request import Request, shared
from sa_partman.cli.rewriting import How, RewriteCommand, perform, rewriting


@click.command("regrid")
@click.argument("table")
@shared
@rewriting
def command(request: Request, table: str, **how: Any) -> int:
    """
    Give the partitions of TABLE the interval that its model declares now, online, also where they hold rows.
    """
    asked = How.of(**how)
    regrid = RewriteCommand(
        "regrid",
        table,
        lambda rewriter: rewriter.plan_regrid(table),
        lambda rewriter, **told: rewriter.regrid(table, **told),
    )
    return perform(request, regrid, asked)
