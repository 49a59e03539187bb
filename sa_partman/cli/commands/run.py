"""``sa-partman run``."""

from __future__ import annotations

import click

from sa_partman.cli.change import Change, perform
from sa_partman.cli.request import Request, dry_run_option, shared, sql_option, yes_option


@click.command("run")
@shared
@dry_run_option
@sql_option
@yes_option
def command(request: Request, dry_run: bool, as_sql: bool, yes: bool) -> int:
    """
    Create missing partitions, then remove expired ones.

    The line for cron is: sa-partman run --yes
    """
    return perform(
        request,
        Change(lambda each: each.plan(request.only), lambda each: each.run(request.only), dry_run, as_sql, yes),
    )
