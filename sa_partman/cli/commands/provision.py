"""``sa-partman provision``."""

from __future__ import annotations

import click

from sa_partman.cli.change import Change, perform
from sa_partman.cli.request import Request, dry_run_option, shared, sql_option
from sa_partman.plan.steps import Purpose


@click.command("provision")
@shared
@click.option("--tenant", "tenants", multiple=True, metavar="VALUE", help="Make this tenant's partitions; repeatable.")
@dry_run_option
@sql_option
@click.option("-y", "--yes", is_flag=True, help="Taken as by run; provision never asks.")
def command(request: Request, tenants: tuple[str, ...], dry_run: bool, as_sql: bool, yes: bool) -> int:
    """Create missing partitions and remove none."""
    return perform(
        request,
        Change(
            lambda each: each.plan(request.only, tenants=tenants).only(Purpose.HEAL, Purpose.PROVISION),
            lambda each: each.provision(request.only, tenants=tenants),
            dry_run,
            as_sql,
            yes,
        ),
    )
