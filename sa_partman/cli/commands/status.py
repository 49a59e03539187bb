"""``sa-partman status``."""

from __future__ import annotations

import click

from sa_partman.cli.change import UNRECORDED, refuse_idle
from sa_partman.cli.opening import opened
from sa_partman.cli.output import print_json, print_lines
from sa_partman.cli.request import Request, shared
from sa_partman.observe.text import view_of


@click.command("status")
@shared
@click.option("--all", "everything", is_flag=True, help="Every partition, also where there are hundreds.")
def command(request: Request, *, everything: bool) -> None:
    """Show every table with its partitions: over time on a terminal, as a plain table elsewhere."""
    every = {"everything": "with --json, which has every partition"} if request.as_json else {}
    refuse_idle({"audit": f"with status: {UNRECORDED}", **every})
    with opened(request) as maintainer:
        tables = maintainer.status(request.only)
    if request.as_json:
        print_json({"tables": [table.to_dict() for table in tables]})
        return
    view = view_of(tables, no_color=request.no_color, everything=everything)
    print_lines([view.text] if view.text else [])
    print_lines(view.hints, err=True)
