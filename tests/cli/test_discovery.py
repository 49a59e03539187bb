"""Where the metadata and the URL come from, and in which order."""

import os
from pathlib import Path

import alembic
import pytest
from sqlalchemy import Engine, inspect, make_url

from tests.support.command import AT, MODEL, Project
from tests.support.warm import forked

pytestmark = pytest.mark.once

BROKEN = "postgresql://127.0.0.1:1/nowhere"
WITH = Path(alembic.__file__).parent / "templates"
TEMPLATES = [each for each in ("generic", "async", "pyproject", "pyproject_async") if (WITH / each).is_dir()]
"""Those with pyproject came with Alembic 1.16."""


def other_model(project: Project, name: str) -> str:
    """A module whose one declared table is called *name*."""
    (project.folder / f"{name}.py").write_text(MODEL.replace('"events"', f'"{name}"'))
    return name


def table_planned_by(project: Project, *arguments: str, **environment: str | None) -> str:
    """The declared table that the command took: it is not in the database, which status says."""
    ended = project.run("status", "--json", *arguments, **environment)
    assert 0 == ended.code, ended.err
    (table,) = ended.json["tables"]
    return str(table["table"]).removeprefix("public.")


def test_metadata_is_looked_for_in_order(project: Project) -> None:
    """Each source is tried with all weaker ones present."""
    env_py(project, "generic", other_model(project, "from_env_py"))
    assert "from_env_py" == table_planned_by(project, SA_PARTMAN_METADATA=None)

    with (project.folder / "pyproject.toml").open("a") as file:
        file.write(f'\n[tool.sa-partman]\nmetadata = "{other_model(project, "from_toml")}:Base"\n')
    assert "from_toml" == table_planned_by(project, SA_PARTMAN_METADATA=None)

    variable = other_model(project, "from_variable")
    assert "from_variable" == table_planned_by(project, SA_PARTMAN_METADATA=variable)

    option = other_model(project, "from_option")
    assert "from_option" == table_planned_by(project, "--metadata", f"{option}:Base.metadata")


def test_the_url_is_looked_for_in_order(project: Project) -> None:
    """Each weaker source names a server that does not answer."""
    url = project.url
    unset: dict[str, str | None] = {"SA_PARTMAN_DATABASE_URL": None}
    env_py(project, "generic", "models", url)
    assert 0 == project.run("status", **unset).code

    env_py(project, "generic", "models", BROKEN, again=True)
    assert 3 == project.run("status", **unset).code
    toml = project.folder / "pyproject.toml"
    toml.write_text(f'[tool.sa-partman]\nurl = "{url}"\n')
    assert 0 == project.run("status", **unset).code

    toml.write_text(f'[tool.sa-partman]\nurl = "{BROKEN}"\n')
    assert 0 == project.run("status", **unset, DATABASE_URL=url).code
    assert 3 == project.run("status", **unset, DATABASE_URL=BROKEN).code
    assert 0 == project.run("status", SA_PARTMAN_DATABASE_URL=url, DATABASE_URL=BROKEN).code
    assert 0 == project.run("status", "--url", url, SA_PARTMAN_DATABASE_URL=BROKEN).code


def env_py(project: Project, template: str, model: str, url: str | None = None, *, again: bool = False) -> None:
    """An Alembic project, as ``alembic init`` makes it and its documentation says to fill it in."""
    folder = project.folder
    if not again:
        assert 0 == forked("alembic", ["init", "-t", template, "migrations"], folder, os.environ)[0]
        env = folder / "migrations" / "env.py"
        wanted = f"from {model} import Base\ntarget_metadata = Base.metadata\nprint('hello from env.py')\n"
        env.write_text(env.read_text().replace("target_metadata = None\n", wanted))
    ini = folder / "alembic.ini"
    said = (url or project.url).replace("%", "%%")
    lines = [
        f"sqlalchemy.url = {said}" if line.startswith("sqlalchemy.url") else line
        for line in ini.read_text().splitlines()
    ]
    ini.write_text("\n".join(lines))


@pytest.mark.parametrize("template", TEMPLATES)
def test_an_alembic_project_needs_no_configuration(events: Project, engine: Engine, template: str) -> None:
    """Of each of Alembic's templates. Nothing is written, and what env.py prints is not ours."""
    driver = "postgresql+asyncpg" if template.endswith("async") else "postgresql"
    url = make_url(events.url).set(drivername=driver).render_as_string(hide_password=False)
    env_py(events, template, "models", url)
    ended = events.run("status", "--at", AT, SA_PARTMAN_METADATA=None, SA_PARTMAN_DATABASE_URL=None)

    assert (0, "") == (ended.code, ended.err)
    assert ended.out.startswith("public.events  RANGE (created_at)   3 partitions")
    assert not inspect(engine).has_table("alembic_version")


def test_verbose_lets_env_py_print(events: Project) -> None:
    env_py(events, "generic", "models")
    ended = events.run("plan", "-v", "--at", AT, SA_PARTMAN_METADATA=None)

    assert "Nothing to do.\n" == ended.out
    assert "hello from env.py" in ended.err


