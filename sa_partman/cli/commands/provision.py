"""``sa-partman provision``."""

from __future__ import annotations

import click

from sa_partman.cli.change import ChangeCommand, perform
from sa_partman.cli.request import Request, dry_run_option, lock_options, max_rows_option, shared, sql_option
from sa_partman.plan.steps import Purpose


@click.command("provision")
@shared
@lock_options()
@click.option("--tenant", "tenants", multiple=True, metavar="VALUE", help="Make this tenant's partitions; repeatable.")
@max_rows_option
@dry_run_option
@sql_option
@click.option("-y", "--yes", is_flag=True, help="Taken as by run; provision never asks.")
def command(
    request: Request, tenants: tuple[str, ...], max_rows: int | None, dry_run: bool, as_sql: bool, yes: bool
) -> int:
    """Create missing partitions and remove none."""
    return perform(
        request,
        ChangeCommand(
            lambda each: each.plan(request.only, tenants=tenants, max_rows=max_rows).only(
                Purpose.HEAL, Purpose.PROVISION
            ),
            lambda each: each.provision(request.only, tenants=tenants, max_rows=max_rows),
            dry_run,
            as_sql,
            yes,
        ),
    )
