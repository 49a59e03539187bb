"""
The suites of Alembic and SQLAlchemy themselves, from their sdists, on PostgreSQL 15 and the newest: without us, with us
installed, and with us imported. What fails must be the same each time. ``nox -s host`` runs it.

A suite fails here and there for reasons of its own, a tool that it lacks for example: sets are compared, not zeros.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import psycopg

from sa_partman.throwaway import Server, find

PROJECT = Path(__file__).parents[2]
OURS = "sa-partman"
TOOLS = ("pytest>8,<10", "pytest-timeout", "psycopg[binary]", "greenlet", "click", "tzdata", "black", "zimports")
BUILD = ("setuptools>=77", "cython>=3")
"""Without them pip can't tell that a sdist is the one it looks for."""

PLAIN, INSTALLED, IMPORTED = "without us", "installed", "imported"


@dataclass(frozen=True, slots=True)
class Suite:
    """
    Args:
        project: Its name on PyPI.
        tests: Below the sdist.
        imported: What a project of ours imports of us.
    """

    project: str
    tests: tuple[str, ...]
    imported: str


ALEMBIC = Suite("alembic", ("tests",), "alembic_ext.autogenerate")
SQLALCHEMY = Suite(
    "sqlalchemy",
    (
        "test/sql/test_metadata.py",
        "test/engine/test_reflection.py",
        "test/dialect/postgresql/test_reflection.py",
        "test/orm/declarative",
    ),
    "sa_partman",
)


@dataclass(frozen=True, slots=True)
class Host:
    """An environment of its own, and the sdists that are tested in it."""

    folder: Path

    @property
    def python(self) -> str:
        return str(self.folder / "venv" / "bin" / "python")

    def make(self) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(self.folder / "venv")], check=True)
        self._pip("install", *TOOLS, *BUILD, ALEMBIC.project, SQLALCHEMY.project)

    def install_ours(self) -> None:
        self._pip("install", "--no-deps", str(PROJECT))
        loaded = self._said("import alembic, sys; print('alembic_ext.plugin' in sys.modules)")
        assert "True" == loaded, "Alembic does not load our entry point: there is nothing to compare"

    def sources(self, suite: Suite) -> Path:
        """The sdist of the release that is installed, unpacked."""
        version = self._said(f"import {suite.project}; print({suite.project}.__version__)")
        unpacked = self.folder / f"{suite.project}-{version}"
        if not unpacked.exists():
            wanted = f"{suite.project}=={version}"
            self._pip("download", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", "-d", ".", wanted)
            with tarfile.open(self.folder / f"{unpacked.name}.tar.gz") as archive:
                archive.extractall(self.folder, filter="data")
        return unpacked

    def verdicts(self, suite: Suite, url: str, imported: bool) -> dict[str, str]:
        """Each test's name, and how it ended."""
        report = self.folder / "report.xml"
        report.unlink(missing_ok=True)
        # -s: SQLAlchemy's suite then tests what is installed, not its sources.
        command = [self.python, "-s", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", "60"]
        command += ["--maxfail", "1000", "--dburi", url, "--junit-xml", str(report)]
        command += ["-p", suite.imported] if imported else []
        subprocess.run([*command, *suite.tests], cwd=self.sources(suite), stdout=subprocess.DEVNULL, check=False)
        return dict(_verdicts(report))

    def _pip(self, *arguments: str) -> None:
        command = [self.python, "-m", "pip", *arguments, "--quiet"]
        subprocess.run(command, cwd=self.folder, check=True, env={**os.environ, "DISABLE_SQLALCHEMY_CEXT": "1"})

    def _said(self, code: str) -> str:
        command = [self.python, "-c", code]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _verdicts(report: Path) -> Iterator[tuple[str, str]]:
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        worse = [kind for kind in ("error", "failure", "skipped") if case.find(kind) is not None]
        yield name, worse[0] if worse else "passed"


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What ended otherwise, or is not there any more."""
    return [
        f"{name}: {before.get(name, 'not there')} -> {after.get(name, 'not there')}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def database(server: Server, name: str) -> str:
    """A fresh database, as both suites want it."""
    with psycopg.connect(server.uri(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}")
        connection.execute(f"CREATE DATABASE {name}")
    with psycopg.connect(server.uri(name), autocommit=True) as connection:
        connection.execute("CREATE SCHEMA test_schema")
        connection.execute("CREATE SCHEMA test_schema_2")
    return server.url(name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="for the environment and the sdists; kept for the next time")
    parser.add_argument("--pg", default="15,18", help="major versions")
    options = parser.parse_args()
    host = Host(options.folder.resolve())
    host.folder.mkdir(parents=True, exist_ok=True)
    host.make()
    servers = [Server.start(find(int(major))) for major in options.pg.split(",")]
    try:
        return compare(host, servers)
    finally:
        for server in servers:
            server.stop()


def compare(host: Host, servers: list[Server]) -> int:
    """1 if something ended otherwise with us than without."""
    runs = [(server, suite) for server in servers for suite in (ALEMBIC, SQLALCHEMY)]
    before = {index: run(host, *each, PLAIN) for index, each in enumerate(runs)}
    host.install_ours()
    wrong = 0
    for way in (INSTALLED, IMPORTED):
        for index, each in enumerate(runs):
            for line in differences(before[index], run(host, *each, way)):
                print(f"    {line}", flush=True)
                wrong += 1
    print(f"{wrong} tests of theirs end otherwise with {OURS}")
    return 1 if wrong else 0


def run(host: Host, server: Server, suite: Suite, way: str) -> dict[str, str]:
    url = database(server, "host")
    found = host.verdicts(suite, url, imported=way == IMPORTED)
    counted = {kind: list(found.values()).count(kind) for kind in sorted(set(found.values()))}
    print(f"{suite.project} on {server.binaries}, {way}: {counted}", flush=True)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
