"""
What run, provision and prune have in common: plan, ask if data goes, act, print; options that would do nothing are
refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import click
from click.core import ParameterSource

from sa_partman.cli.failures import FAILED, PENDING
from sa_partman.cli.opening import opened
from sa_partman.cli.output import agreed, print_plan, print_result, removes
from sa_partman.cli.request import Request, idle_locks, refuse_both
from sa_partman.maintenance.maintainer import Maintainer
from sa_partman.maintenance.results import MaintenancePlan, RunResult

UNRECORDED = "it keeps a record of what runs change"


def refuse_idle(idle: Mapping[str, str]) -> None:
    """
    Args:
        idle: Where each option, by its parameter's name, does nothing: ``with --dry-run``.

    Raises:
        UsageError: One of them was typed. What the environment says is meant for other commands, too.
    """
    ctx = click.get_current_context()
    for parameter in ctx.command.params:
        where = idle.get(parameter.name or "")
        if where is not None and ctx.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{max(parameter.opts, key=len)} does nothing {where}")


@dataclass(frozen=True, slots=True)
class ChangeCommand:
    """
    Args:
        plan: What `act` would do.
        act: Does it.
        dry_run: Only print the plan.
        as_sql: Only print the plan, as SQL.
        yes: Do not ask.
    """

    plan: Callable[[Maintainer], MaintenancePlan]
    act: Callable[[Maintainer], RunResult]
    dry_run: bool
    as_sql: bool
    yes: bool


def perform(request: Request, change: ChangeCommand) -> int:
    """The exit code of *change*."""
    refuse_both(as_json=request.as_json, as_sql=change.as_sql)
    if change.dry_run or change.as_sql:
        only = "with --sql" if change.as_sql else "with --dry-run"
        idle = {"yes": only, "audit": f"{only}: {UNRECORDED}"}
        refuse_idle({**idle, **idle_locks(only, script=change.as_sql)})
    with opened(request) as maintainer:
        if change.dry_run or change.as_sql:
            print_plan(change.plan(maintainer), as_json=request.as_json, as_sql=change.as_sql)
            return 0
        if not change.yes:
            plan = change.plan(maintainer)
            if removes(plan) and not agreed(plan):
                click.echo("Nothing was changed.", err=True)
                return PENDING
            maintainer = _as_agreed(maintainer, plan)
        result = change.act(maintainer)
    print_result(result, as_json=request.as_json)
    return 0 if result.ok else FAILED


def _as_agreed(maintainer: Maintainer, plan: MaintenancePlan) -> Maintainer:
    """
    The same at the plan's instant: what was agreed to is what happens, however long the answer took.

    Where nobody was asked, because the plan removes nothing, nothing is removed.
    """
    then = maintainer.at(plan.now)
    return then if removes(plan) else then.with_settings(replace(then.settings, limit=0))
