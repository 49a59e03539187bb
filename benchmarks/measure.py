"""Measuring: contenders in turn, medians, ratios, and how a time grows with a size."""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Row:
    """
    One line of the table.

    Args:
        target: As DESIGN.md or an issue says it; empty where there is none.
        met: None where there is no target, or nothing was measured.
    """

    what: str
    measured: str
    target: str = ""
    value: float | None = None
    met: bool | None = None


Work = Callable[[], object]
Prepare = Callable[[], object]


def timed(work: Work) -> float:
    """Seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def interleaved(works: Sequence[Work], rounds: int = ROUNDS, before: Prepare | None = None) -> list[float]:
    """The median seconds of each of *works*, called in turn; *before* goes before each call and does not count."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for place, work in enumerate(works):
            if before is not None:
                before()
            taken[place].append(timed(work))
    return [statistics.median(each) for each in taken]


def at_most(what: str, ours: float, theirs: float, limit: float | None) -> Row:
    """A ratio that should not be above *limit*."""
    ratio = ours / theirs
    target, met = ("", None) if limit is None else (f"<= {limit:g}", ratio <= limit)
    return Row(what, f"{ratio:.2f} ({ms(ours)} / {ms(theirs)})", target, ratio, met)


def faster(what: str, ours: float, theirs: float, limit: float | None = None) -> Row:
    """How many times as fast as they we are."""
    ratio = theirs / ours
    met = None if limit is None else ratio >= limit
    return Row(what, f"{ratio:.1f} ({ms(theirs)} / {ms(ours)})", "" if limit is None else f">= {limit:g}", ratio, met)


def ms(seconds: float) -> str:
    return f"{seconds * 1e3:,.1f} ms"


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """The power of the size that the time grows with: the slope of a line through the logarithms."""
    xs, ys = [math.log(each) for each in sizes], [math.log(each) for each in seconds]
    return statistics.linear_regression(xs, ys).slope


def said(rows: Iterable[Row]) -> Iterator[Row]:
    """*rows*, each told on stderr as soon as it is there."""
    began = time.perf_counter()
    for row in rows:
        print(f"# {time.perf_counter() - began:4.0f} s  {row.what}: {row.measured}", file=sys.stderr, flush=True)
        yield row


@contextmanager
def narrated(what: str) -> Iterator[None]:
    """Says how long a part of the benchmarks took."""
    began = time.perf_counter()
    yield
    print(f"# {what}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
