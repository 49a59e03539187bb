"""Leave to remove data: asked for on a terminal, given by ``--yes``, refused otherwise."""

from __future__ import annotations

import sys

import click

from sa_partman.cli.words import counted, lines_of
from sa_partman.errors import ConfigurationError
from sa_partman.maintenance.results import MaintenancePlan


def removes(plan: MaintenancePlan) -> bool:
    return any(step.purpose.removes for step in plan.steps)


def agreed(plan: MaintenancePlan) -> bool:
    """
    Whether the user wants *plan*, which is shown on stderr first.

    Raises:
        ConfigurationError: There is nobody to ask.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfigurationError(
            f"{counted(plan)}: removing data needs --yes where nobody can be asked; nothing was changed"
        )
    for line in lines_of(plan):
        click.echo(line, err=True)
    click.echo(f"{counted(plan)}.", err=True)
    return click.confirm("Go on?", err=True)
