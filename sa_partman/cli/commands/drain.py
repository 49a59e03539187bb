"""``sa-partman drain``."""

from __future__ import annotations

from typing import Any

import click

from sa_partman.cli.request import Request, shared
from sa_partman.cli.rewriting import How, RewriteCommand, perform, rewriting


@click.command("drain")
@click.argument("table")
@shared
@rewriting
def command(request: Request, table: str, **how: Any) -> int:
    """
    Give the rows in the default partition of TABLE partitions of their own, online.
    """
    asked = How.of(**how)
    drain = RewriteCommand(
        "drain",
        table,
        lambda rewriter: rewriter.plan_drain(table),
        lambda rewriter, **told: rewriter.drain(table, **told),
    )
    return perform(request, drain, asked)
