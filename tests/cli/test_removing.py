"""Data goes only when somebody said so: asked on a terminal, ``--yes`` elsewhere."""

import pytest
from sqlalchemy import Engine

from tests.support.command import PARTITIONS, Project
from tests.support.database import sql

pytestmark = pytest.mark.once

LATER = "2030-10-15"
"""June has expired by then (two months are kept), July has not; two partitions are to be made."""
MADE = {"events_p20300601", "events_p20300701", "events_p20300801"}
AHEAD = {"events_p20300901", "events_p20301001", "events_p20301101", "events_p20301201"}


def partitions(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.execute(PARTITIONS).scalars())


@pytest.mark.parametrize("command", ["run", "prune"])
def test_removing_is_refused_where_nobody_can_be_asked(events: Project, engine: Engine, command: str) -> None:
    ended = events.run(command, "--at", LATER)

    assert (2, "") == (ended.code, ended.out)
    assert "2 dropped" in ended.err or "2 partitions will be dropped" in ended.err
    assert "needs --yes where nobody can be asked; nothing was changed" in ended.err
    assert MADE == partitions(engine)


def test_yes_prunes(events: Project, engine: Engine) -> None:
    ended = events.run("prune", "--at", LATER, "--yes")

    assert (0, "") == (ended.code, ended.err)
    assert "2 partitions dropped." in ended.out
    assert {"events_p20300801"} == partitions(engine)


def test_run_yes_is_the_line_for_cron(events: Project, engine: Engine) -> None:
    assert 0 == events.run("run", "--at", LATER, "--yes").code
    assert {"events_p20300801"} | AHEAD == partitions(engine)
    assert (0, "Nothing to do.\n") == (
        (again := events.run("run", "--at", LATER, "--yes")).code,
        again.out,
    )


def test_provision_removes_nothing_and_asks_nothing(events: Project, engine: Engine) -> None:
    assert 0 == events.run("provision", "--at", LATER).code
    assert MADE | AHEAD == partitions(engine)


@pytest.mark.parametrize("option", ["--dry-run", "--sql"])
@pytest.mark.parametrize("command", ["run", "prune", "provision"])
def test_looking_first_changes_nothing(events: Project, engine: Engine, command: str, option: str) -> None:
    ended = events.run(command, "--at", LATER, option)

    assert (0, "") == (ended.code, ended.err)
    assert ("DROP TABLE" if option == "--sql" else "- drop") in ended.out or command == "provision"
    assert MADE == partitions(engine)


def test_a_terminal_shows_the_plan_and_asks(events: Project, engine: Engine) -> None:
    ended = events.on_terminal("prune", "--at", LATER, answer="y")

    assert 0 == ended.code
    plan, _, done = ended.out.partition("Go on? [y/N]")
    assert "public.events_p20300601" in plan
    assert "2 partitions will be dropped." in plan
    assert "2 partitions dropped." in done
    assert {"events_p20300801"} == partitions(engine)


def test_no_is_taken_for_an_answer(events: Project, engine: Engine) -> None:
    ended = events.on_terminal("run", "--at", LATER, answer="n")

    assert 1 == ended.code
    assert "Nothing was changed." in ended.out
    assert MADE == partitions(engine)


def test_a_terminal_sees_how_far_a_run_is(events: Project) -> None:
    ended = events.on_terminal("run", "--at", LATER, "--yes")

    assert 0 == ended.code
    assert "1 of 6: public.events_p20301001" in ended.out


def test_nobody_else_sees_how_far_a_run_is(events: Project) -> None:
    assert "" == events.run("run", "--at", LATER, "--yes").err


def test_partitions_of_others_are_handed_over_once(events: Project, engine: Engine) -> None:
    """Until then they are kept and reported; the plan of the adoption shows the mark, and what goes."""
    with engine.begin() as connection:
        connection.exec_driver_sql("COMMENT ON TABLE events_p20300601 IS NULL")
    kept = events.run("prune", "--at", LATER, "--yes")
    assert (0, {"events_p20300601", "events_p20300801"}) == (kept.code, partitions(engine))
    assert "1 partition is expired and was not made by sa-partman, so it is kept: public.events_p20300601" in kept.err
    assert 1 == events.run("check", "--at", LATER).code

    assert "- drop      public.events_p20300601" in events.run("run", "--adopt", "--at", LATER, "--dry-run").out
    assert 2 == events.run("run", "--adopt", "--at", LATER).code  # it removes, and nobody can be asked
    ended = events.run("run", "--adopt", "--at", LATER, "--yes")
    assert (0, "") == (ended.code, ended.err)
    assert "~ adopt     public.events_p20300601" in ended.out
    assert {"events_p20300801"} | AHEAD == partitions(engine)


def test_an_adoption_is_said_once(events: Project) -> None:
    ended = events.run("run", "--adopt", "--every", "1h")

    assert 2 == ended.code
    assert "--adopt is for a single run; leave out --every and --listen" in ended.err


TENANTS = """
from sqlalchemy import Column, Integer, MetaData, Table, Text
from sa_partman import PartitionByList

metadata = MetaData()
events = Table(
    "events", metadata, Column("id", Integer, primary_key=True, autoincrement=False),
    Column("tenant", Text, primary_key=True),
    PartitionByList("tenant", values={values}),
)
"""


def test_the_command_asks_and_takes_yes(project: Project, engine: Engine) -> None:
    """`prune --tenant`: refused where nobody can be asked, shown by --dry-run, and done with --yes."""
    (project.folder / "models.py").write_text(TENANTS.format(values=["a b", "c"]))
    sql(engine, "CREATE TABLE events (id integer, tenant text, PRIMARY KEY (id, tenant)) PARTITION BY LIST (tenant)")
    assert 0 == project.run("provision").code
    (project.folder / "models.py").write_text(TENANTS.format(values=["c"]))
    asked = project.run("prune", "--tenant", "a b")
    shown = project.run("prune", "--tenant", "a b", "--dry-run")
    listed = project.run("prune", "--tenant", "c", "--yes")
    done = project.run("prune", "--tenant", "a b", "--yes")

    assert (2, 3) == (asked.code, listed.code)
    assert "needs --yes" in asked.err
    assert "1 partition will be dropped." in shown.out
    assert "still declared" in listed.err
    assert (0, "1 partition dropped.") == (done.code, done.out.splitlines()[-1])
    assert {"events_c"} == partitions(engine)
