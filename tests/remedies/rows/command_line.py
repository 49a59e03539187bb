"""Where the command line finds the models and the database, and which options it refuses."""

from __future__ import annotations

import os
import sys
from unittest.mock import patch

from sqlalchemy import create_engine

from sa_partman import Maintainer
from sa_partman.cli.opening import _require_driver
from tests.remedies.row import Box, Meant, Models, Row, Step
from tests.remedies.rows.models import EVENTS

STATUS = "sa-partman status"


def without(*names: str) -> Step:
    """Those variables are not set."""
    return lambda box: box.environment.update(dict.fromkeys(names, ""))


def named(option: str) -> Step:
    """What is there, said by an option."""

    def run(box: Box) -> str:
        values = {"--metadata": f"{box.module}:Base", "--url": box.url}
        return box.do(f"{STATUS} {' '.join(f'{each} {values[each]}' for each in option.split())}")

    return run


def models(name: str) -> Step:
    """``--metadata`` with *name*, in which ``models`` is the row's module."""
    return lambda box: box.do(f"{STATUS} --metadata {name.replace('models', box.module)}")


def file(name: str, text: str) -> Step:
    def write(box: Box) -> None:
        (box.folder / name).parent.mkdir(exist_ok=True)
        (box.folder / name).write_text(text)

    return write


def project(text: str) -> Step:
    return file("pyproject.toml", f"[tool.sa-partman]\n{text}\n")