def test_env_py_is_found_from_elsewhere(events: Project, tmp_path: Path) -> None:
    """By --config or ALEMBIC_CONFIG."""
    env_py(events, "generic", "models")
    elsewhere = Project(tmp_path / "elsewhere", events.url, {})
    elsewhere.folder.mkdir()
    ini = str(events.folder / "alembic.ini")
    said = events.folder / "alembic.ini"
    text = said.read_text().replace("prepend_sys_path = .", f"prepend_sys_path = {events.folder}")
    # Relative to the working directory in older templates.
    said.write_text(text.replace("script_location = migrations", "script_location = %(here)s/migrations"))

    assert 0 == elsewhere.run("plan", "--at", AT, "-c", ini).code
    assert 0 == elsewhere.run("plan", "--at", AT, ALEMBIC_CONFIG=ini).code


def test_a_placeholder_url_in_alembic_ini_does_not_matter_when_another_is_given(events: Project) -> None:
    env_py(events, "generic", "models", "driver://user:pass@localhost/dbname")

    assert 0 == events.run("plan", "--at", AT, SA_PARTMAN_METADATA=None).code


def test_an_env_py_without_an_offline_half_is_asked_online(events: Project, engine: Engine) -> None:
    env_py(events, "generic", "models")
    env = events.folder / "migrations" / "env.py"
    env.write_text(env.read_text().replace("    run_migrations_offline()\n", "    raise NotImplementedError\n"))
    ended = events.run("plan", "--at", AT, SA_PARTMAN_METADATA=None, SA_PARTMAN_DATABASE_URL=None)

    assert (0, "Nothing to do.\n") == (ended.code, ended.out)
    assert not inspect(engine).has_table("alembic_version")


def test_an_env_py_that_fails_is_one_line(project: Project) -> None:
    env_py(project, "generic", "no_such_module")
    ended = project.run("plan", SA_PARTMAN_METADATA=None)

    assert 2 == ended.code
    assert "Error: alembic.ini: its env.py failed: ModuleNotFoundError: No module named 'no_such_module'" in ended.err
    assert 1 == len(ended.err.splitlines())


def test_when_nothing_is_found_everything_that_was_tried_is_named(project: Project) -> None:
    without_metadata = project.run("plan", SA_PARTMAN_METADATA=None)
    without_url = project.run("plan", SA_PARTMAN_DATABASE_URL=None)

    assert (2, 2) == (without_metadata.code, without_url.code)
    for tried in ("--metadata", "SA_PARTMAN_METADATA", "[tool.sa-partman] metadata", "Alembic's env.py"):
        assert tried in without_metadata.err
    for tried in ("--url", "SA_PARTMAN_DATABASE_URL", "DATABASE_URL", "[tool.sa-partman] url", "Alembic's env.py"):
        assert tried in without_url.err


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("[tool.sa-partman]\nmeta = 'models'", "[tool.sa-partman] knows metadata and url, not 'meta'"),
        ("[tool.sa-partman]\nmetadata = 1", "[tool.sa-partman] metadata is a text, not 1"),
        ("[tool.sa-partman", "pyproject.toml: "),
    ],
)
def test_a_wrong_pyproject_is_one_line(project: Project, lines: str, said: str) -> None:
    (project.folder / "pyproject.toml").write_text(lines)
    ended = project.run("plan", SA_PARTMAN_METADATA=None)

    assert 2 == ended.code
    assert said in ended.err
    assert 1 == len(ended.err.splitlines())


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg_async"])
def test_every_spelling_of_the_url_works(events: Project, scheme: str) -> None:
    url = make_url(events.url).set(drivername=scheme).render_as_string(hide_password=False)

    assert 0 == events.run("plan", "--at", AT, "--url", url).code


@pytest.mark.parametrize(
    "target",
    ["models", "models:Base", "models:Base.metadata", "several:both", "several:db", "several:SQLModel"],
)
def test_everything_that_has_a_metadata_is_taken(events: Project, target: str) -> None:
    (events.folder / "several.py").write_text(
        "from sqlalchemy import MetaData\n"
        "from sqlmodel import SQLModel\n"
        "from models import Base\n"
        "both = [MetaData(), Base]\n"
        "class db:\n"
        "    metadata = Base.metadata\n"
        "Base.metadata.tables['events'].to_metadata(SQLModel.metadata)\n"
    )
    assert 0 == events.run("plan", "--at", AT, "--metadata", target).code


def test_a_metadata_without_a_declaration_is_no_success(events: Project) -> None:
    """Else a job whose models nobody imports would say "nothing to do" until inserts fail."""
    (events.folder / "bare.py").write_text(
        "from sqlalchemy import MetaData, Table\nempty, metadata = MetaData(), MetaData()\nTable('orders', metadata)\n"
    )
    for target, has in (("bare:metadata", "it has orders"), ("bare:empty", "it has no table")):
        for command in (("check",), ("run", "--yes"), ("status",)):
            ended = events.run(*command, "--metadata", target)

            assert (2, "") == (ended.code, ended.out)
            assert f"no table of the metadata is declared as partitioned ({has}); nothing was done." in ended.err


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("models.Base", "an attribute stands after a colon: models:Base"),
        ("./models.py", "'./models.py' is no module's name; write package.module:Base"),
        (":Base", "'' is no module's name; write package.module:Base"),
    ],
)
def test_a_target_that_is_nearly_right(events: Project, target: str, said: str) -> None:
    ended = events.run("check", "--metadata", target)

    assert 2 == ended.code
    assert said in ended.err
