"""The project of the demonstration: an Alembic project such as ``alembic init`` makes, on one model."""

from __future__ import annotations

from pathlib import Path

ENV_LINES = """\
import alembic_ext.autogenerate
from models import Base

target_metadata = Base.metadata
"""


class DemoProject:
    """
    Args:
        folder: Empty at first.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write_model(self, text: str) -> None:
        (self.folder / "models.py").write_text(text, encoding="utf-8")

    def set_up(self, url: str) -> None:
        """What a user does after ``alembic init``: name the database, and the models."""
        ini, env = self.folder / "alembic.ini", self.folder / "migrations" / "env.py"
        _replace(ini, "sqlalchemy.url = driver://user:pass@localhost/dbname", f"sqlalchemy.url = {_escaped(url)}")
        _replace(env, "target_metadata = None\n", ENV_LINES)

    def migration(self) -> str:
        """The body of the last migration."""
        file = max((self.folder / "migrations" / "versions").glob("*.py"), key=lambda each: each.stat().st_mtime_ns)
        text = file.read_text(encoding="utf-8")
        return text[text.index("def upgrade()") :]


def _escaped(url: str) -> str:
    """The file is read with ``%`` for interpolation."""
    return url.replace("%", "%%")


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    if text.count(old) != 1:
        raise RuntimeError(f"{file}: Alembic writes another template here: there is no line {old.strip()!r}")
    file.write_text(text.replace(old, new), encoding="utf-8")
