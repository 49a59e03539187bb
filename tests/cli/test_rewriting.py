"""``sa-partman split``, ``merge``, ``drain`` and ``regrid``: a plan, the rewrite, and the ways on and back."""

from __future__ import annotations

import json
import runpy
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from sa_partman.engine.pace import Throttle
from sa_partman.errors import PartmanError
from sa_partman.maintenance.rewriter import Rewriter
from sa_partman.plan.steps import Step
from tests.support.command import AT, Project
from tests.support.database import partitions, scalar, sql
from tests.support.rewriting import left_behind

pytestmark = pytest.mark.once

HISTORY = """
CREATE TABLE events_history PARTITION OF events FOR VALUES FROM (MINVALUE) TO ('2030-06-01 00:00+00');
COMMENT ON TABLE events_history IS 'sa_partman: created';
"""


def fill(engine: Engine, rows: int) -> None:
    """Hours before June 2030."""
    sql(
        engine,
        "INSERT INTO events (created_at) SELECT timestamptz '2030-06-01 00:00+00' - i % 3000 * interval '1 hour' "
        f"- interval '1 second' FROM generate_series(1, {rows}) AS i",
    )
    sql(engine, "ANALYZE events")


@pytest.fixture
def history(events: Project, engine: Engine) -> Project:
    """Its past is one partition; 3,000 rows."""
    sql(engine, HISTORY)
    fill(engine, 3_000)
    events.environment["SA_PARTMAN_AT"] = AT
    return events


@pytest.fixture
def large(history: Project, engine: Engine) -> Project:
    """So many rows that they are moved step by step."""
    fill(engine, 12_000)
    return history


def count(engine: Engine) -> int:
    return int(scalar(engine, "SELECT count(*) FROM events"))


def test_the_plan_of_a_split(large: Project, engine: Engine) -> None:
    """What becomes what, in which steps, what that takes; nothing is changed."""
    ended = large.run("split", "events_history", "--into", "1 month", "--plan")

    assert 0 == ended.code
    for shown in (
        "public.events_history [MINVALUE, 2030-06-01)",
        "-> public.events_p20300501 [2030-05-01, 2030-06-01)",
        "copy:public.events_history: copy the rows of public.events_history",
        "locks: ACCESS EXCLUSIVE on public.events",
        "reads: public.events_history once",
        "about 15,000 rows",
        "so much free disk is needed until --finalize, and so much write-ahead log is written",
    ):
        assert shown in ended.out
    assert "events_history" in partitions(engine)
    assert [] == left_behind(engine)


def test_the_plan_as_a_document(large: Project) -> None:
    document = large.run("split", "events_history", "--at", "2030-03-01", "--plan", "--json").json
    slow = large.run("split", "events_history", "--at", "2030-03-01", "--plan", "--json", "--throttle", "rows=100").json

    assert ("split", "public.events", 15_000) == (document["kind"], document["table"], document["rows"])
    assert ["public.events_history"] == [each["name"] for each in document["sources"]]
    assert 2 == len(document["pieces"])
    assert document["bytes"] > 500_000
    assert {"id", "title", "lock", "statements", "seconds"} <= set(document["steps"][0])
    (copy,) = (each for each in slow["steps"] if each["id"].startswith("copy:"))
    assert 150 == copy["seconds"]


@pytest.mark.parametrize("rows", [0, 12_000])
def test_the_sql_of_the_plan_is_a_script(history: Project, engine: Engine, rows: int) -> None:
    """All that is no statement is a comment, and running it does what the command does, but for its last step."""
    fill(engine, rows)
    before = count(engine)
    ended = history.run("split", "events_history", "--into", "1 month", "--sql")
    told = [line for line in ended.out.splitlines() if not line.startswith("--")]

    assert 0 == ended.code
    assert "events_history" in partitions(engine)
    assert "-- DROP TABLE IF EXISTS" in ended.out

    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("SET TimeZone = 'America/New_York'; SET DateStyle = 'German'")
        driver.execute("\n".join(told))

    assert "events_p20300501" in partitions(engine)
    assert "events_history" not in partitions(engine)
    assert before == count(engine)


def test_split_and_finalized(large: Project, engine: Engine) -> None:
    before = count(engine)
    ended = large.run("split", "events_history", "--older-than", "2 months", "--yes")

    assert 0 == ended.code
    assert (
        "the split of public.events is done, and the partitions from before it are kept on disk\n"
        "   -> drop them: sa-partman split public.events --finalize, or take it back: sa-partman split public.events "
        "--undo\n"
    ) == ended.out
    assert "s  copy the rows of public.events_history" in ended.err
    assert "events_history" not in partitions(engine)

    again = large.run("split", "events_history", "--older-than", "2 months", "--yes")

    assert 3 == again.code
    assert "the split of public.events is done" in again.err

    ended = large.run("split", "events", "--finalize", "--yes")

    assert (0, "public.events: split done, 13 of 13 steps.\n") == (ended.code, ended.out)
    assert before == count(engine)
    assert [] == left_behind(engine)


