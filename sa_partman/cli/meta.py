"""What holds for the whole invocation, whichever command it is: kept in click's ``meta``, which contexts share."""

from __future__ import annotations

import click

_JSON = "sa_partman.json"
_VERBOSE = "sa_partman.verbose"


def wants_json(ctx: click.Context) -> bool:
    return bool(ctx.meta.get(_JSON))


def wants_traceback(ctx: click.Context) -> bool:
    return bool(ctx.meta.get(_VERBOSE))


def note_json(ctx: click.Context, _: click.Parameter, value: bool) -> bool:
    ctx.meta[_JSON] = value
    return value


def note_verbose(ctx: click.Context, _: click.Parameter, value: bool) -> bool:
    ctx.meta[_VERBOSE] = value
    return value
