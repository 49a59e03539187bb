"""A user's project in a folder of its own, and the command run in it as a process of its own."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.support.command import Project


@pytest.fixture
def project(tmp_path: Path, database_url: str) -> Project:
    """Its model is `tests.support.command.MODEL`, its database is empty; both are named in its environment."""
    return Project.new(tmp_path, database_url)


@pytest.fixture
def events(project: Project, engine: Engine) -> Project:
    """The same, with the tables made on 15 June 2030."""
    with engine.begin() as connection:
        project.create(connection)
    return project
