"""``sa-partman run --every``: again and again, until a signal comes; and how signals end every command."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from sqlalchemy import Engine, text

from tests.support.command import AT, PARTITIONS, Project
from tests.support.warm import Running

pytestmark = pytest.mark.once

MADE = {"events_p20300601", "events_p20300701", "events_p20300801"}
JULY = "2030-07-01"
ENDS = [(signal.SIGTERM, 143), (signal.SIGINT, 130)]
SAID = {
    130: "Aborted: what was committed before stays; the next run does the rest.\n",
    143: "Ended by SIGTERM: what was committed before stays; the next run does the rest.\n",
}


def look(engine: Engine, statement: str) -> Any:
    with engine.begin() as connection:
        return connection.execute(text(statement)).scalar()


def partitions(engine: Engine) -> set[str]:
    with engine.begin() as connection:
        return set(connection.execute(PARTITIONS).scalars())


def until(condition: Callable[[], Any], process: Running) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


def ended(process: Running, number: int) -> tuple[int, str, str]:
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    return process.wait(), out, err


@contextmanager
def slow(engine: Engine, tag: str) -> Iterator[Callable[[], Any]]:
    """Statements of *tag* take very long; gives a look whether one is under way."""
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"""
            CREATE FUNCTION public.dawdle() RETURNS event_trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_catalog.pg_sleep(60); END $$;
            CREATE EVENT TRIGGER dawdle ON ddl_command_end WHEN TAG IN ('{tag}') EXECUTE FUNCTION public.dawdle()
            """
        )
    yield lambda: look(engine, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP EVENT TRIGGER dawdle")


@pytest.mark.parametrize(("number", "code"), ENDS)
@pytest.mark.parametrize("more", [[], ["--every", "1h"]], ids=["once", "again"])
@pytest.mark.parametrize(("at", "tag"), [(JULY, "CREATE TABLE"), ("2030-09-01", "DROP TABLE")])
def test_a_signal_in_the_middle_of_a_statement(
    events: Project, engine: Engine, number: int, code: int, more: list[str], at: str, tag: str
) -> None:
    """It is cancelled on the server, its step is rolled back, and the next run does the rest."""
    with slow(engine, tag) as under_way, events.started("run", "--yes", "--at", at, *more) as process:
        until(under_way, process)
        done = partitions(engine)
        before = time.monotonic()
        assert (code, "") == (ended(process, number)[0], "")
        assert time.monotonic() - before < 10
        assert not under_way()
        assert done == partitions(engine)
        assert 0 == look(engine, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
    after = events.run("run", "--yes", "--at", at)

    assert 0 == after.code, after.err
    assert "Nothing to do.\n" == events.run("run", "--yes", "--at", at).out


@pytest.mark.parametrize(("number", "code"), ENDS)
def test_a_signal_between_two_runs(events: Project, engine: Engine, number: int, code: int) -> None:
    with events.started("run", "--every", "1 hour", "--yes", "--at", JULY) as process:
        told = process.stdout.readline() + process.stdout.readline()
        got, out, err = ended(process, number)

    assert code == got
    assert "+ provision public.events_p20300901  [2030-09-01, 2030-10-01)\n1 partition created.\n" == told
    assert not out
    assert "events_p20300901" in partitions(engine)
    begun, *said = [f"{line}\n" for line in err.splitlines() if line]
    assert "running every 3600 s; a signal ends it\n" == begun
    assert [SAID[code]] == said


def test_every_round_is_told(events: Project, engine: Engine) -> None:
    """Also one that found nothing to do; and before the first one, where it listens."""
    arguments = ("run", "--every", "1s", "--yes", "--at", AT, "--listen", "127.0.0.1:0")
    with events.started(*arguments) as process:
        begun = process.stderr.readline()
        told = [process.stdout.readline() for _ in range(2)]
        ended(process, signal.SIGTERM)

    assert re.fullmatch(r"running every 1 s; listening on 127\.0\.0\.1:\d+; a signal ends it\n", begun)
    assert ["Nothing to do.\n"] * 2 == told


def test_it_runs_again(events: Project, engine: Engine) -> None:
    with events.started("run", "--every", "1s", "--yes", "--json", "--at", JULY) as process:
        until(lambda: "events_p20300901" in partitions(engine), process)
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE events_p20300901")
        until(lambda: "events_p20300901" in partitions(engine), process)
        _, out, _ = ended(process, signal.SIGTERM)
    documents = [json.loads(line) for line in out.splitlines()]

    assert len(documents) >= 1
    assert all(document["ok"] for document in documents)


def test_errors_are_told_and_do_not_end_it(events: Project, engine: Engine) -> None:
    """No server at first."""
    with events.started(
        "run", "--every", "1s", "--yes", SA_PARTMAN_DATABASE_URL="postgresql://me:hidden@127.0.0.1:1/x"
    ) as process:
        assert "running every" in process.stderr.readline()
        lines = [process.stderr.readline() for _ in range(2)]
        code, _, _ = ended(process, signal.SIGTERM)

    assert 143 == code
    assert all(line.startswith("Error: no connection to") for line in lines)
    assert "hidden" not in "".join(lines)


def test_health_and_metrics(events: Project, engine: Engine) -> None:
    with events.started(
        "run", "--every", "1h", "--listen", "127.0.0.1:0", "--yes", "--at", JULY, "--log-format", "text"
    ) as process:
        address = None
        while address is None:
            line = process.stderr.readline()
            assert line, "it ended"
            address = re.search(r"listening on (\S+)", line)
        place = f"http://{address[1]}"

        def well() -> bool:
            try:
                with urlopen(f"{place}/healthz", timeout=10) as response:
                    return bool(json.load(response)["ok"])
            except HTTPError as error:
                error.close()
                return False

        until(well, process)
        with urlopen(f"{place}/metrics", timeout=10) as response:
            metrics = response.read().decode()
        code, _, _ = ended(process, signal.SIGTERM)

    assert 143 == code
    assert "public.events" in metrics


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--listen", "9187"], "add --every 1h"),
        (["--every", "soon", "--yes"], "'soon' is not an interval"),
        (["--every", "1 month", "--yes"], "months have no fixed length"),
        (["--every", "1h"], "it needs --yes where nobody can be asked"),
        (["--every", "1h", "--yes", "--dry-run"], "don't go together"),
        (["--every", "1h", "--yes", "--listen", ":9187"], "0.0.0.0:9187 for every network"),
        (["--every", "1h", "--yes", "--table", "nowhere"], "nowhere: not declared as partitioned"),
    ],
)
def test_2_for_wrong_usage(project: Project, arguments: list[str], said: str) -> None:
    ended = project.run("run", *arguments)

    assert (2, "") == (ended.code, ended.out)
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_2_for_several_databases(project: Project) -> None:
    """The second one would never have its turn."""
    ended = project.run("run", "--every", "1h", "--yes", "--url", project.url, "--url", project.url)

    assert 2 == ended.code
    assert "--every serves one database; start one process for each --url" in ended.err


def test_it_asks_once_on_a_terminal(events: Project, engine: Engine) -> None:
    ended = events.on_terminal("run", "--every", "1h", "--at", JULY, answer="n")

    assert 1 == ended.code
    assert "without asking again. Go on? [y/N]" in ended.out
    assert "Nothing was changed." in ended.out
    assert MADE == partitions(engine)
