"""``sa-partman split``."""

from __future__ import annotations

from typing import Any

import click

from sa_partman.cli.request import Request, shared_but_at
from sa_partman.cli.rewriting import How, RewriteCommand, perform, require_length, require_width, rewriting


@click.command("split")
@click.argument("partition")
@shared_but_at
@rewriting
@click.option("--into", metavar="INTERVAL", help="Cut it so: '1 month', or a number; without it as the model says.")
@click.option("--at", "cuts", multiple=True, metavar="TIME|NUMBER", help="Cut it here; repeatable.")
@click.option("--older-than", metavar="TIME|NUMBER", help="Cut it where this is over: '14 months'.")
def command(
    request: Request, partition: str, into: str | None, cuts: tuple[str, ...], older_than: str | None, **how: Any
) -> int:
    """
    Cut PARTITION in several, online. To go on with it or to take it back, name PARTITION or its table.
    """
    asked = How.of(own=("into", "cuts", "older_than"), **how)
    require_width(into)
    require_length(older_than)
    given: dict[str, Any] = {"into": into, "at": cuts, "older_than": older_than}
    split = RewriteCommand(
        "split",
        partition,
        lambda rewriter: rewriter.plan_split(partition, **given),
        lambda rewriter, **told: rewriter.split(partition, **given, **told),
    )
    return perform(request, split, asked)
