"""``sa-partman run``."""

from __future__ import annotations

import click

from sa_partman.cli.change import ChangeCommand, perform
from sa_partman.cli.request import (
    Request,
    dry_run_option,
    limit_option,
    lock_options,
    max_rows_option,
    shared,
    sql_option,
    yes_option,
)
from sa_partman.cli.serving import every_option, listen_option, serve
from sa_partman.maintenance.schedule import Schedule


@click.command("run")
@shared
@lock_options()
@dry_run_option
@sql_option
@yes_option
@limit_option
@max_rows_option
@click.option(
    "--repair",
    is_flag=True,
    help="First mend: privileges and policies of partitions, detaches of others that were cut off.",
)
@click.option("--adopt", is_flag=True, help="First hand partitions that sa-partman did not make over to retention.")
@click.option("--regrid", is_flag=True, help="First replace empty partitions ahead that another interval= made.")
@every_option
@listen_option
def command(
    request: Request,
    dry_run: bool,
    as_sql: bool,
    yes: bool,
    max_rows: int | None,
    repair: bool,
    adopt: bool,
    regrid: bool,
    schedule: Schedule | None,
    listen: str | None,
) -> int:
    """
    Create missing partitions, then remove expired ones.

    The line for cron is: sa-partman run --yes
    """
    if (adopt or regrid) and (schedule or listen):
        once = "--adopt" if adopt else "--regrid"
        raise click.UsageError(f"{once} is for a single run; leave out --every and --listen")
    if max_rows is not None and (schedule or listen):
        raise click.UsageError("--max-rows is for a single run in a maintenance window; leave out --every and --listen")
    change = ChangeCommand(
        lambda each: each.plan(request.only, repair=repair, adopt=adopt, regrid=regrid, max_rows=max_rows),
        lambda each: each.run(request.only, repair=repair, adopt=adopt, regrid=regrid, max_rows=max_rows),
        dry_run,
        as_sql,
        yes,
    )
    return serve(request, change, schedule, listen) if schedule or listen else perform(request, change)