FOUND = (
    Row(
        "no metadata found; tried --metadata (not given), SA_PARTMAN_METADATA (not set), [tool.sa-partman] metadata in "
        "pyproject.toml (not there), Alembic's env.py (no alembic.ini in …). Name it with --metadata "
        "package.module:Base",
        (named("--metadata"), models("models")),
        EVENTS,
        (without("SA_PARTMAN_METADATA"),),
        STATUS,
        None,
    ),
    Row(
        "no database URL found; tried --url (not given), SA_PARTMAN_DATABASE_URL and DATABASE_URL (not set), "
        "[tool.sa-partman] url in pyproject.toml (not there), Alembic's env.py (no alembic.ini in …). Name it with --url "
        "postgresql://user@host/database",
        (named("--url"),),
        EVENTS,
        (without("SA_PARTMAN_DATABASE_URL", "DATABASE_URL"),),
        STATUS,
        None,
    ),
    Row(
        "alembic.ini: its env.py failed: ZeroDivisionError: division by zero; give --metadata and --url to do without it",
        (named("--metadata --url"),),
        EVENTS,
        (
            file("alembic.ini", "[alembic]\nscript_location = migrations\n"),
            file("migrations/env.py", "1 / 0"),
            without("SA_PARTMAN_METADATA"),
        ),
        STATUS,
        None,
    ),
    Row(
        "--config=nowhere.ini: there is no such file",
        (named("--metadata --url"),),
        EVENTS,
        (without("SA_PARTMAN_METADATA"),),
        f"{STATUS} --config nowhere.ini",
        None,
    ),
    Row(
        "--metadata=src/models.py: 'src/models' is no module's name; write package.module:Base, no path".replace(
            "src/models'", "src/models.py'"
        ),
        (models("models:Base"),),
        EVENTS,
        attempt=f"{STATUS} --metadata src/models.py",
        again=None,
    ),
    Row(
        "--metadata=nowhere: there is no module nowhere in … or installed",
        (models("models"),),
        EVENTS,
        attempt=f"{STATUS} --metadata nowhere",
        again=None,
    ),
    Row(
        "--metadata=remedies_models_….Base: there is no module remedies_models_….Base in … or installed; an attribute "
        "stands after a colon: remedies_models_…:Base",
        (models("models:Base"),),
        EVENTS,
        attempt=models("models.Base"),
        again=None,
    ),
    Row(
        "--metadata=remedies_models_…:Nothing: the module remedies_models_… has no Nothing",
        (models("models:Base"),),
        EVENTS,
        attempt=models("models:Nothing"),
        again=None,
    ),
    Row(
        "--metadata=remedies_models_…:Text: Text is neither a MetaData, a declarative Base, nor anything with .metadata",
        (models("models:Base"), models("models:metadata")),
        EVENTS,
        attempt=models("models:Text"),
        again=None,
    ),
    Row(
        "--metadata=broken: importing broken failed: ZeroDivisionError: division by zero",
        ((file("broken.py", "from sqlalchemy import MetaData\nmetadata = MetaData()"), models("models")),),
        EVENTS,
        (file("broken.py", "1 / 0"),),
        f"{STATUS} --metadata broken",
        None,
    ),
    Row(
        "pyproject.toml: [tool.sa-partman] knows metadata and url, not 'models'",
        ((project("metadata = 'models'"), named("--metadata")),),
        EVENTS,
        (project("models = 'models'"), without("SA_PARTMAN_METADATA")),
        STATUS,
        None,
    ),
    Row(
        "pyproject.toml: [tool.sa-partman] metadata is a text, not 7",
        ((project("metadata = 'models'"), named("--metadata")),),
        EVENTS,
        (project("metadata = 7"), without("SA_PARTMAN_METADATA")),
        STATUS,
        None,
    ),
    Row(
        "--url: that is no database URL; write postgresql://user@host/database",
        (named("--url"),),
        EVENTS,
        attempt=f"{STATUS} --url database",
        again=None,
    ),
    Row(
        "--url: sqlite is not PostgreSQL; only PostgreSQL has partitions to maintain",
        (named("--url"),),
        EVENTS,
        attempt=f"{STATUS} --url sqlite://",
        again=None,
    ),
    Row(
        "sqlite is not PostgreSQL; only PostgreSQL has partitions to maintain",
        (lambda box: box.maintainer().check(),),
        EVENTS,
        attempt=lambda box: Maintainer(create_engine("sqlite://"), box.metadata).check(),
        again=None,
    ),
    Row(
        "no table of the metadata is declared as partitioned (it has users); nothing was done. Name a module that "
        "imports your models, and set __partition__ on one of them",
        (Models(EVENTS),),
        "Table('users', metadata, Column('id', Integer))",
        attempt=STATUS,
        again=STATUS,
    ),
    Row(
        "--at='tomorrow' is no time; write it as 2030-01-31, or 2030-01-31T13:00:00+01:00 (no offset means UTC)",
        (Meant(f"{STATUS} --at 2030-01-31"), Meant(f"{STATUS} --at 2030-01-31T13:00:00+01:00")),
        EVENTS,
        attempt=f"{STATUS} --at tomorrow",
        again=None,
    ),
)


def unimportable(module: str, attempt: Step) -> Step:
    """As on a machine where it is not installed, or finds no library."""

    def run(box: Box) -> str:
        with patch.dict(sys.modules, {module: None}):
            return box.do(attempt)

    return run


def without_libpq(box: Box) -> None:
    """As psycopg is imported for the first time, and no implementation of it works."""
    fresh = {name: module for name, module in sys.modules.items() if name.partition(".")[0] != "psycopg"}
    with patch.dict(sys.modules, fresh, clear=True), patch.dict(os.environ, PSYCOPG_IMPL="none"):
        _require_driver()


DRIVERS = (
    Row(
        "psycopg finds no libpq on this machine; install it with: pip install 'sa-partman[binary]'",
        (lambda box: _require_driver(),),
        attempt=without_libpq,
        again=None,
        server=False,
    ),
    Row(
        "psycopg is not installed; install it with: pip install 'sa-partman[binary]'",
        (lambda box: _require_driver(),),
        attempt=unimportable("psycopg", lambda box: _require_driver()),
        again=None,
        server=False,
    ),
)

COMMAND_LINE: tuple[Row, ...] = (*FOUND, *DRIVERS)
