"""What is printed where."""

import subprocess

import pytest
from sqlalchemy import Engine, make_url, text

from sa_partman.cli.main import COMMANDS
from tests.support.command import AT, COMMAND, PARTITIONS, ROOT, Project

pytestmark = pytest.mark.once

LATER = "2030-07-01"


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (["plan"], {"now", "partitions", "steps", "findings"}),
        (["run"], {"now", "ok", "partitions", "steps", "findings"}),
        (["run", "--dry-run"], {"now", "partitions", "steps", "findings"}),
        (["provision"], {"now", "ok", "partitions", "steps", "findings"}),
        (["prune"], {"now", "ok", "partitions", "steps", "findings"}),
        (["check"], {"problems", "findings"}),
        (["status"], {"tables"}),
    ],
)
def test_json_is_one_document(events: Project, arguments: list[str], keys: set[str]) -> None:
    ended = events.run(*arguments, "--at", LATER, "--json")

    assert keys == set(ended.json)
    assert "" == ended.err


NAMELESS = """
from typing import Any

from sqlalchemy import Text, select
from sa_partman import PartitionByList, ULID


class Odd(ULID):
    __repr__ = object.__repr__


class Tenant(Base):
    __tablename__ = "tenants"
    id: Mapped[str] = mapped_column(Text, primary_key=True)


class Order(Base):
    __tablename__ = "orders"
    __partition__ = PartitionByRange(
        "tenant", "id", interval="1 month", tenants=select(Tenant.id), codec=Odd(),
        retention=lambda tenant: Retention("2 months", then="drop"),
    )
    tenant: Mapped[str] = mapped_column(Text, primary_key=True)
    id: Mapped[str] = mapped_column(Text, primary_key=True)


class Label(Base):
    __tablename__ = "labels"
    __partition__ = PartitionByList("kind", values=lambda: {"a": ["a"]})
    kind: Mapped[str] = mapped_column(Text, primary_key=True)


class Plain(Base):
    __tablename__ = "plain"
    __partition__ = PartitionByRange("id", interval="1 month", codec=Odd())
    id: Mapped[str] = mapped_column(Text, primary_key=True)
"""


def test_json_has_no_address_of_an_object(project: Project, engine: Engine) -> None:
    """Every command, over declarations that hold a select(), callables and a codec without a repr()."""
    model = project.folder / "models.py"
    model.write_text(model.read_text() + NAMELESS)
    with engine.begin() as connection:
        project.create(connection)
        for statement in (
            "CREATE TABLE tenants (id text PRIMARY KEY)",
            "INSERT INTO tenants VALUES ('t1')",
            "CREATE TABLE orders (tenant text, id text, PRIMARY KEY (tenant, id)) PARTITION BY RANGE (tenant, id)",
            "CREATE TABLE labels (kind text PRIMARY KEY) PARTITION BY LIST (kind)",
            'CREATE TABLE plain (id text COLLATE "C" PRIMARY KEY)',
        ):
            connection.exec_driver_sql(statement)
    typed: dict[str, tuple[str, ...]] = {
        "plan": (),
        "provision": (),
        "status": (),
        "check": (),
        "run": ("--yes", "--audit"),
        "prune": ("--yes", "--at", "2030-12-01"),
        "convert": ("plain", "--yes"),
        "split": ("events_p20300601", "--into", "1 day", "--yes"),
        "merge": ("events", "--older-than", "1 year", "--yes"),
        "drain": ("orders", "--yes"),
        "regrid": ("labels", "--yes"),
        "unpartition": ("labels", "--plan"),
    }
    others = {"demo", "archive"}
    """The one has no JSON; the other reads what was archived, which holds no declaration."""

    assert set(COMMANDS) == typed.keys() | others
    for command, options in typed.items():
        ended = project.run(command, *options, *(() if "--at" in options else ("--at", AT)), "--json")

        assert ended.code in (0, 1, 3), (command, ended.err)
        assert " at 0x" not in ended.out + ended.err, command
        assert ended.json
    for option in ("--plan", "--state"):
        assert " at 0x" not in project.run("convert", "plain", option, "--json").out


def test_json_of_an_error_says_what_and_which_exit_code(project: Project) -> None:
    ended = project.run("plan", "--json", "--url", "postgresql://127.0.0.1:1/nowhere")

    assert {"error", "kind", "exit_code"} == set(ended.json)
    assert (3, 3, "ServerUnavailable") == (ended.code, ended.json["exit_code"], ended.json["kind"])
    assert "Error: no connection" in ended.err


def test_sql_is_the_sql_that_runs(events: Project, engine: Engine) -> None:
    """Executed by hand, it leaves nothing to do."""
    script = events.run("plan", "--sql", "--at", "2030-10-15").out
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in script.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
        there = set(connection.execute(PARTITIONS).scalars())

    assert 5 == len(there)
    assert (0, "") == ((ended := events.run("plan", "--sql", "--at", "2030-10-15")).code, ended.out)


def test_a_table_can_be_singled_out(events: Project) -> None:
    assert 1 == events.run("plan", "--table", "events", "--at", LATER).code
    assert 1 == len(events.run("status", "--table", "events", "--json").json["tables"])


def test_at_overrides_its_variable(events: Project) -> None:
    assert 1 == events.run("plan", SA_PARTMAN_AT=LATER).code
    assert 0 == events.run("plan", "--at", AT, SA_PARTMAN_AT=LATER).code


def test_status_is_a_plain_table_where_there_is_no_terminal(events: Project) -> None:
    ended = events.run("status", "--at", AT)

    head, retention, _, columns, *rows = ended.out.splitlines()
    assert head.startswith("public.events  RANGE (created_at)   3 partitions")
    assert "horizon 2030-09-01 (2 ahead)   retention: 2 months, then drop" == retention.strip()
    assert ["partition", "bound", "rows", "size", "state"] == columns.split()
    assert ["current", "ahead", "ahead"] == [row.split()[-1] for row in rows]
    assert ended.out.isascii()


