"""Processes for tests: each a clean one, forked from one that has imported what they need."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
# The first process of a run of tests starts the server that all are forked from: what it has imported is settled then.
_CONTEXT.set_forkserver_preload(
    ["tests.support.converting", "tests.support.killing", "tests.support.load", "sa_partman.cli.main"]
)


def started(target: Callable[..., None], *arguments: Any, **options: Any) -> BaseProcess:
    """A process that runs *target*; it does not outlive the tests."""
    child = _CONTEXT.Process(target=target, args=arguments, kwargs=options, daemon=True)
    child.start()
    return child


def pipe() -> tuple[Connection, Connection]:
    """Its two ends, one of them for a process."""
    return _CONTEXT.Pipe()
