"""``sa-partman plan``."""

from __future__ import annotations

import click

from sa_partman.cli.change import UNRECORDED, refuse_idle
from sa_partman.cli.failures import PENDING
from sa_partman.cli.opening import opened
from sa_partman.cli.output import print_plan
from sa_partman.cli.request import PRINTED, Request, idle_locks, lock_options, refuse_both, shared, sql_option


@click.command("plan")
@shared
@lock_options(*PRINTED)
@sql_option
@click.option("--regrid", is_flag=True, help="As run --regrid would: replace empty partitions of another interval=.")
def command(request: Request, as_sql: bool, regrid: bool) -> int:
    """Print what `run` would do; exit with 1 if there is anything to do."""
    refuse_idle({"audit": f"with plan: {UNRECORDED}", **idle_locks("without --sql", script=as_sql)})
    refuse_both(as_json=request.as_json, as_sql=as_sql)
    with opened(request) as maintainer:
        plan = maintainer.plan(request.only, regrid=regrid)
    print_plan(plan, as_json=request.as_json, as_sql=as_sql)
    return PENDING if plan or any(each.is_problem for each in plan.findings) else 0
