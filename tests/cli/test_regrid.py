"""``sa-partman plan`` and ``run`` after the interval of a model has changed."""

import pytest
from sqlalchemy import Engine

from tests.support.command import AT, Project
from tests.support.database import partitions

pytestmark = pytest.mark.once


def daily(events: Project) -> None:
    """The monthly table of the project, declared by day."""
    models = events.folder / "models.py"
    models.write_text(models.read_text().replace('interval="1 month"', 'interval="1 day"'))


def test_a_plan_says_when_the_new_interval_begins(events: Project, engine: Engine) -> None:
    """That is nothing to do: the exit code is 0, and a run makes nothing of the past either."""
    before = partitions(engine)
    daily(events)
    ended = events.run("plan", "--at", AT)

    assert 0 == ended.code
    assert "interval='1 day' begins at 2030-09-01: 2 partitions before that" in ended.err
    assert "sa-partman run --regrid" in ended.err
    assert "" == events.run("run", "--at", AT).err
    assert before == partitions(engine)


def test_regridding_is_previewed_and_done(events: Project, engine: Engine) -> None:
    """It removes no row, so nobody is asked; afterwards there is nothing to do."""
    daily(events)
    plan = events.run("plan", "--regrid", "--at", AT)
    script = events.run("plan", "--regrid", "--sql", "--at", AT).out
    ended = events.run("run", "--regrid", "--at", AT)

    assert 1 == plan.code
    assert "~ regrid    public.events_p20300701  [2030-07-01, 2030-08-01)  gives way to 31" in plan.out
    assert plan.out.splitlines()[:2] == ended.out.splitlines()[:2]
    assert "62 partitions made anew" in ended.out
    assert script.count("BEGIN;") == 2 == script.count("DROP TABLE")
    assert script.index("holds rows by now") < script.index("DROP TABLE") < script.index("CREATE TABLE")
    assert 63 == len(partitions(engine))
    assert 0 == events.run("plan", "--regrid", "--at", AT).code


def test_it_is_said_once(events: Project) -> None:
    ended = events.run("run", "--regrid", "--every", "1h")

    assert 2 == ended.code
    assert "--regrid is for a single run; leave out --every and --listen" in ended.err
