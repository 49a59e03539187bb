"""No command prints a password, wherever it was given and however the command ends."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url, text

from sa_partman.cli.main import COMMANDS
from tests.support.command import AT, Project

pytestmark = pytest.mark.once

MARK = "h7nter2"
NOWHERE = f"postgresql://u:{MARK}@127.0.0.1:1/none?password={MARK}&sslpassword={MARK}"
ARGUMENTS = {
    "plan": [["--at", "2030-07-01"], ["--sql"], ["--json"]],
    "run": [["--yes", "--at", "2030-07-01", "--audit"], ["--dry-run", "--json"]],
    "provision": [["--json", "--log-format", "json", "--log-level", "debug"]],
    "prune": [["--yes", "--log-level", "debug"]],
    "check": [[], ["--json"]],
    "status": [[], ["--json"]],
    "convert": [["events", "--plan"], ["events", "--yes", "--json"]],
    "split": [["events_p20300601", "--into", "1 day", "--plan"], ["events", "--state", "--json"]],
    "merge": [["events", "--older-than", "1 year", "--plan"]],
    "drain": [["events", "--yes", "--json"]],
    "regrid": [["events", "--yes"]],
    "unpartition": [["events", "--plan"]],
    "archive": [["list", "."], ["restore", f"postgresql://u:{MARK}@h/x.manifest.json"]],
}


@pytest.fixture
def marked(events: Project) -> Project:
    """The server trusts everybody, and takes each of these passwords."""
    url = make_url(events.url).set(password=f"{MARK}/@é")
    url = url.update_query_dict({"password": f"{MARK} &x", "sslpassword": MARK})
    given = url.render_as_string(hide_password=False)
    events.environment |= {"SA_PARTMAN_DATABASE_URL": given, "PGPASSWORD": MARK}
    return events


def test_every_command_is_tried() -> None:
    assert COMMANDS.keys() - {"demo"} == ARGUMENTS.keys()


@pytest.mark.parametrize("command", ARGUMENTS)
def test_whatever_a_command_prints(marked: Project, command: str) -> None:
    """It goes well, there is no such database, and there is no server."""
    other = make_url(marked.environment["SA_PARTMAN_DATABASE_URL"]).set(database=f"no_{MARK}_database")
    missing = other.set(database="missing").render_as_string(hide_password=False)
    for arguments in ARGUMENTS[command]:
        for url in (marked.environment["SA_PARTMAN_DATABASE_URL"], missing, NOWHERE):
            more = ["--verbose"] if command != "archive" or arguments[0] == "restore" else []
            ended = marked.run(command, *arguments, *more, SA_PARTMAN_DATABASE_URL=url)

            assert MARK not in ended.out + ended.err, (command, arguments, url)


def test_what_is_stored(marked: Project, engine: Engine) -> None:
    """The audit, whose steps have their SQL and errors; and what the server shows of a session."""
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE seen (what text)"))
        connection.exec_driver_sql(
            """
            CREATE FUNCTION public.note() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen
                SELECT pg_catalog.concat(a.application_name, a.query) FROM pg_catalog.pg_stat_activity a; END $$;
            CREATE EVENT TRIGGER note ON ddl_command_end EXECUTE FUNCTION public.note()
            """
        )
    ended = marked.run("run", "--yes", "--at", "2030-07-01", "--audit", "--log-format", "json")

    assert 0 == ended.code, ended.err
    assert MARK not in ended.out + ended.err
    with engine.connect() as connection:
        for table in ("seen", "sa_partman_runs", "sa_partman_steps"):
            rows = connection.execute(text(f"SELECT CAST(t AS text) FROM {table} t")).scalars().all()

            assert rows, table
            assert MARK not in "".join(rows), table
        connection.execute(text("DROP EVENT TRIGGER note"))
        connection.commit()


def test_several_databases(marked: Project) -> None:
    url = marked.environment["SA_PARTMAN_DATABASE_URL"]
    for more in ([], ["--json"]):
        ended = marked.run("plan", "--url", url, "--url", NOWHERE, "--url", f"nonsense {MARK}", *more)

        assert MARK not in ended.out + ended.err
        assert "password=***" in ended.out


def test_a_service_file(marked: Project) -> None:
    (marked.folder / "services").write_text(f"[here]\nhost=127.0.0.1\nport=1\npassword={MARK}\n")
    ended = marked.run("check", PGSERVICEFILE="services", SA_PARTMAN_DATABASE_URL="postgresql:///x?service=here")

    assert 3 == ended.code
    assert MARK not in ended.out + ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan", NOWHERE],
        [NOWHERE],
        ["plan", f"--{NOWHERE}"],
        ["plan", "--metadata", NOWHERE],
        ["plan", "--at", NOWHERE],
        ["plan", "--url", f"mysql://u:{MARK}@h/db"],
        ["plan", "--url", f"host=h password={MARK}"],
        ["plan", "--url", f"postgresql://u:x@{MARK}:{MARK}@127.0.0.1:1/db"],
        ["plan", "--url", f"postgresql://u:x@{MARK}@127.0.0.1/db"],
        ["run", "--listen", NOWHERE, "--every", "1h", "--yes"],
        ["plan", "-c", NOWHERE],
    ],
)
def test_wrong_usage(events: Project, arguments: list[str]) -> None:
    """A URL where none belongs, and one whose password is not encoded."""
    ended = events.run(*arguments, "--verbose")

    assert ended.code
    assert MARK not in ended.out + ended.err


@pytest.fixture
def alembic(project: Project) -> Path:
    """The env.py of a project that is asked for everything."""
    project.environment = {"PYTHONPATH": project.environment.get("PYTHONPATH", "")}
    (project.folder / "migrations").mkdir()
    url = f"postgresql://u:pa@{MARK}:{MARK}x@h/db"
    (project.folder / "alembic.ini").write_text(f"[alembic]\nscript_location = migrations\nsqlalchemy.url = {url}\n")
    return project.folder / "migrations" / "env.py"


@pytest.mark.parametrize(
    "body",
    [
        "from alembic import context\nfrom sqlalchemy import make_url\n"
        "make_url(context.config.get_main_option('sqlalchemy.url'))\n",
        "raise ValueError('postgresql://u:h7nter2@h/db')\n",
        "import sqlalchemy\nsqlalchemy.create_engine('postgresql://u@h/db?password=h7nter2&sslmode=none').connect()\n",
    ],
)
def test_an_env_py_that_fails(project: Project, alembic: Path, body: str) -> None:
    alembic.write_text(body)
    for more in ([], ["--verbose"]):
        ended = project.run("plan", *more, PYTHONPATH=None)

        assert 2 == ended.code, ended.err
        assert f"{MARK}@" not in ended.err.replace(f"'postgresql://u:{MARK}@h/db'", "")
        assert MARK not in ended.err.splitlines()[-1]


def test_models_that_fail(events: Project) -> None:
    """A fault that is not ours, or that is: Python itself would print all that its error says."""
    model = events.folder / "models.py"
    model.write_text(f"url = 'postgresql://u:' + {MARK[:3]!r} + '{MARK[3:]}@h/db'\nraise LookupError(url)\n")
    ended = events.run("plan", AT)

    assert ended.code
    assert MARK not in ended.err
