"""The rewriter for an asynchronous engine: the same methods in SQLAlchemy's greenlet; nothing blocks the loop."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from sa_partman.maintenance.maintainer_async import awaiting, spawned
from sa_partman.maintenance.rewriter import Rewriter
from sa_partman.maintenance.working_async import AsyncWorker

P = ParamSpec("P")
T = TypeVar("T")


def _awaited(
    verb: Callable[Concatenate[Rewriter, P], T],
) -> Callable[Concatenate[AsyncRewriter, P], Coroutine[Any, Any, T]]:
    @wraps(verb)
    async def told(self: AsyncRewriter, /, *given: P.args, **options: P.kwargs) -> T:
        more: dict[str, Any] = dict(options)
        for name in ("report", "progress"):
            if more.get(name) is not None:
                more[name] = awaiting(more[name])
        return cast("T", await spawned(verb, self._inner, *given, **more))

    return told


class AsyncRewriter(AsyncWorker[Rewriter]):
    """
    `Rewriter` for an ``AsyncEngine`` over psycopg or asyncpg: the same methods, awaited.

    A task that is cancelled leaves the rewrite where it was: the statement is cancelled on the server, its piece is
    rolled back, what was done before stays, and `resume` or `abort` goes on. Hooks, *on_wait*, ``report=`` and
    ``progress=`` may be coroutine functions.

    Args:
        engine: Each step takes a connection of its own from it.
    """

    _twin = Rewriter

    plan_split = _awaited(Rewriter.plan_split)
    split = _awaited(Rewriter.split)
    plan_merge = _awaited(Rewriter.plan_merge)
    merge = _awaited(Rewriter.merge)
    plan_merge_older = _awaited(Rewriter.plan_merge_older)
    merge_older = _awaited(Rewriter.merge_older)
    plan_drain = _awaited(Rewriter.plan_drain)
    drain = _awaited(Rewriter.drain)
    plan_regrid = _awaited(Rewriter.plan_regrid)
    regrid = _awaited(Rewriter.regrid)
    resume = _awaited(Rewriter.resume)
    pause = _awaited(Rewriter.pause)
    abort = _awaited(Rewriter.abort)
    undo = _awaited(Rewriter.undo)
    finalize = _awaited(Rewriter.finalize)
    state = _awaited(Rewriter.state)
    partitions = _awaited(Rewriter.partitions)
