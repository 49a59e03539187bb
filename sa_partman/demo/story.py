"""The story, from a plain model to a maintained table."""

from __future__ import annotations

import tempfile
import time
from contextlib import suppress
from pathlib import Path

from sa_partman.demo import history, models
from sa_partman.demo.flights import load_flights, rows_of_partitions
from sa_partman.demo.project import ENV_LINES, DemoProject
from sa_partman.demo.stage import Stage
from sa_partman.errors import MissingDependency, ServerUnavailable
from sa_partman.throwaway import Binaries, Server, find

NOVEMBER = "2013-11-20"
DECEMBER = "2013-12-15"

NEXT = """\
What to type next, in a project of yours:

   pip install 'sa-partman[binary,cli]'
   # models:  __partition__ = PartitionByRange("created_at", interval="1 month")
   # env.py:  import alembic_ext.autogenerate
   alembic revision --autogenerate -m "partition events" && alembic upgrade head
   sa-partman status          # it finds metadata and database through your env.py
   sa-partman run --yes       # the line for cron"""


def tell(*, keep: bool = False, large: bool = False) -> int:
    """
    Tell it on stdout.

    Args:
        keep: Wait for Enter before everything is taken away again.
        large: That of a table that is large already.

    Returns:
        The exit code.

    Raises:
        MissingDependency: There is no PostgreSQL to start.
        CommandFailed: A command ended otherwise than it should.
    """
    began = time.monotonic()
    binaries = _binaries()
    with tempfile.TemporaryDirectory(prefix="sa-partman-demo-") as name, Server.start(binaries) as server:
        stage = Stage(Path(name))
        stage.say(f"A throw-away {binaries}, an empty folder, and every flight that left New York City in 2013.")
        (history.acts if large else acts)(stage, DemoProject(Path(name)), server)
        stage.say("", history.NEXT if large else NEXT)
        if keep:
            stage.say("", f"The project: {name}", f"The database: psql '{server.uri()}'")
            input("Press Enter to take both away: ")
    stage.say("", f"All of that took {time.monotonic() - began:.1f} s; nothing is left running.")
    return 0


def acts(stage: Stage, project: DemoProject, server: Server) -> None:
    """From a model to a table that is pruned."""
    _declare(stage, project)
    _migrate(stage, project, server)
    _load(stage, server)
    _maintain(stage)
    _prune(stage, project)


def _declare(stage: Stage, project: DemoProject) -> None:
    with stage.act("The model, plain"):
        stage.code(models.PLAIN)
    with stage.act("The model, partitioned by month: one declaration"):
        stage.change(models.PLAIN, models.PARTITIONED)
        project.write_model(models.PARTITIONED)


def _migrate(stage: Stage, project: DemoProject, server: Server) -> None:
    with stage.act("Alembic writes the migration"):
        stage.run("alembic", "init", "migrations", quiet=True)
        project.set_up(server.url())
        stage.say("   migrations/env.py, instead of target_metadata = None:")
        stage.code(ENV_LINES)
        stage.run("alembic", "revision", "--autogenerate", "-m", "flights")
        stage.code(project.migration())
    with stage.act("The upgrade, on 20 November 2013: its partitions are computed when it runs"):
        stage.run("alembic", "upgrade", "head", at=NOVEMBER)


def _load(stage: Stage, server: Server) -> None:
    with stage.act("336,776 flights, loaded through the partitioned table with COPY"):
        began = time.monotonic()
        loaded = load_flights(server.uri())
        stage.say(f"   {loaded:,} rows in {time.monotonic() - began:.1f} s; PostgreSQL put each where it belongs:", "")
        stage.chart(rows_of_partitions(server.uri()))


def _maintain(stage: Stage) -> None:
    with stage.act("15 December: the maintainer keeps three months ready"):
        stage.run("sa-partman", "run", "--at", DECEMBER)
        stage.run("sa-partman", "run", "--at", DECEMBER)
    with stage.act("What is there"):
        stage.run("sa-partman", "status", "--at", DECEMBER)


def _prune(stage: Stage, project: DemoProject) -> None:
    with stage.act("Keep nine months from now on: a policy, so it needs no migration"):
        stage.change(models.PARTITIONED, models.KEPT_FOR_NINE_MONTHS)
        project.write_model(models.KEPT_FOR_NINE_MONTHS)
        stage.run("alembic", "check")
    with stage.act("Prune: the plan first, then the deed"):
        stage.run("sa-partman", "prune", "--at", DECEMBER, "--dry-run")
        stage.run("sa-partman", "prune", "--at", DECEMBER, "--yes")
    with stage.act("All is well"):
        stage.run("sa-partman", "check", "--at", DECEMBER)
        stage.run("alembic", "check")


def _binaries() -> Binaries:
    """PostgreSQL 18, the embedded one first, so that the story looks the same everywhere; else the newest."""
    with suppress(ServerUnavailable):
        return find(18, embedded_first=True)
    try:
        return find()
    except ServerUnavailable as error:
        raise MissingDependency("there are no PostgreSQL programs on this machine", extra="demo") from error
