"""Rewrites in words: limits that are typed, and how far a step is where no bar shows it."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from sa_partman.bounds.bound import MAXVALUE, MINVALUE, RangeBound
from sa_partman.cli.conversion_words import StepProgress, state_lines
from sa_partman.cli.rewriting import parse_throttle, require_length, require_width
from sa_partman.engine.pace import Throttle
from sa_partman.engine.progress import Progress
from sa_partman.errors import ConfigurationError
from sa_partman.names import QualifiedName
from sa_partman.plan.rewrite.request import RewritePlan, Source
from sa_partman.plan.steps import Purpose, Step
from sa_partman.postgres.journal import Conversion

TABLE = QualifiedName("public", "events")
HISTORY = QualifiedName("public", "events_history")


def step(id: str, title: str = "") -> Step:
    return Step(Purpose.REWRITE, TABLE, TABLE, None, (), id=id, title=title or id)


@pytest.mark.parametrize(
    ("text", "throttle"),
    [
        ("rows=5000,lag=10,pause=0.2", Throttle(pause=0.2, rows=5000, lag=10)),
        (" pause = 1 , rows = 2.5e3", Throttle(pause=1, rows=2500)),
        ("lag=0", Throttle(lag=0)),
    ],
)
def test_limits_are_read(text: str, throttle: Throttle) -> None:
    assert throttle == parse_throttle(text)


@pytest.mark.parametrize(
    "text",
    ["", "rows", "rows=", "rows=0", "rows=inf", "lag=nan", "pause=-1", "rows=1,rows=2", "speed=3", "rows=1;lag=2"],
)
def test_what_is_no_limit(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is no limit; write rows=N"):
        parse_throttle(text)


def test_widths_and_lengths() -> None:
    for good in (None, "1 month", "1000"):
        require_width(good)
        require_length(good)
    for bad in ("", "soon", "1 moon", "-3"):
        with pytest.raises(ConfigurationError, match="--into"):
            require_width(bad)
        with pytest.raises(ConfigurationError, match="--older-than"):
            require_length(bad)


def test_an_estimate_counts_the_passes_and_what_a_throttle_allows() -> None:
    bound = RangeBound((MINVALUE,), (MAXVALUE,))
    plan = RewritePlan("split", TABLE, sources=(Source(HISTORY, bound, rows=7_000_000, pages=125_000),))
    copy = step("copy:public.events_history")

    assert 40.96 == plan.seconds(copy)
    assert 7_000 == plan.seconds(copy, 1_000)
    assert 14 == plan.seconds(step("index:0:events_pkey"))
    assert plan.seconds(step("verify")) > plan.seconds(step("proof")) > 1
    assert 0 == plan.seconds(step("cutover"))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_line_now_and_then_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    told = StepProgress(clock)
    for clock.now in (1, 29, 31, 32, 62):
        told.working(Progress(step("copy:public.events_history"), round(clock.now), 100, clock.now))

    shown = capsys.readouterr().err.splitlines()
    assert ["31 of 100 blocks", "62 of 100 blocks"] == [each.partition("%  ")[2].partition("  ")[0] for each in shown]
    told.done(step("copy:public.events_history", "copy it"), 70.0)
    assert "copy it" in capsys.readouterr().err
    assert [{"step": "copy:public.events_history", "title": "copy it", "seconds": 70.0}] == told.events


def test_in_the_log_where_there_is_one(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[logging.LogRecord] = []
    monkeypatch.setattr("sa_partman.cli.conversion_words.is_on", lambda: True)
    logger = logging.getLogger("sa_partman.cli.conversion_words")
    monkeypatch.setattr(logger, "handle", said.append)
    monkeypatch.setattr(logger, "level", logging.INFO)
    clock = Clock()
    told = StepProgress(clock)
    clock.now = 31
    told.working(Progress(step("copy:x"), 1, 2, 31.0))

    assert ["copy:x"] == [vars(each)["step"] for each in said]
    assert "" == capsys.readouterr().err


def stored(**changes: object) -> Conversion:
    steps = tuple(step(each) for each in ("targets", "copy:x", "cutover", "finalize"))
    made = Conversion(TABLE, "split", "", "", 1, (), steps, None, "0", id=1)
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("conversion", "said"),
    [
        (stored(done=1), "public.events: split running, 1 of 4 steps.; next: copy:x"),
        (stored(done=1, paused=True), "public.events: split running, 1 of 4 steps. It is paused.; next: copy:x"),
        (stored(done=3), "the split of public.events is done, and the partitions from before it are kept on disk"),
        (stored(done=4, status="done"), "public.events: split done, 4 of 4 steps."),
        (stored(done=0, status="aborted"), "public.events: split aborted, 0 of 4 steps."),
        (stored(steps=(), status="done", notes=("why",)), "public.events: nothing to split; nothing was changed.; why"),
        (None, "events: never converted, split, merged, drained or regridded."),
    ],
)
def test_how_far_it_is(conversion: Conversion | None, said: str) -> None:
    shown = [each for each in state_lines(conversion, "events") if "->" not in each]

    assert said == "; ".join(shown)
