"""``sa-partman check``."""

from __future__ import annotations

import click

from sa_partman.cli.failures import PENDING
from sa_partman.cli.opening import opened
from sa_partman.cli.output import print_json, print_lines
from sa_partman.cli.request import Request, shared
from sa_partman.cli.words import finding_lines


@click.command("check")
@shared
def command(request: Request) -> int:
    """Say what is wrong, or about to go wrong; exit with 1 if anything is."""
    with opened(request) as maintainer:
        findings = maintainer.check(request.only)
    problems = sum(finding.is_problem for finding in findings)
    if request.as_json:
        print_json({"problems": problems, "findings": [finding.to_dict() for finding in findings]})
    else:
        print_lines(finding_lines(findings))
        print_lines([f"{problems or 'No'} {'problem' if problems == 1 else 'problems'}."])
    return PENDING if problems else 0
