"""Several databases in one call: one after the other, whatever becomes of each; the worst exit code is that of all."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING, Any

import click
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from sa_partman.cli.failures import BUSY, FAILED, PENDING, REPORTED, USAGE, report
from sa_partman.postgres.session import shown

if TYPE_CHECKING:
    from sa_partman.cli.request import Request

_WORSE = (0, PENDING, BUSY, USAGE, FAILED)


def each_database(request: Request, urls: Sequence[str], command: Callable[[Request], Any]) -> int:
    """
    The worst exit code of *command* on each of *urls*, told apart by a line ``-- URL``; with JSON, in one document.

    Returns:
        0 only if it is that of every database; failed is worse than wrong usage, and that is worse than busy.
    """
    ctx = click.get_current_context()
    documents, codes = [], []
    for url in urls:
        shown, said = _shown(url), StringIO()
        if request.as_json:
            with redirect_stdout(said):
                codes.append(_code(ctx, replace(request, url=url), command))
            documents.append({"url": shown, "exit_code": codes[-1], "result": _document(said.getvalue())})
        else:
            click.echo(f"-- {shown}")
            codes.append(_code(ctx, replace(request, url=url), command))
    if request.as_json:
        click.echo(json.dumps({"databases": documents}, indent=2))
    return max(codes, key=lambda code: _WORSE.index(code) if code in _WORSE else len(_WORSE))


def _code(ctx: click.Context, request: Request, command: Callable[[Request], Any]) -> int:
    try:
        return int(command(request) or 0)
    except REPORTED as error:
        return report(ctx, error)


def _shown(url: str) -> str:
    try:
        return shown(make_url(url))
    except (ArgumentError, ValueError):
        return "(not a URL)"


def _document(said: str) -> Any:
    return json.loads(said) if said.strip() else None
