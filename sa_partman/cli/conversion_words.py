"""Conversions in words: plans, progress, the stored state."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from sa_partman.cli.progress import CLEAR, is_on
from sa_partman.ddl.render import block, quoted_sql
from sa_partman.engine.budget import LockPolicy
from sa_partman.engine.outside import PATIENCE
from sa_partman.engine.progress import Progress
from sa_partman.plan.conversion.request import ConversionPlan
from sa_partman.plan.steps import Step
from sa_partman.postgres.conversion.rows import Estimate
from sa_partman.postgres.journal import Conversion

_WIDTH = 24


def plan_lines(plan: ConversionPlan, estimate: Estimate) -> Iterator[str]:
    """Refusals with their choices, or the steps with their locks, what they read, and how long that may take."""
    for refusal in plan.refusals:
        yield f"{click.style('REFUSED', fg='red', bold=True)}  {refusal.what}"
        yield f"{'':<9}-> {refusal.choices}"
    for number, step in enumerate(plan.steps, 1):
        yield click.style(f"{number}. {step.id}: {step.title}", bold=True)
        yield f"   locks: {step.lock or 'none'}"
        yield f"   reads: {step.scans or 'nothing'}{_about(estimate.seconds(step.id))}"
    for note in plan.notes:
        yield f"{click.style('note', fg='yellow')}  {note}"
    if plan.steps:
        size = (estimate.bytes + estimate.index_bytes) / 1e6
        yield f"{len(plan.steps)} steps; about {estimate.rows:,} rows, {size:,.1f} MB with indexes."


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


def state_lines(conversion: Conversion | None, table: str) -> Iterator[str]:
    if conversion is None:
        yield f"{table}: never converted."
        return
    if not conversion.steps:
        yield f"{conversion.table}: partitioned already, as the model declares it; nothing was changed."
        return
    done, steps = conversion.done, len(conversion.steps)
    yield f"{conversion.table}: {conversion.kind} {conversion.status}, {done} of {steps} steps."
    if conversion.status == "running" and done < steps:
        yield f"next: {conversion.steps[done].title}"
    if conversion.error:
        yield f"it stopped with: {conversion.error}"


class StepProgress:
    """
    A line for each step that is done, and on a terminal a bar while one works; all on stderr, and only where the log
    does not say it.
    """

    def __init__(self) -> None:
        self._bar = sys.stderr.isatty() and not is_on()

    def done(self, step: Step, seconds: float, /) -> None:
        if is_on():
            return
        clear = CLEAR if self._bar else ""
        click.echo(f"{clear}{click.style('done', fg='green')} {seconds:9.3f} s  {step.title}", err=True)

    def working(self, progress: Progress, /) -> None:
        if self._bar:
            sys.stderr.write(f"{CLEAR}{bar(progress)}")
            sys.stderr.flush()


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
