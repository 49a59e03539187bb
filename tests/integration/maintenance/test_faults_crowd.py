"""Many maintainers at once: every partition is made once, and nobody who comes second is told of an error."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.support.command import Ended, Project
from tests.support.database import sql
from tests.support.processes import started
from tests.support.warm import become

TABLES = 50
CROWD = 8
AT = "2030-06-15"
BUSY = r"Error: another maintainer( \(pid .*\))? is at work in this database; nothing was changed, try later\n"
MODELS = f"""\
from sqlalchemy import BigInteger, Column, DateTime, MetaData, Table
from sa_partman import PartitionByRange

metadata = MetaData()
for number in range({TABLES}):
    Table(
        f"t{{number}}",
        metadata,
        Column("id", BigInteger),
        Column("created_at", DateTime(timezone=True), nullable=False),
        PartitionByRange("created_at", interval="1 day", premake=2),
    )
"""


@pytest.fixture
def project(tmp_path: Path, engine: Engine, database_url: str) -> Project:
    """Fifty partitioned tables without a partition."""
    project = Project.new(tmp_path, database_url)
    (tmp_path / "models.py").write_text(MODELS)
    with engine.begin() as connection:
        for number in range(TABLES):
            connection.exec_driver_sql(
                f"CREATE TABLE t{number} (id bigint, created_at timestamptz NOT NULL) PARTITION BY RANGE (created_at)"
            )
    return project


@pytest.mark.timeout(300)
def test_eight_commands_at_once_on_fifty_tables(project: Project, engine: Engine) -> None:
    """One of them does it all; the others say that one is at work and end with 4, or come when all is done."""
    codes, made = _crowd(project)
    for _ in range(3):
        codes += _crowd(project, 1)[0]

    assert {0, 4} == set(codes)
    assert 3 * TABLES == len(made) == len(set(made))
    assert _partitions(engine) == sorted(made)
    assert 0 == project.run("plan", "--at", AT).code


def _crowd(project: Project, size: int = CROWD) -> tuple[list[int], list[str]]:
    """The exit codes of commands that run at the same time, and the partitions that they say they made."""
    arguments = ["run", "--yes", "--json", "--at", AT]
    streams = [
        [os.devnull, str(project.folder / f"out{each}"), str(project.folder / f"err{each}")] for each in range(size)
    ]
    environment = {**os.environ, **project.environment}
    children = [started(become, "sa_partman", arguments, str(project.folder), environment, each) for each in streams]
    for child in children:
        child.join(120)
    ended = [
        Ended(child.exitcode if child.exitcode is not None else -1, Path(out).read_text(), Path(err).read_text())
        for child, (_, out, err) in zip(children, streams, strict=True)
    ]
    for each in ended:
        assert re.fullmatch(BUSY if each.code == 4 else "", each.err), each.err
    steps = [step for each in ended if each.code == 0 for step in each.json["steps"]]
    assert {"done"} >= {step["outcome"] for step in steps}
    return [each.code for each in ended], [step["partition"] for step in steps]


def _partitions(engine: Engine) -> list[str]:
    found = sql(
        engine,
        "SELECT n.nspname || '.' || c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r'",
    )
    return sorted(row[0] for row in found)
