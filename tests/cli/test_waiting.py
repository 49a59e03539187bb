"""A command that waits says on stderr what for, and at last that it goes on; stdout stays what it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pytest
from sqlalchemy import Connection, Engine, text

from tests.support.command import Project

pytestmark = pytest.mark.once

LATER = "2030-10-15"
HELD = re.compile(
    r"public\.events: waiting for ACCESS EXCLUSIVE on public\.events_p20300601, \d s so far; held up by pid (\d+) "
    r"\(nightly report\) idle in transaction with AccessShareLock on public\.events_p20300601 for \d+ s"
)


@contextmanager
def reading(engine: Engine) -> Iterator[tuple[int, Connection]]:
    """The partition that is to go, in a transaction that stays open."""
    with engine.connect() as connection:
        connection.execute(text("SET application_name = 'nightly report'"))
        connection.execute(text("SELECT count(*) FROM events_p20300601"))
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        try:
            yield pid, connection
        finally:
            connection.invalidate()


def line(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline().rstrip("\n")


def test_prune_without_a_terminal(events: Project, engine: Engine) -> None:
    with (
        reading(engine) as (pid, connection),
        events.started("prune", "--at", LATER, "--yes", "--json") as process,
    ):
        said = HELD.fullmatch(line(process.stderr))
        connection.rollback()
        out, err = process.communicate(timeout=60)

    assert said is not None
    assert pid == int(said[1])
    assert re.fullmatch(r"public\.events: no longer waiting for ACCESS EXCLUSIVE on .*, after \d+ s\n", err)
    assert json.loads(out)["ok"]
    assert 0 == process.returncode


def test_in_the_log(events: Project, engine: Engine) -> None:
    """With fields; then no other line says the same."""
    with (
        reading(engine) as (pid, connection),
        events.started("prune", "--at", LATER, "--yes", "--log-format", "json") as process,
    ):
        first = json.loads(line(process.stderr))
        connection.rollback()
        rest = [json.loads(each) for each in process.communicate(timeout=60)[1].splitlines()]

    (holder,) = first["waits_for"]
    assert ("warning", "waiting", "public.events") == (first["level"], first["outcome"], first["table"])
    assert (pid, "nightly report", "AccessShareLock", "public.events_p20300601") == (
        *(holder[name] for name in ("pid", "application", "mode", "table")),
    )
    assert holder["seconds"] > 0
    assert first["seconds"] < 2
    assert {first["run"]} == {each["run"] for each in rest}
    assert ["waited", *("done",) * (len(rest) - 1)] == [each["outcome"] for each in rest]


def test_on_a_terminal(events: Project, engine: Engine) -> None:
    """The line that rewrites itself makes room."""
    with reading(engine):
        shown = events.on_terminal("prune", "--at", LATER, "--yes", "--budget", "2s").out

    assert HELD.search(shown)
    assert "waiting for" not in shown.split("FAILED")[-1]


def test_convert_says_it_too(project: Project, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE events (id bigint PRIMARY KEY, created_at timestamptz NOT NULL)"))
    with engine.connect() as connection:
        connection.execute(text("SET application_name = 'nightly report'"))
        connection.execute(text("SELECT count(*) FROM events"))
        with project.started("convert", "events", "--at", LATER, "--yes") as process:
            said = line(process.stderr)
            while "waiting" not in said:
                said = line(process.stderr)
            connection.rollback()
            process.communicate(timeout=60)

    assert "(nightly report) idle in transaction with AccessShareLock on public.events for" in said
    assert 0 == process.returncode
