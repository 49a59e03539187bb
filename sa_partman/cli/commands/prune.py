"""``sa-partman prune``."""

from __future__ import annotations

import click

from sa_partman.cli.change import Change, perform
from sa_partman.cli.request import Request, dry_run_option, shared, sql_option, yes_option
from sa_partman.plan.steps import Purpose


@click.command("prune")
@shared
@dry_run_option
@sql_option
@yes_option
def command(request: Request, dry_run: bool, as_sql: bool, yes: bool) -> int:
    """Detach or drop expired partitions, as the models say; asks first."""
    return perform(
        request,
        Change(
            lambda each: each.plan(request.only).only(Purpose.HEAL, Purpose.DETACH, Purpose.DROP),
            lambda each: each.prune(request.only),
            dry_run,
            as_sql,
            yes,
        ),
    )
