"""The examples run as they stand."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import COMMAND, ROOT

EXAMPLES = ROOT / "examples"
PROGRAMS = {"alembic": (sys.executable, "-m", "alembic"), "sa-partman": COMMAND}


def run(command: tuple[str, ...], folder: Path, url: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SA_PARTMAN_")}
    environment = {**kept, "DATABASE_URL": url, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_a_maintenance_job_inside_an_application(database_url: str, tmp_path: Path) -> None:
    for rows in (2, 4):
        done = run((sys.executable, str(EXAMPLES / "01_monthly_events.py")), tmp_path, database_url)

        assert 0 == done.returncode
        assert re.fullmatch(r"run \w{8}: 0 of 0 steps done, \d\.\d+ s\n", done.stderr)
        assert [f"{rows} events", "all is well"] == done.stdout.splitlines()[:2]
        assert "public.events takes rows up to" in done.stdout


@pytest.fixture
def alembic_project(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EXAMPLES / "02_alembic_project", tmp_path / "project"))


def test_an_alembic_project_by_its_readme(alembic_project: Path, database_url: str) -> None:
    (commands,) = re.findall(r"```sh\n(.*?)```", (alembic_project / "README.md").read_text(), re.DOTALL)
    shown = {}
    for command in commands.splitlines():
        program, *arguments = shlex.split(command)
        done = run((*PROGRAMS[program], *arguments), alembic_project, database_url)
        shown[command] = done.stdout

        assert 0 == done.returncode, (command, done.stdout, done.stderr)

    assert "No new upgrade operations detected." in shown["alembic check"]
    assert "Nothing to do." in shown["sa-partman plan"]
    assert "public.orders_eu" in shown["sa-partman status"]
    assert "No problems." in shown["sa-partman check"]
    assert len(shown) == len(commands.splitlines()) > 5


def test_its_migration_is_what_autogenerate_writes(alembic_project: Path, database_url: str) -> None:
    """But for the formatting."""
    versions = alembic_project / "migrations" / "versions"
    (kept,) = versions.glob("*.py")
    wanted = operations(kept.read_text())
    kept.unlink()
    arguments = ("revision", "--autogenerate", "-m", "events and orders", "--rev-id", "0001")
    done = run((*PROGRAMS["alembic"], *arguments), alembic_project, database_url)

    assert 0 == done.returncode, done.stderr
    assert wanted == operations((versions / kept.name).read_text())


def operations(migration: str) -> str:
    """What it does, without what a formatter changes."""
    body = migration[migration.index("def upgrade()") :].replace('"', "'")
    return re.sub(r",(?=[)\]}])", "", re.sub(r"\s+", "", body))
