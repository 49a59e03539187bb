"""A project on a fresh database."""

from pathlib import Path

import pytest

from tests.migrations.project import Project


@pytest.fixture
def project(tmp_path: Path, database_url: str) -> Project:
    return Project(tmp_path, database_url)
