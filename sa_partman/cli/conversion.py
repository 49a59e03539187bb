"""Conversions on the command line: plan, ask, act, print."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any

import click

from sa_partman.cli.conversion_words import StepProgress, plan_lines, script_lines, state_lines
from sa_partman.cli.failures import FAILED, PENDING
from sa_partman.cli.opening import opened
from sa_partman.cli.output import finding_lines, print_json, print_lines
from sa_partman.cli.progress import say_wait
from sa_partman.cli.request import Request
from sa_partman.ddl.render import to_stored
from sa_partman.engine.pace import Throttle
from sa_partman.errors import ConfigurationError
from sa_partman.maintenance.converter import Conversion, Converter
from sa_partman.maintenance.maintainer import Maintainer
from sa_partman.maintenance.rewriter import Rewriter
from sa_partman.plan.conversion.request import history_table


class Mode(Enum):
    """What is to be done."""

    CONVERT = "convert"
    PLAN = "plan"
    RESUME = "resume"
    ABORT = "abort"
    UNDO = "undo"
    PAUSE = "pause"
    FINALIZE = "finalize"
    STATE = "state"


@dataclass(frozen=True, slots=True)
class Decisions:
    """
    What the user decided; see `Converter.plan` and `Converter.undo`.

    Args:
        split_history: By which interval the history is split, once there is one; None: it is not.
        throttle: Limits for a copy.
    """

    lead: timedelta
    boundary: str | None
    inbound: str
    unique: Mapping[str, str]
    max_rows: int
    split_history: str | None = None
    throttle: Throttle | None = None

    def arguments(self) -> dict[str, Any]:
        return {"lead": self.lead, "boundary": self.boundary, "inbound": self.inbound, "unique": self.unique}


def perform(request: Request, table: str, mode: Mode, decisions: Decisions, *, yes: bool, as_sql: bool = False) -> int:
    """The exit code of what *mode* asks for."""
    with opened(request) as maintainer:
        converter = Converter(
            maintainer.engine,
            maintainer.metadata,
            now=request.at,
            lock=request.lock,
            audit=request.audit,
            on_wait=say_wait,
        )
        if mode is Mode.PLAN:
            return _show(converter, table, decisions, as_json=request.as_json, as_sql=as_sql)
        if mode is Mode.PAUSE:
            tell(converter.pause(table), table, as_json=request.as_json)
        elif mode is not Mode.STATE:
            if not yes and not _agreed(converter, table, mode, decisions):
                click.echo("Nothing was changed.", err=True)
                return PENDING
            told = StepProgress()
            done = _act(converter, table, mode, decisions, told)
            if decisions.split_history is not None and done.status == "done":
                done = _split(request, maintainer, done, decisions.split_history, told)
            tell(done, table, events=told.events, as_json=request.as_json)
            if done.rewrites and done.status == "running" and not done.unfinished.kept:
                return PENDING
        else:
            tell(converter.state(table), table, as_json=request.as_json)
    return 0


def _act(converter: Converter, table: str, mode: Mode, decisions: Decisions, told: StepProgress) -> Conversion:
    if mode is Mode.CONVERT:
        return converter.convert(table, **decisions.arguments(), report=told.done, progress=told.working)
    if mode is Mode.RESUME:
        return converter.resume(table, throttle=decisions.throttle, report=told.done, progress=told.working)
    if mode is Mode.ABORT:
        return converter.abort(table, report=told.done)
    if mode is Mode.FINALIZE:
        return converter.finalize(table, report=told.done)
    return converter.undo(
        table,
        max_rows=decisions.max_rows,
        throttle=decisions.throttle,
        report=told.done,
        progress=told.working,
    )


def _split(request: Request, maintainer: Maintainer, done: Conversion, into: str, told: StepProgress) -> Conversion:
    """The history of *done* split; *done* itself, where it has none (any more)."""
    rewriter = Rewriter(
        maintainer.engine, maintainer.metadata, now=request.at, lock=request.lock, audit=request.audit, on_wait=say_wait
    )
    history = history_table(done.table)
    if history.name not in {each.name for each in rewriter.partitions(str(done.table))}:
        return done
    return rewriter.split(str(history), into=into, report=told.done, progress=told.working)


def _agreed(converter: Converter, table: str, mode: Mode, decisions: Decisions) -> bool:
    """
    Raises:
        ConfigurationError: There is nobody to ask.
    """
    plan = converter.plan(table, **decisions.arguments()) if mode is Mode.CONVERT else None
    if plan is not None and not plan.steps:
        return True  # the conversion itself says why, and touches nothing
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfigurationError(f"{mode.value} {table}: needs --yes where nobody can be asked; nothing was changed")
    if plan is not None:
        print_lines((*plan_lines(plan, converter.estimate(table)), *_then(decisions)), err=True)
    return click.confirm(f"{mode.value.capitalize()} {table}?", err=True)


def _show(converter: Converter, table: str, decisions: Decisions, *, as_json: bool, as_sql: bool) -> int:
    plan, estimate = converter.plan(table, **decisions.arguments()), converter.estimate(table)
    if as_json:
        print_json(
            {
                "steps": [{**to_stored(step), "seconds": estimate.seconds(step.id)} for step in plan.steps],
                "refusals": [{"what": each.what, "choices": each.choices} for each in plan.refusals],
                "notes": list(plan.notes),
                "rows": estimate.rows,
                "bytes": estimate.bytes,
                "index_bytes": estimate.index_bytes,
            }
        )
    else:
        lines = script_lines(plan, estimate, converter.lock) if as_sql else plan_lines(plan, estimate)
        print_lines((*lines, *(() if as_sql or plan.refusals else _then(decisions))))
    return FAILED if plan.refusals else 0


def _then(decisions: Decisions) -> Iterator[str]:
    if decisions.split_history is not None:
        yield f"Then the history is split by {decisions.split_history}: sa-partman split --plan tells of it."


def tell(
    conversion: Conversion | None, table: str, *, events: Sequence[Mapping[str, Any]] | None = None, as_json: bool
) -> None:
    """
    Prints how far *conversion* is.

    Args:
        table: As the user named it.
        events: The steps that were done just now; None: it was only asked for.
    """
    print_lines(finding_lines(() if conversion is None else conversion.findings), err=True)
    if not as_json:
        print_lines(state_lines(conversion, table))
    elif conversion is None:
        print_json({"table": table, "status": None})
    else:
        print_json(_document(conversion) | ({} if events is None else {"events": list(events)}))


def _document(conversion: Conversion) -> dict[str, Any]:
    following = conversion.next_step
    more = {
        "kept": conversion.status == "running" and conversion.unfinished.kept,
        "log_bytes": conversion.logged,
        "paused": conversion.paused,
        "notes": list(conversion.notes),
    }
    return {
        "table": str(conversion.table),
        "kind": conversion.kind,
        "status": conversion.status,
        "steps": len(conversion.steps),
        "done": conversion.done,
        "next": None if following is None or conversion.status != "running" else following.id,
        "error": conversion.error,
        **(more if conversion.rewrites else {}),
        "findings": [each.to_dict() for each in conversion.findings],
    }
