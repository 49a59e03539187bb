"""Printing: data on stdout, what stands in the way on stderr."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import click

from sa_partman.cli.words import counted, counted_result, failure_lines, finding_lines, lines_of, result_lines
from sa_partman.maintenance.results import MaintenancePlan, RunResult


def print_json(document: dict[str, Any]) -> None:
    click.echo(json.dumps(document, indent=2))


def print_lines(lines: Iterable[str], *, err: bool = False) -> None:
    for line in lines:
        click.echo(line, err=err)


def print_plan(plan: MaintenancePlan, *, as_json: bool, as_sql: bool) -> None:
    if as_json:
        print_json(plan.to_dict())
        return
    if as_sql:
        click.echo(plan.sql(), nl=False)
    else:
        print_lines([*lines_of(plan), f"{counted(plan)}."])
    print_lines(finding_lines(plan.findings), err=True)


def print_result(result: RunResult, *, as_json: bool) -> None:
    if as_json:
        print_json(result.to_dict())
        return
    print_lines([*result_lines(result), f"{counted_result(result)}."])
    print_lines([*failure_lines(result), *finding_lines(result.findings)], err=True)
