"""``sa-partman prune``."""

from __future__ import annotations

import click

from sa_partman.cli.change import ChangeCommand, perform
from sa_partman.cli.request import Request, dry_run_option, limit_option, lock_options, shared, sql_option, yes_option
from sa_partman.plan.steps import Purpose

PRUNING = tuple(purpose for purpose in Purpose if purpose is Purpose.HEAL or purpose.removes)


@click.command("prune")
@shared
@lock_options()
@click.option(
    "--tenant",
    "tenants",
    multiple=True,
    metavar="VALUE",
    help="Only all that is left of this tenant; repeatable.",
)
@dry_run_option
@sql_option
@yes_option
@limit_option
def command(request: Request, tenants: tuple[str, ...], dry_run: bool, as_sql: bool, yes: bool) -> int:
    """Detach, archive or drop expired partitions and rows, as the models say; asks first."""
    return perform(
        request,
        ChangeCommand(
            lambda each: each.plan(request.only, leaving=tenants).only(*PRUNING),
            lambda each: each.prune(request.only, tenants=tenants),
            dry_run,
            as_sql,
            yes,
        ),
    )
