"""``sa-partman demo``."""

from __future__ import annotations

import click


@click.command("demo")
@click.option("--keep", is_flag=True, help="Leave the server and the project there until you press Enter.")
@click.option("--history", is_flag=True, help="Begin with a large table, whose past is split while it is written.")
def command(keep: bool, history: bool) -> int:
    """Show the whole story, on a throw-away PostgreSQL and 336,776 real flights."""
    from sa_partman.demo.story import tell

    return tell(keep=keep, large=history)
