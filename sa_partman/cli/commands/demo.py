"""``sa-partman demo``."""

from __future__ import annotations

import click


@click.command("demo")
@click.option("--keep", is_flag=True, help="Leave the server and the project there until you press Enter.")
def command(keep: bool) -> int:
    """Show the whole story, on a throw-away PostgreSQL and 336,776 real flights."""
    from sa_partman.demo.story import tell

    return tell(keep=keep)
