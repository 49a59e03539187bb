"""How long to wait for locks: an option for each of what `LockPolicy` says, by the same names."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click

from sa_partman.bounds.interval import Duration

_FRACTION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s)")
_DAY = 86_400

_HELP = {
    "lock_timeout": "Wait so long for a lock, with others behind it: 200ms unless you say otherwise.",
    "budget": "Try so long to get the locks of one step: 60s.",
    "table_budget": "Wait so long for all steps of a table: 2min.",
    "run_budget": "Wait so long for all steps: 5min.",
    "stall": "Make others wait so long in all: 2s.",
    "turn": "Wait so long for another maintainer to end, instead of exit code 4 at once: 0s.",
    "lease": "Lose the right to be the only maintainer when the process is stopped for so long: 60s.",
}

POLICY = tuple(_HELP)
"""The options of a run."""
PRINTED = ("lock_timeout", "budget")
"""Those that a script has, too."""


def lock_options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """
    A decorator: the options of these names, for `Request.lock`; without names all of them.

    Args:
        names: Fields of `LockPolicy` that mean something to the command.
    """

    def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed(names or POLICY):
            option = f"--{name.replace('_', '-')}"
            function = click.option(option, name, callback=_seconds, metavar="TIME", help=_HELP[name])(function)
        return function

    return decorated


def idle_locks(where: str, *, script: bool = False) -> dict[str, str]:
    """
    For `refuse_idle`: where nothing is locked.

    Args:
        script: What would lock is printed.
    """
    return {name: f"{where}: nothing is locked" for name in POLICY if not (script and name in PRINTED)}


def _seconds(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    """``200ms``, ``1.5s``, ``5min``."""
    if value is None:
        return None
    short = _FRACTION.fullmatch(value.strip().lower())
    if short is not None:
        return float(short[1]) / (1000 if short[2] == "ms" else 1)
    try:
        length = Duration.parse(value)
    except ValueError:
        length = Duration(months=1)
    if length.months:
        raise click.BadParameter(
            f"{value!r} is not a length of time; write it with its unit, such as 200ms, 5s or 2min"
        )
    return float(length.days * _DAY + length.seconds)