@pytest.mark.parametrize("named", ["events", "public.events", "events_history", "public.events_history"])
def test_taken_back_by_the_name_of_the_table_or_of_the_partition(history: Project, engine: Engine, named: str) -> None:
    bounds = partitions(engine)
    history.run("split", "events_history", "--at", "2030-03-01", "--at", "2030-05-01", "--yes")

    assert 3 == len(partitions(engine)) - len(bounds) + 1

    assert 0 == history.run("split", named, "--state").code
    ended = history.run("split", named, "--undo", "--yes")

    assert 0 == ended.code
    assert bounds == partitions(engine)
    assert [] == left_behind(engine)


def test_merged(history: Project, engine: Engine) -> None:
    history.run("split", "events_history", "--into", "1 month", "--yes")
    history.run("split", "events", "--finalize", "--yes")
    before = count(engine)

    ended = history.run("merge", "events_p20300401", "events_p20300501", "--yes")

    assert 0 == ended.code
    assert (
        "FOR VALUES FROM ('2030-04-01 00:00:00+00') TO ('2030-06-01 00:00:00+00')"
        == (partitions(engine)["events_p20300401"])
    )
    assert 0 == history.run("merge", "events", "--finalize", "--yes").code

    ended = history.run("merge", "events", "--older-than", "2 months", "--into", "3 months", "--yes")

    assert 0 == ended.code
    assert "FOR VALUES FROM ('2030-01-01 00:00:00+00') TO ('2030-04-01 00:00:00+00')" in partitions(engine).values()
    assert before == count(engine)


def test_drained(events: Project, engine: Engine) -> None:
    sql(engine, "CREATE TABLE events_default PARTITION OF events DEFAULT")
    fill(engine, 3_000)

    ended = events.run("drain", "events", "--yes", "--at", AT)

    assert 0 == ended.code
    assert 0 == scalar(engine, "SELECT count(*) FROM ONLY events_default")
    assert 3_000 == count(engine)
    assert 0 == events.run("drain", "events", "--finalize", "--yes").code

    ended = events.run("drain", "events", "--yes", "--at", AT)

    assert 0 == ended.code
    assert (
        "public.events: nothing to drain; nothing was changed.\n"
        "public.events_default has no row that belongs elsewhere\n"
    ) == ended.out


def test_regridded(history: Project, engine: Engine) -> None:
    """Its weeks are declared months."""
    history.run("split", "events_history", "--at", "2030-05-01", "--at", "2030-05-15", "--yes")
    history.run("split", "events", "--finalize", "--yes")

    ended = history.run("regrid", "events", "--yes")

    assert 0 == ended.code
    assert "FOR VALUES FROM ('2030-05-01 00:00:00+00') TO ('2030-06-01 00:00:00+00')" in partitions(engine).values()


def _stopped(project: Project, engine: Engine) -> None:
    """Killed before the comparison."""
    models = runpy.run_path(str(project.folder / "models.py"))

    def report(step: Step, seconds: float, /) -> None:
        if step.id == "catch_up":
            raise PartmanError("killed")

    rewriter = Rewriter(engine, models["Base"].metadata, now=datetime(2030, 6, 15, tzinfo=UTC))
    with pytest.raises(PartmanError):
        rewriter.split("events_history", into="1 month", report=report, throttle=Throttle())


@pytest.mark.parametrize("verb", ["--resume", "--abort"])
def test_what_was_interrupted_is_told_and_ended(large: Project, engine: Engine, verb: str) -> None:
    """By the command that is printed; another one of the four does as well."""
    before, bounds = count(engine), partitions(engine)
    _stopped(large, engine)

    state = large.run("split", "events", "--state")
    document = large.run("drain", "events", "--state", "--json").json
    again = large.run("merge", "events_p20300601", "events_p20300701", "--yes")

    assert 0 == state.code
    assert "public.events: split running" in state.out
    assert "next: compare the copies with the rows" in state.out
    assert f"sa-partman split public.events {verb}" in state.out
    assert ("split", "running", "verify", False) == tuple(document[each] for each in ("kind", "status", "next", "kept"))
    assert 3 == again.code
    assert "the split of public.events is in progress" in again.err
    for each in ("--resume", "--abort"):
        other = large.run("convert", "events", each, "--yes")
        assert (3, True) == (other.code, "sa-partman split public.events --resume" in other.err)

    ended = large.run("split", "public.events", verb, "--yes")

    assert 0 == ended.code
    assert before == count(engine)
    assert (bounds == partitions(engine)) == (verb == "--abort")


