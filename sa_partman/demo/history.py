"""The story of a table that is large already: converted in place, its past split while somebody writes, and pruned."""

from __future__ import annotations

import psycopg

from sa_partman.demo import models
from sa_partman.demo.application import writing
from sa_partman.demo.flights import load_flights, rows_of_partitions
from sa_partman.demo.project import ENV_LINES, DemoProject
from sa_partman.demo.stage import Stage
from sa_partman.throwaway import Server

JANUARY = "2014-01-15"

NEXT = """\
What to type next, in a project of yours:

   alembic revision --autogenerate -m "partition events" && alembic upgrade head
   sa-partman split events_history --into "1 month"     # shows what becomes of what, and asks
   sa-partman split events --finalize                   # when you have seen that all is well"""

COUNT = "SELECT count(*) FILTER (WHERE carrier <> 'ZZ'), count(*) FILTER (WHERE carrier = 'ZZ') FROM flights"


def acts(stage: Stage, project: DemoProject, server: Server) -> None:
    """
    All of it.

    Raises:
        CommandFailed: A command ended otherwise than it should.
        psycopg.Error: A statement of the writer failed.
        AssertionError: Rows are missing, or there twice.
    """
    loaded = _large(stage, project, server)
    _convert(stage, project)
    _split(stage, server, loaded)
    _prune(stage, project)


def _large(stage: Stage, project: DemoProject, server: Server) -> int:
    """How many rows it has."""
    with stage.act("A plain table with all of its 336,776 flights"):
        stage.code(models.PLAIN)
        project.write_model(models.PLAIN)
        stage.run("alembic", "init", "migrations", quiet=True)
        project.set_up(server.url())
        stage.say("   migrations/env.py, instead of target_metadata = None:")
        stage.code(ENV_LINES)
        stage.run("alembic", "revision", "--autogenerate", "-m", "flights", quiet=True)
        stage.run("alembic", "upgrade", "head", quiet=True)
        loaded = load_flights(server.uri())
        stage.say(f"   {loaded:,} rows in one table")
    return loaded


def _convert(stage: Stage, project: DemoProject) -> None:
    with stage.act("One declaration, and Alembic writes the conversion"):
        stage.change(models.PLAIN, models.PARTITIONED)
        project.write_model(models.PARTITIONED)
        stage.run("alembic", "revision", "--autogenerate", "-m", "partition flights")
        stage.code(project.migration())
    with stage.act("15 January 2014: the upgrade leaves the rows where they are; the past becomes one partition"):
        stage.run("alembic", "upgrade", "head", at=JANUARY)
        stage.run("sa-partman", "status", "--at", JANUARY)


def _split(stage: Stage, server: Server, loaded: int) -> None:
    with stage.act("The past is split into months, while somebody writes into it"):
        with writing(server.uri()) as writer:
            stage.run("sa-partman", "split", "flights_history", "--into", "1 month", "--yes", at=JANUARY)
        if writer.error is not None:
            raise writer.error
        slowest = f"{writer.slowest * 1000:.0f} ms"
        stage.say(
            "",
            f"   Meanwhile: {writer.statements:,} statements of the writer; none failed, the slowest took {slowest}.",
        )
        with psycopg.connect(server.uri()) as connection:
            flights, written = connection.execute(COUNT).fetchone() or (0, 0)
        if (flights, written) != (loaded, len(writer.there)):
            raise AssertionError(f"{flights} flights and {written} of the writer's {len(writer.there)} rows are there")
        stage.say(f"   All {flights:,} flights are there, and all {written} rows that the writer has.", "")
        stage.chart(rows_of_partitions(server.uri()))
    with stage.act("The old partition is kept until you say so: --undo would put it back, with what was written since"):
        stage.run("sa-partman", "split", "flights", "--finalize", "--yes")


def _prune(stage: Stage, project: DemoProject) -> None:
    with stage.act("Nine months are kept: what is older goes at once, and not in some years with all of the past"):
        stage.change(models.PARTITIONED, models.KEPT_FOR_NINE_MONTHS)
        project.write_model(models.KEPT_FOR_NINE_MONTHS)
        stage.run("sa-partman", "prune", "--at", JANUARY, "--yes")
    with stage.act("All is well"):
        stage.run("sa-partman", "check", "--at", JANUARY)
        stage.run("alembic", "check")
