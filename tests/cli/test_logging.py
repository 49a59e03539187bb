"""The log of a command: silent until asked, one line a record on stderr, and the data on stdout as ever."""

import json

import pytest
from sqlalchemy import Engine

from tests.support.command import AT, Project
from tests.support.database import sql

pytestmark = pytest.mark.once

LATER = "2030-07-01"


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_nothing_is_logged_unless_asked(events: Project) -> None:
    assert "" == events.run("run", "--at", LATER, "--yes").err


def test_json_lines(events: Project) -> None:
    """One a step, one a run; each has the fields, and the document on stdout is whole."""
    ended = events.run("run", "--at", "2030-10-15", "--yes", "--json", "--log-format", "json")
    logged = lines(ended.err)

    assert ended.json["ok"]
    assert len(ended.json["steps"]) == len(logged) - 1
    assert {"info"} == {line["level"] for line in logged}
    assert {"sa_partman"} == {line["logger"] for line in logged}
    assert 1 == len({line["run"] for line in logged})
    assert {"provision", "drop"} == {line["purpose"] for line in logged[:-1]}
    first = logged[0]
    assert ("public.events", "public.events_p20301001", "done") == (
        first["table"],
        first["partition"],
        first["outcome"],
    )
    assert isinstance(first["seconds"], float)
    assert (len(logged) - 1, 0) == (logged[-1]["steps"], logged[-1].get("failed"))
    assert "sql" not in first


def test_sql_at_debug(events: Project) -> None:
    ended = events.run("run", "--at", LATER, "--yes", "--log-format", "json", "--log-level", "debug")
    said = [str(line["sql"]) for line in lines(ended.err) if "sql" in line]

    assert 1 == sum("CREATE TABLE public.events_p20300901" in each for each in said)
    assert 1 == sum("ATTACH PARTITION" in each for each in said)


def test_text_lines(events: Project) -> None:
    """For people; a level alone is enough."""
    ended = events.run("run", "--at", LATER, "--yes", "--log-level", "info")

    assert " INFO    + provision public.events_p20300901  [2030-09-01, 2030-10-01)  done" in ended.err.splitlines()[0]
    assert 2 == len(ended.err.splitlines())


def test_only_what_went_wrong(events: Project, engine: Engine) -> None:
    """At warning: the step that was deferred with its blockers, and the run."""
    assert "" == events.run("run", "--at", AT, "--yes", "--log-level", "warning").err
    sql(engine, "CREATE TABLE events_p20300901 (whatever text)")
    logged = lines(
        events.run("run", "--at", LATER, "--yes", "--log-format", "json", "--log-level", "warning").err.split("FAILED")[
            0
        ]
    )

    assert [("warning", "failed"), ("warning", "failed")] == [(each["level"], each["outcome"]) for each in logged]
    assert "events_p20300901" in str(logged[0]["message"])


def test_on_a_terminal_the_progress_line_gives_way(events: Project) -> None:
    """Log lines would be cut by a line that rewrites itself."""
    shown = events.on_terminal("run", "--at", LATER, "--yes", "--log-format", "json").out
    without = events.on_terminal("run", "--at", "2030-08-01", "--yes").out

    assert "\r\x1b[K" not in shown
    assert "\r\x1b[K" in without


def test_a_wrong_level_is_wrong_usage(events: Project) -> None:
    ended = events.run("run", "--log-level", "loud")

    assert 2 == ended.code
    assert "debug" in ended.err
