"""Options that would do nothing are refused: whoever gives one expects something of it."""

from __future__ import annotations

from collections.abc import Mapping

import click
from click.core import ParameterSource

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
