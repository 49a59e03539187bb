"""What the README says is what happens: its example is run, its commands are, and its links lead somewhere."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import COMMAND, ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAMS = {"python": (sys.executable,), "sa-partman": COMMAND}


def blocks(marker: str) -> list[str]:
    """The code blocks behind ``<!-- marker -->``."""
    return re.findall(rf"<!-- {re.escape(marker)} -->\n```\w+\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (example,) = blocks("run: events.py")
    (tmp_path / "events.py").write_text(example, encoding="utf-8")
    return tmp_path


def test_the_first_example_and_its_commands_work(folder: Path, database_url: str) -> None:
    (commands,) = blocks("run")
    shown = {command: run(command, folder, database_url) for command in commands.splitlines()}

    assert "nothing to do" == shown["python events.py"].strip()
    assert "events_p2" in shown["sa-partman status --metadata events:Base"]
    assert re.search(r"\d+ partitions will be created, \d dropped", "".join(shown.values()))
    assert "No problems." in shown["sa-partman check --metadata events:Base"]


def run(command: str, folder: Path, url: str) -> str:
    program, *arguments = shlex.split(command)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SA_PARTMAN_")}
    done = subprocess.run(
        [*PROGRAMS[program], *arguments],
        cwd=folder,
        env={**kept, "DATABASE_URL": url, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr), command
    return done.stdout


def test_the_first_example_is_short(folder: Path) -> None:
    assert len((folder / "events.py").read_text().splitlines()) <= 40


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)

    assert links
    assert [] == [link for link in links if "://" not in link and not (ROOT / link).exists()]


def test_every_command_and_every_exit_code_is_in_the_readme() -> None:
    from sa_partman.cli import failures
    from sa_partman.cli.main import COMMANDS

    for command in COMMANDS:
        assert re.search(rf"`sa-partman {command}[ `]", README), command
    for code in (0, failures.PENDING, failures.USAGE, failures.FAILED, failures.BUSY):
        assert f"\n| {code} | " in README


@pytest.mark.parametrize("session", ["demo", "tests"])
def test_the_two_commands_name_sessions_that_exist(session: str) -> None:
    assert f"pip install nox && nox -s {session}\n" in README
    assert f"\ndef {session}(session: nox.Session)" in (ROOT / "noxfile.py").read_text()