def test_paused(large: Project, engine: Engine) -> None:
    """Whoever is at work stops behind its piece; 1, for there is work left."""
    _stopped(large, engine)
    paused = large.run("split", "events", "--pause")

    assert 0 == paused.code
    assert "It is paused." in paused.out
    assert "sa-partman split public.events --resume" in paused.out
    assert 0 == large.run("split", "events", "--resume", "--yes").code


def test_the_steps_that_were_done_as_a_document(large: Project, engine: Engine) -> None:
    ended = large.run(
        "split", "events_history", "--into", "1 month", "--yes", "--json", "--log-format", "json", "--audit"
    )
    logged = [json.loads(line) for line in ended.err.splitlines()]
    recorded = sql(engine, "SELECT purpose, outcome FROM sa_partman_steps ORDER BY id")

    assert 0 == ended.code
    assert ("running", True, "finalize") == tuple(ended.json[each] for each in ("status", "kept", "next"))
    events = ended.json["events"]
    assert ["targets", "capture", "copy:public.events_history"] == [each["step"] for each in events][:3]
    assert {"step", "title", "seconds"} == set(events[0])
    assert [("split", "done")] * len(events) == [tuple(each) for each in recorded]
    assert [each["step"] for each in events] == [each["step"] for each in logged if "step" in each]


def test_it_asks_on_a_terminal(history: Project, engine: Engine) -> None:
    no = history.on_terminal("split", "events_history", "--into", "1 month", answer="n")

    assert 1 == no.code
    assert "Split events_history?" in no.out
    assert "-> public.events_p20300501" in no.out
    assert "Nothing was changed." in no.out
    assert "events_history" in partitions(engine)

    yes = history.on_terminal("split", "events_history", "--into", "1 month", answer="y")

    assert 0 == yes.code
    assert "events_history" not in partitions(engine)


@pytest.mark.parametrize(
    "arguments",
    [
        ("split", "events_history"),
        ("merge", "events_p20300601", "events_p20300701"),
        ("split", "events", "--undo"),
        ("drain", "events", "--finalize"),
    ],
)
def test_2_when_nobody_can_be_asked(history: Project, engine: Engine, arguments: tuple[str, ...]) -> None:
    ended = history.run(*arguments)

    assert (2, "") == (ended.code, ended.out)
    assert "needs --yes where nobody can be asked; nothing was changed" in ended.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("split", "nothing"), 3, "no declared table has a partition nothing; nothing was changed"),
        (("split", "events"), 3, "public.events is the table itself; nothing was changed. Name its partition"),
        (("split", "events_default"), 3, "public.events_default is the default partition: sa-partman drain"),
        (("split", "events_history", "--into", "1 moon"), 2, "--into '1 moon': "),
        (("split", "events_history", "--into", "7"), 3, "--into 7: "),
        (("split", "events_history", "--older-than", "long"), 2, "--older-than 'long': "),
        (("split", "events_history", "--at", "soon"), 3, "--at 'soon': "),
        (("split", "events_history", "--throttle", "rows=many"), 2, "--throttle 'rows=many': 'rows=many' is no limit"),
        (("split", "events_history", "--throttle", "rows=5,rows=6"), 2, "'rows=6' is no limit"),
        (("merge", "events_history"), 2, "name two or more partitions, or one table with --older-than"),
        (("merge", "events", "events_history", "--older-than", "1 year"), 2, "name two or more partitions"),
        (("merge", "events", "events_history", "--resume"), 2, "--resume takes one name, that of the table"),
        (("merge", "events_history", "nothing"), 3, "public.events has no partition nothing; nothing was changed"),
        (("merge", "events_history", "events_p20300701"), 3, "ends at another point"),
        (("merge", "events_history", "events_p20300601", "--into", "1 year"), 2, "does nothing without --older-than"),
        (("regrid", "nothing"), 2, "nothing"),
        (("split", "events", "--resume"), 3, "there is no rewrite in progress; nothing was changed"),
        (("split", "nothing", "--undo"), 2, "nothing"),
    ],
)
def test_bad_input(history: Project, engine: Engine, arguments: tuple[str, ...], code: int, said: str) -> None:
    """2 for what is wrong by itself, 3 for what the database does not have."""
    sql(engine, "CREATE TABLE events_default PARTITION OF events DEFAULT")
    ended = history.run(*arguments, "--yes")

    assert (code, True) == (ended.code, said in ended.err), ended.err
    assert "" == ended.out
    assert {"events_history", "events_default"} < set(partitions(engine))


def test_3_without_a_default_partition(history: Project) -> None:
    ended = history.run("drain", "events", "--yes")

    assert (3, "") == (ended.code, ended.out)
    assert "public.events has no default partition; nothing was changed" in ended.err
