"""Several schemas and several databases in one call."""

import json
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine, text

from tests.support.command import AT, CREATE, Project

pytestmark = pytest.mark.once

NOWHERE = "postgresql://nobody@127.0.0.1:1/none"


def create(engine: Engine, *schemas: str) -> None:
    with engine.begin() as connection:
        for schema in schemas:
            connection.execute(text(f"CREATE SCHEMA {schema}"))
            connection.execute(text(f"SET LOCAL search_path = {schema}"))
            for statement in CREATE.split(";"):
                connection.execute(text(statement.replace(":", r"\:")))


@pytest.fixture
def second(events: Project, engine: Engine) -> Iterator[str]:
    """The URL of another database with the same tables."""
    name = f"{engine.url.database}_second"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    other = create_engine(engine.url.set(database=name))
    with other.begin() as connection:
        events.create(connection)
    yield other.url.render_as_string(hide_password=False)
    other.dispose()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))


def test_schemas(project: Project, engine: Engine) -> None:
    create(engine, "t1", "t2")
    ended = project.run("plan", "--schema", "t1", "--schema", "t2", "--at", "2030-07-01")

    assert 1 == ended.code
    assert ["+ provision t1.events_p20300901", "+ provision t2.events_p20300901"] == [
        line.partition("  ")[0] for line in ended.out.splitlines()[:2]
    ]


def test_a_schema_without_the_table(project: Project, engine: Engine) -> None:
    create(engine, "t1")
    ended = project.run("run", "--schema", "t1", "--schema", "t9", "--at", "2030-07-01", "--yes")

    assert 3 == ended.code
    assert "t9.events does not exist" in ended.err
    assert "1 partition created." in ended.out


def test_a_conversion_takes_no_schemas(events: Project) -> None:
    ended = events.run("convert", "events", "--plan", "--schema", "t1")

    assert 2 == ended.code
    assert "name its schema in the model" in ended.err


def test_each_database_in_turn(events: Project, second: str) -> None:
    ended = events.run("run", "--url", events.url, "--url", second, "--at", AT)

    assert (0, "") == (ended.code, ended.err)
    assert 2 == ended.out.count("Nothing to do.")
    assert 2 == sum(line.startswith("-- postgresql") for line in ended.out.splitlines())


def test_one_that_is_gone_stops_no_other(events: Project, second: str) -> None:
    ended = events.run("run", "--url", NOWHERE, "--url", second, "--at", "2030-07-01", "--yes")

    assert 3 == ended.code
    assert "no connection" in ended.err
    assert "1 partition created." in ended.out


def test_the_worst_exit_code(events: Project, second: str) -> None:
    late = events.run("check", "--url", events.url, "--url", second, "--at", "2031-01-01")
    wrong = events.run("plan", "--url", events.url, "--url", "sqlite://", "--at", "2031-01-01")

    assert (1, 2) == (late.code, wrong.code)


def test_one_json_document(events: Project, second: str) -> None:
    ended = events.run("plan", "--url", NOWHERE, "--url", second, "--json", "--at", AT)
    document = json.loads(ended.out)

    assert 3 == ended.code
    assert [3, 0] == [each["exit_code"] for each in document["databases"]]
    assert "no connection" in document["databases"][0]["result"]["error"]
    assert [] == document["databases"][1]["result"]["steps"]


def test_no_password_is_shown(events: Project) -> None:
    ended = events.run("plan", "--url", "postgresql://me:sesame@127.0.0.1:1/a", "--url", NOWHERE)

    assert "sesame" not in ended.out + ended.err
