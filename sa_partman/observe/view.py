"""Which view of the status fits where it goes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from sa_partman.checks.status import TableStatus
from sa_partman.observe.plain import plain

HINT = "For a map of the partitions: pip install 'sa-partman[cli]'"


@dataclass(frozen=True, slots=True)
class View:
    """
    Args:
        text: To print; empty when it is printed already.
        hints: For stderr.
    """

    text: str
    hints: tuple[str, ...] = ()


def view_of(tables: Sequence[TableStatus], *, no_color: bool = False, everything: bool = False) -> View:
    """
    Draws on a terminal, when rich is installed; a plain table elsewhere. FORCE_COLOR makes anything a terminal.

    Args:
        no_color: The drawing without colours.
        everything: Every partition, however many there are.
    """
    if not tables:
        return View("No table is declared as partitioned.")
    if not (sys.stdout.isatty() or os.environ.get("FORCE_COLOR")):
        return View(plain(tables, everything=everything))
    try:
        from rich.console import Console

        from sa_partman.observe.terminal import show
    except ModuleNotFoundError:
        return View(plain(tables, everything=everything), (HINT,))
    console = Console(no_color=no_color or None)
    with console.capture() as capture:
        show(tables, console, everything=everything)
    return View(capture.get().rstrip("\n"))