def test_status_is_a_map_on_a_terminal(events: Project) -> None:
    ended = events.on_terminal("status", "--at", AT)

    assert "\x1b[" in ended.out
    assert "●●●" in ended.out
    assert "Jul" in ended.out


@pytest.mark.parametrize(
    ("columns", "whole"), [("40", False), ("60", True), ("80", True), ("120", True), ("240", True)]
)
def test_status_fits_terminals_of_all_widths(events: Project, columns: str, whole: bool) -> None:
    """From 60 columns on with everything; below that with the name and the state."""
    ended = events.on_terminal("status", "--at", AT, "--no-color", COLUMNS=columns)
    (row,) = (line for line in ended.out.splitlines() if "events_p20300601" in line)

    assert max(map(len, ended.out.splitlines())) <= int(columns)
    assert "current" in ended.out
    assert whole is ("[2030-06-01, 2030-07-01)" in ended.out)
    assert ("events_p20300601", "current") == (row.split()[0].removeprefix("public."), row.split()[-1])


def test_status_of_many_partitions_is_folded(events: Project, engine: Engine) -> None:
    make = "'CREATE TABLE events_x%s PARTITION OF events FOR VALUES FROM (%L) TO (%L)'"
    days = f"EXECUTE format({make}, d, date '2020-01-01' + d, date '2020-01-01' + d + 1)"
    with engine.begin() as connection:
        connection.execute(text(f"DO $$ BEGIN FOR d IN 0..199 LOOP {days}; END LOOP; END $$"))
    folded, everything = (events.run("status", "--at", AT, *more).out.splitlines() for more in ((), ("--all",)))

    assert ["... 163 more: 163 expired", "(sa-partman status --all shows every partition)"] == [
        line.strip() for line in folded if "more" in line or "--all" in line
    ]
    assert (203, 203 - 163) == tuple(sum("events_" in line for line in lines) for lines in (everything, folded))
    assert 203 == len(events.run("status", "--at", AT, "--json").json["tables"][0]["partitions"])


def test_colours_are_left_out_when_unwanted(events: Project) -> None:
    for environment, options in (({"NO_COLOR": "1"}, ()), ({}, ("--no-color",))):
        for command in ("status", "plan", "check"):
            ended = events.on_terminal(command, "--at", LATER, *options, **environment)

            assert "\x1b[3" not in ended.out, (command, environment)
            assert "public.events" in ended.out


def test_status_is_ascii_where_nothing_else_can_be_shown(events: Project) -> None:
    ended = events.run("status", "--at", AT, FORCE_COLOR="1", PYTHONIOENCODING="ascii")

    assert 0 == ended.code
    assert "@@@" in ended.out
    assert ended.out.isascii()


def test_a_name_that_can_not_be_shown_is_written_otherwise(project: Project, engine: Engine) -> None:
    model = project.folder / "models.py"
    model.write_text(model.read_text().replace('"events"', '"events_Ω"'), encoding="utf-8")

    for options in ((), ("--json",)):
        ended = project.run("plan", *options, PYTHONIOENCODING="latin-1")

        assert 1 == ended.code
        assert "Traceback" not in ended.err
        assert r"events_\u03a9" in ended.out + ended.err


def test_without_rich_a_terminal_gets_the_plain_table_and_a_hint(events: Project) -> None:
    place = events.folder / "bare" / "rich"
    place.mkdir(parents=True)
    (place / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'rich'\", name='rich')\n")
    path = f"{place.parent}:{ROOT}"
    ended = events.on_terminal("status", "--at", AT, PYTHONPATH=path)

    assert 0 == ended.code
    assert "pip install 'sa-partman[cli]'" in ended.out
    assert "horizon 2030-09-01" in ended.out
    assert "Traceback" not in ended.out


def test_the_password_is_never_printed(project: Project) -> None:
    url = make_url(project.url).set(host="127.0.0.1", port=1, username="me", password="hush-hush", query={})
    for options in ((), ("--json",), ("-v",)):
        ended = project.run("run", "--url", url.render_as_string(hide_password=False), *options)

        assert "hush-hush" not in ended.out + ended.err
        assert "***" in ended.err


def test_verbose_shows_where_an_error_comes_from(project: Project) -> None:
    assert "Traceback" in project.run("plan", "--url", "postgresql://127.0.0.1:1/nowhere", "-v").err


def test_a_reader_who_leaves_hears_nothing_of_it(events: Project) -> None:
    with events.started("status", "--json") as process:
        process.stdout.close()

        assert "" == process.stderr.read()


def test_help_shows_every_option_of_every_command(project: Project) -> None:
    listed = project.run("--help").out
    for command in COMMANDS:
        ended = project.run(command, "--help")
        shown = ended.out

        assert 0 == ended.code, ended.err
        assert f"\n  {command} " in listed
        if command in ("demo", "archive"):  # the one needs none of them, the other one's commands have their own
            continue
        for option in ("--metadata", "--url", "--table", "--at", "--json", "--no-color", "--config", "--verbose"):
            assert option in shown, (command, option)


def test_help_imports_neither_a_driver_nor_what_it_does_not_show(project: Project) -> None:
    """Not timed: what is not imported takes no time."""
    code = "import sys; from sa_partman.cli.main import run; run(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [COMMAND[0], "-c", code],
        cwd=project.folder,
        env=project.environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    unwanted = {"psycopg", "asyncpg", "alembic", "rich", "sa_partman.throwaway", "sa_partman.demo.story"}

    assert set() == unwanted & set(done.stderr.split())
