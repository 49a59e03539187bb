"""A Flask-Migrate project is found as other Alembic projects are."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from sa_partman.cli.discovery.find import Discovery
from sa_partman.errors import ConfigurationError
from tests.support.command import Ended
from tests.support.warm import forked

pytestmark = pytest.mark.once

APP = """
import os
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_migrate import Migrate
from sa_partman import PartitionByRange

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["SHOP_URL"]
OTHERS
db = SQLAlchemy(app)
Migrate(app, db)

class Event(db.Model):
    __tablename__ = "events"
    __partition__ = PartitionByRange("at", interval="1 month", premake=1)
    id = db.Column(db.BigInteger, db.Identity(), primary_key=True)
    at = db.Column(db.DateTime(timezone=True), primary_key=True)
"""


def run(folder: Path, url: str, module: str, *arguments: str) -> Ended:
    environment = {**os.environ, "SHOP_URL": url, "NO_COLOR": "1"}
    for name in ("DATABASE_URL", "SA_PARTMAN_DATABASE_URL"):
        environment.pop(name, None)
    return Ended(*forked(module, arguments, folder, environment))


@pytest.mark.parametrize("several", [False, True], ids=["one database", "several"])
def test_a_flask_migrate_project(tmp_path: Path, database_url: str, several: bool) -> None:
    pytest.importorskip("flask_migrate")
    pytest.importorskip("flask_sqlalchemy")
    others = f'app.config["SQLALCHEMY_BINDS"] = {{"other": "sqlite:///{tmp_path}/other.db"}}' if several else ""
    (tmp_path / "app.py").write_text(APP.replace("OTHERS", others))
    assert 0 == run(tmp_path, database_url, "flask", "db", "init", *(["--multidb"] if several else [])).code
    env = tmp_path / "migrations" / "env.py"
    env.write_text(f"import alembic_ext.autogenerate\n{env.read_text()}")
    assert 0 == run(tmp_path, database_url, "flask", "db", "migrate").code
    upgraded = run(tmp_path, database_url, "flask", "db", "upgrade")
    assert 0 == upgraded.code, upgraded.err

    status = run(tmp_path, database_url, "sa_partman", "status")

    assert 0 == status.code, status.err
    assert "events" in status.out


@pytest.mark.parametrize("asked", ["metadata", "url"])
def test_without_flask_migrate_its_project_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    """It is installed elsewhere, or not at all."""
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "alembic.ini").write_text("[alembic]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "flask_migrate", None)
    for name in ("DATABASE_URL", "SA_PARTMAN_DATABASE_URL", "SA_PARTMAN_METADATA", "ALEMBIC_CONFIG"):
        monkeypatch.delenv(name, raising=False)

    with pytest.raises(ConfigurationError, match=r"migrations/alembic.ini \(a project of Flask-Migrate, which is not"):
        getattr(Discovery(None, None, None), asked)()
