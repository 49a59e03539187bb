"""Conversions in words: plans, progress, the stored state."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import click

from sa_partman.cli.progress import CLEAR, is_on
from sa_partman.ddl.render import block, quoted_sql
from sa_partman.engine.budget import LockPolicy
from sa_partman.engine.outside import PATIENCE
from sa_partman.engine.pace import ALL_PAGES, Throttle
from sa_partman.engine.progress import Progress
from sa_partman.plan.conversion.request import ConversionPlan
from sa_partman.plan.rewrite.request import RewritePlan
from sa_partman.plan.steps import Step
from sa_partman.postgres.conversion.rows import Estimate
from sa_partman.postgres.journal import MAKE_SCHEMA, Conversion

EVERY = 30.0
"""Seconds between two lines about a step that works, where no bar shows it."""

_WIDTH = 24

_SHOWN = 12
"""Partitions that are listed by name."""


def plan_lines(plan: ConversionPlan, estimate: Estimate) -> Iterator[str]:
    """Refusals with their choices, or the steps with their locks, what they read, and how long that may take."""
    yield from _refused(plan)
    for number, step in enumerate(plan.steps, 1):
        yield from _step_lines(number, step, estimate.seconds(step.id))
    yield from _notes(plan)
    if plan.steps:
        size = (estimate.bytes + estimate.index_bytes) / 1e6
        yield f"{len(plan.steps)} steps; about {estimate.rows:,} rows, {size:,.1f} MB with indexes."


def _refused(plan: ConversionPlan | RewritePlan) -> Iterator[str]:
    for refusal in plan.refusals:
        yield f"{click.style('REFUSED', fg='red', bold=True)}  {refusal.what}"
        yield f"{'':<9}-> {refusal.choices}"


def _notes(plan: ConversionPlan | RewritePlan) -> Iterator[str]:
    return (f"{click.style('note', fg='yellow')}  {note}" for note in plan.notes)


def _step_lines(number: int, step: Step, seconds: float) -> Iterator[str]:
    yield click.style(f"{number}. {step.id}: {step.title}", bold=True)
    yield f"   locks: {step.lock or 'none'}"
    yield f"   reads: {step.scans or 'nothing'}{_about(seconds)}"


def script_lines(plan: ConversionPlan, estimate: Estimate, policy: LockPolicy) -> Iterator[str]:
    """The statements, to read or to paste; all else is a comment."""
    for line in plan_lines(ConversionPlan((), plan.refusals, plan.notes), estimate):
        yield f"-- {click.unstyle(line)}"
    for number, step in enumerate(plan.steps, 1):
        yield f"-- {number}. {step.id}: {step.title}; locks: {step.lock or 'none'}"
        yield from block(quoted_sql(step.actions), step, policy.lock_timeout, PATIENCE * policy.budget)


def _about(seconds: float) -> str:
    if seconds < 1:
        return ""
    return f" (about {seconds:,.0f} s)" if seconds < 120 else f" (about {seconds / 60:,.0f} min)"


def rewrite_lines(plan: RewritePlan, throttle: Throttle | None = None) -> Iterator[str]:
    """Refusals, or what becomes of which partitions, in which steps; what that takes of disk and time."""
    yield from _refused(plan)
    if plan.steps:
        yield _some(each.shown for each in plan.sources)
        yield from (f"   -> {each.shown}" for each in plan.pieces[:_SHOWN])
        if len(plan.pieces) > _SHOWN:
            yield f"   -> and {len(plan.pieces) - _SHOWN} more"
    rate = None if throttle is None else throttle.rows
    for number, step in enumerate(plan.steps, 1):
        yield from _step_lines(number, step, plan.seconds(step, rate))
    yield from _notes(plan)
    if plan.steps:
        seconds = sum(plan.seconds(step, rate) for step in plan.steps)
        size = plan.bytes / 1e6
        yield (
            f"{len(plan.steps)} steps; about {plan.rows:,} rows, {size:,.1f} MB with indexes: so much free disk is "
            f"needed until --finalize, and so much write-ahead log is written{_about(seconds)}."
        )


def rewrite_script(plan: RewritePlan, policy: LockPolicy) -> Iterator[str]:
    """The statements, to read or to paste; the last step, behind which is no way back, and all else are comments."""
    yield from (f"-- {click.unstyle(line)}" for line in (*_refused(plan), *_notes(plan)))
    if plan.steps:
        yield f"{MAKE_SCHEMA};"
    for number, step in enumerate(plan.steps, 1):
        last = step.id == "finalize"
        yield f"-- {number}. {step.id}: {step.title}; locks: {step.lock or 'none'}"
        if step.until is not None:
            yield "-- (the command does it in pieces)"
        for statement in block(quoted_sql(step.actions), step, policy.lock_timeout, PATIENCE * policy.budget):
            yield "\n".join(f"-- {line}" for line in statement.splitlines()) if last else statement
            if step.until is not None and statement.startswith("BEGIN"):
                yield f"SET LOCAL sa_partman.pages = '{ALL_PAGES}';"


def _some(names: Iterable[str]) -> str:
    found = [*names]
    return ", ".join(found[:_SHOWN]) + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")


def state_lines(conversion: Conversion | None, table: str) -> Iterator[str]:
    if conversion is None:
        yield f"{table}: never converted, split, merged, drained or regridded."
        return
    name = conversion.table
    if not conversion.steps:
        done = (
            f"nothing to {conversion.verb}" if conversion.rewrites else "partitioned already, as the model declares it"
        )
        yield f"{name}: {done}; nothing was changed."
        yield from conversion.notes
        return
    if conversion.rewrites and conversion.status == "running":
        yield from _unfinished_lines(conversion)
    else:
        yield _how_far(conversion)
        if conversion.status == "running" and conversion.done < len(conversion.steps):
            yield f"next: {conversion.steps[conversion.done].title}"
    if conversion.error:
        yield f"it stopped with: {conversion.error}"


def _unfinished_lines(conversion: Conversion) -> Iterator[str]:
    found = conversion.unfinished
    yield (
        found.message
        if found.kept
        else f"{_how_far(conversion)} {'It is paused.' if conversion.paused else ''}".strip()
    )
    if not found.kept:
        yield f"next: {found.next_step}"
    yield f"{'':<3}-> {found.remedy}"


def _how_far(conversion: Conversion) -> str:
    done, steps = conversion.done, len(conversion.steps)
    return f"{conversion.table}: {conversion.kind} {conversion.status}, {done} of {steps} steps."


class StepProgress:
    """
    A line for each step that is done, and while one works a bar on a terminal, or a line now and then; all on stderr.
    Where the log says which steps are done, only how far one is goes there, now and then.

    Args:
        clock: In seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.events: list[dict[str, Any]] = []
        self._bar = sys.stderr.isatty() and not is_on()
        self._clock, self._said = clock, clock()

    def done(self, step: Step, seconds: float, /) -> None:
        self.events.append({"step": step.id, "title": step.title, "seconds": round(seconds, 3)})
        self._said = self._clock()
        if is_on():
            return
        clear = CLEAR if self._bar else ""
        click.echo(f"{clear}{click.style('done', fg='green')} {seconds:9.3f} s  {step.title}", err=True)

    def working(self, progress: Progress, /) -> None:
        if self._bar:
            sys.stderr.write(f"{CLEAR}{bar(progress)}")
            sys.stderr.flush()
        elif self._clock() - self._said >= EVERY:
            self._said = self._clock()
            if is_on():
                logging.getLogger(__name__).info("%s", bar(progress), extra={"step": progress.step.id})
            else:
                click.echo(bar(progress), err=True)


def bar(progress: Progress) -> str:
    """``unique_index [########----] 48 %  12,000 of 25,000 blocks  3,100/s  4 s``, in ASCII."""
    head = progress.step.id
    if progress.waits_for:
        return f"{head} waits for {'; '.join(progress.waits_for)}  {progress.seconds:.0f} s"
    if not progress.total:
        return f"{head} {progress.phase}  {progress.seconds:.0f} s"
    share = min(1.0, progress.done / progress.total)
    filled = round(share * _WIDTH)
    rate = progress.done / progress.seconds if progress.seconds else 0.0
    left = f", {(progress.total - progress.done) / rate:.0f} s left" if rate else ""
    return (
        f"{head} [{'#' * filled}{'-' * (_WIDTH - filled)}] {share:4.0%}  {progress.done:,} of {progress.total:,} "
        f"{progress.unit}  {rate:,.0f}/s  {progress.seconds:.0f} s{left}"
    )
