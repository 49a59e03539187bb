"""``sa-partman check``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

import click

from sa_partman.bounds.interval import Duration
from sa_partman.checks.coverage import Asked
from sa_partman.cli.discovery.find import Discovery
from sa_partman.cli.failures import PENDING
from sa_partman.cli.opening import discovery_of, opened
from sa_partman.cli.output import finding_lines, print_json, print_lines
from sa_partman.cli.request import Request, lock_options, shared
from sa_partman.finding import Finding, Severity
from sa_partman.maintenance.checking import Checked, checked
from sa_partman.observe.metrics import look_text

_MIGRATED = ("missing-table", "not-partitioned", "other-key")
"""Findings whose remedy is a migration."""


def _length(_: click.Context, __: click.Parameter, value: str | None) -> Duration | None:
    try:
        return None if value is None else Duration.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command("check")
@shared
@lock_options("lease")
@click.option("--min-horizon", callback=_length, metavar="TIME", help="Fail when partitions end sooner, such as in 7d.")
@click.option("--max-age", callback=_length, metavar="TIME", help="Warn when the last good audited run is older.")
@click.option("--as-role", metavar="ROLE", help="Say what this role lacks, too: the one that maintains.")
@click.option("--prometheus", is_flag=True, help="Print metrics instead, for a textfile collector.")
def command(
    request: Request, min_horizon: Duration | None, max_age: Duration | None, as_role: str | None, prometheus: bool
) -> int:
    """Say what is wrong, or about to go wrong; exit with 1 if anything is."""
    if prometheus and request.as_json:
        raise click.UsageError("--prometheus and --json don't go together")
    discovery = discovery_of(request)
    with opened(request, discovery) as maintainer:
        asked = Asked.of(min_horizon, max_age, as_role)
        seen = checked(maintainer.settings, request.only, asked, with_status=prometheus)
        seen = replace(seen, findings=(*seen.findings, *_migrations(discovery, seen.findings)))
    problems = sum(finding.is_problem for finding in seen.findings)
    if prometheus:
        click.echo(look_text(seen.tables, seen.findings, seen.last), nl=False)
    elif request.as_json:
        print_json({"problems": problems, "findings": [finding.to_dict() for finding in seen.findings]})
    else:
        _print(seen, problems)
    return PENDING if problems else 0


def _migrations(discovery: Discovery, findings: Sequence[Finding]) -> Iterator[Finding]:
    """Whether migrations know the declarations: where env.py was run anyway, or where one has to be written."""
    project = discovery.env_py
    if project is None or not (project.was_run or any(each.code in _MIGRATED for each in findings)):
        return
    env = project.ignorant()
    if env is not None:
        path = os.path.relpath(env)
        yield Finding(
            "env-py",
            Severity.WARNING,
            "",
            f"{path} does not import alembic_ext.autogenerate, so that alembic revision --autogenerate knows nothing "
            f"of the declarations: it converts and creates nothing for them",
            f"write into {path}: import alembic_ext.autogenerate",
        )


def _print(seen: Checked, problems: int) -> None:
    print_lines(finding_lines(seen.findings))
    print_lines([f"{problems or 'No'} {'problem' if problems == 1 else 'problems'}."])
