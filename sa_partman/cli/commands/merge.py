"""``sa-partman merge``."""

from __future__ import annotations

from typing import Any

import click

from sa_partman.cli.change import refuse_idle
from sa_partman.cli.request import Request, shared
from sa_partman.cli.rewriting import How, RewriteCommand, perform, require_length, require_width, rewriting


@click.command("merge")
@click.argument("names", nargs=-1, required=True, metavar="PARTITION PARTITION... | TABLE")
@shared
@rewriting
@click.option("--older-than", metavar="TIME|NUMBER", help="All of TABLE that is older: '1 year'.")
@click.option("--into", metavar="INTERVAL", help="With --older-than: one of this width, as '1 month'.")
def command(request: Request, names: tuple[str, ...], older_than: str | None, into: str | None, **how: Any) -> int:
    """
    Join neighbouring PARTITIONs, or what is old of TABLE, online. To go on with it or to take it back, name the table.
    """
    asked = How.of(own=("older_than", "into"), **how)
    if older_than is None:
        refuse_idle({"into": "without --older-than"})
    several = asked.mode.begins and older_than is None
    if several != (len(names) > 1):
        raise click.UsageError(
            "name two or more partitions, or one table with --older-than"
            if several or asked.mode.begins
            else f"--{asked.mode.value} takes one name, that of the table"
        )
    require_width(into)
    require_length(older_than)
    merge = _named(names) if older_than is None else _older(names[0], older_than, into)
    return perform(request, merge, asked)


def _named(names: tuple[str, ...]) -> RewriteCommand:
    return RewriteCommand(
        "merge",
        names[0],
        lambda rewriter: rewriter.plan_merge(*names),
        lambda rewriter, **told: rewriter.merge(*names, **told),
    )


def _older(table: str, older_than: str, into: str | None) -> RewriteCommand:
    return RewriteCommand(
        "merge",
        table,
        lambda rewriter: rewriter.plan_merge_older(table, older_than, into=into),
        lambda rewriter, **told: rewriter.merge_older(table, older_than, into=into, **told),
    )
