"""``sa-partman convert --strategy copy``: a plan, the copy, and the ways on and back."""

from __future__ import annotations

import runpy
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from sa_partman import Converter
from sa_partman.errors import PartmanError
from sa_partman.plan.steps import Step
from tests.cli.test_convert import PLAIN
from tests.support.command import AT, Project
from tests.support.database import partitions, scalar, sql
from tests.support.rewriting import left_behind

pytestmark = pytest.mark.once

COPY = ("convert", "events", "--strategy", "copy")
NOW = datetime(2030, 6, 15, tzinfo=UTC)


@pytest.fixture
def plain(project: Project, engine: Engine) -> Project:
    """A table as it was before its model was declared partitioned, with so many rows that they go step by step."""
    sql(engine, PLAIN.replace("(1, 100)", "(1, 12000)"))
    sql(engine, "ANALYZE events")
    project.environment["SA_PARTMAN_AT"] = AT
    return project


def stopped(project: Project, engine: Engine, at: str) -> None:
    base = runpy.run_path(str(project.folder / "models.py"))["Base"]

    def stop(step: Step, seconds: float) -> None:
        if step.id == at:
            raise PartmanError("killed")

    with pytest.raises(PartmanError, match="killed"):
        Converter(engine, base.metadata, now=NOW).convert("events", strategy="copy", report=stop)


def test_the_plan(plain: Project, engine: Engine) -> None:
    """What becomes what, in which steps, what that takes; nothing is changed."""
    ended = plain.run(*COPY, "--plan")
    document = plain.run(*COPY, "--plan", "--json").json

    assert 0 == ended.code
    for shown in (
        "public.events\n   -> public.events_p20300601 [2030-06-01, 2030-07-01)",
        "copy:public.events: copy the rows of public.events",
        "locks: ACCESS EXCLUSIVE on public.events",
        "about 12,000 rows",
        "the table as it was is kept as public.events_old until the step 'finalize'",
    ):
        assert shown in ended.out
    assert ("copy", "public.events", 12_000) == (document["kind"], document["table"], document["rows"])
    assert {} == partitions(engine)


def test_the_sql_of_the_plan_is_a_script(plain: Project, engine: Engine) -> None:
    """All that is no statement is a comment, and running it does what the command does, but for its last step."""
    ended = plain.run(*COPY, "--sql")
    told = [line for line in ended.out.splitlines() if not line.startswith("--")]

    assert 0 == ended.code
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("\n".join(told))

    assert "events_p20310901" in partitions(engine)
    assert 12_000 == scalar(engine, "SELECT count(*) FROM events")


def test_copied_and_finalized(plain: Project, engine: Engine) -> None:
    ended = plain.run(*COPY, "--yes", "--throttle", "pause=0.01")

    assert 0 == ended.code
    assert (
        "the copy of public.events is done, and the table from before it is kept on disk\n"
        "   -> drop it: sa-partman convert public.events --finalize, or take it back: sa-partman convert public.events "
        "--undo\n"
    ) == ended.out
    assert "drop it: sa-partman convert public.events --finalize" in plain.run("check").out

    ended = plain.run("convert", "events", "--finalize", "--yes")

    assert (0, "public.events: copy done, 11 of 11 steps.\n") == (ended.code, ended.out)
    assert 12_000 == scalar(engine, "SELECT count(*) FROM events")
    assert [] == left_behind(engine)


def test_taken_back(plain: Project, engine: Engine) -> None:
    plain.run(*COPY, "--yes")
    sql(engine, "INSERT INTO events (created_at) VALUES ('2030-06-20+00')")

    ended = plain.run("convert", "events", "--undo", "--yes", "--json")

    assert ("undo copy", "done") == (ended.json["kind"], ended.json["status"])
    assert {} == partitions(engine)
    assert 12_001 == scalar(engine, "SELECT count(*) FROM events")


def test_resumed_or_aborted(plain: Project, engine: Engine) -> None:
    stopped(plain, engine, "settle")
    assert "copy running, 4 of 11 steps" in plain.run("convert", "events", "--state").out
    assert 3 == plain.run(*COPY, "--yes").code

    assert 0 == plain.run("convert", "events", "--abort", "--yes").code
    assert [] == left_behind(engine)

    stopped(plain, engine, "settle")
    assert 0 == plain.run("convert", "events", "--resume", "--yes").code
    assert "events_p20310901" in partitions(engine)


def test_paused(plain: Project, engine: Engine) -> None:
    stopped(plain, engine, "capture")

    ended = plain.run("convert", "events", "--pause")

    assert (0, True) == (ended.code, "It is paused." in ended.out)
    assert 0 == plain.run("convert", "events", "--resume", "--yes").code
    assert 2 == plain.run("convert", "events", "--pause", "--throttle", "rows=5").code
