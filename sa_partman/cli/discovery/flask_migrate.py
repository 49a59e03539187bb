"""A Flask-Migrate project: its alembic.ini lies in ``migrations/``, and its env.py needs the application's context."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alembic.config import Config

INI = Path("migrations/alembic.ini")


def flask_config() -> Config | None:
    """Alembic's configuration as ``flask db`` has it; None when there is no such project here."""
    if not INI.is_file() or find_spec("flask_migrate") is None:
        return None
    from alembic.config import Config

    config = Config(str(INI))
    if not config.get_main_option("script_location"):
        config.set_main_option("script_location", str(INI.parent))
    return config


def application() -> AbstractContextManager[Any]:
    """The context of the application that ``flask`` finds too: FLASK_APP, or app.py or wsgi.py here."""
    from flask.cli import ScriptInfo  # pyright: ignore[reportMissingImports]

    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    context: AbstractContextManager[Any] = ScriptInfo().load_app().app_context()
    return context
