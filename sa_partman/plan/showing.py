"""The bounds of steps for people: with the instants that a codec hides in the values of its key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sa_partman.bounds.bound import RangeBound
from sa_partman.plan.steps import Step
from sa_partman.spec.declared import DeclaredTable, Level, RangeLevel


def readable(declared: DeclaredTable, step: Step) -> Step:
    """*step*, with its bound for people; what it does is the same."""
    level = _level_of(declared, step)
    if level is None or step.bound is None:
        return step
    shown = level.readable(step.bound)
    return step if shown == step.bound else replace(step, shown=shown)


def _level_of(declared: DeclaredTable, step: Step) -> Level | None:
    """
    The level that the partition's bound belongs to, when that is a range. Where there are several, an action with that
    very bound tells by its key; they may have the same, and then the same codec.
    """
    ranges = [each for each in declared.levels() if isinstance(each, RangeLevel)]
    if not isinstance(step.bound, RangeBound) or len(ranges) < 2:
        return ranges[0] if ranges and isinstance(step.bound, RangeBound) else None
    columns = tuple(_columns(step))
    return next((each for each in ranges if each.key.columns in columns), None)


def _columns(step: Step) -> Iterator[tuple[str, ...]]:
    for action in step.actions:
        key = getattr(action, "key", None)
        if key is not None and getattr(action, "bound", step.bound) == step.bound:
            yield key.columns
