"""
The project's own Alembic env.py, also that of Flask-Migrate, asked for its metadata and its URL. No migration is run
and nothing is written.
"""

from __future__ import annotations

import io
import logging.config
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass, field
from fnmatch import fnmatch
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from sqlalchemy import URL

from sa_partman.cli.discovery.objects import Found, metadata_of
from sa_partman.cli.discovery.project import read_tool
from sa_partman.cli.discovery.url import URLS, usable
from sa_partman.errors import ConfigurationError, PartmanError
from sa_partman.passwords import passwords_in, without_passwords

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


OFFLINE, ONLINE = True, False
LINE, PLUGIN = "alembic_ext.autogenerate", "sa_partman.alembic_ext"
"""What tells autogenerate of declarations: a module to import, or a plugin to name."""


@dataclass(slots=True)
class Heard:
    """What env.py said to ``context.configure()`` in one run, and how the run failed."""

    metadata: Found | None = None
    url: URL | None = field(default=None, repr=False)
    error: BaseException | None = None
    plugins: tuple[str, ...] = ()


@dataclass
class EnvPy:
    """
    Args:
        config: Alembic's configuration.
        file: Its file, for messages.
        verbose: Let env.py print, on stderr.
        context: What env.py is run in.
    """

    config: Config
    file: str
    verbose: bool
    context: Callable[[], AbstractContextManager[Any]] = nullcontext
    _heard: dict[bool, Heard] = field(default_factory=dict)

    def metadata(self) -> Found | None:
        """
        None when it says ``target_metadata = None``.

        Raises:
            ConfigurationError: env.py fails before it says anything.
        """
        found: Found | None = self._first(lambda heard: heard.metadata)
        return found

    def url(self) -> URL | None:
        """
        None when it names no PostgreSQL.

        Raises:
            ConfigurationError: env.py fails before it says anything.
        """
        found: URL | None = self._first(lambda heard: heard.url)
        return found

    @property
    def was_run(self) -> bool:
        return bool(self._heard)

    def ignorant(self) -> Path | None:
        """
        The env.py itself when autogenerate does not know there what is declared: nothing in it imports
        ``alembic_ext.autogenerate``, and ``autogenerate_plugins`` does not name us. None when it does, or when the
        file can't be run.
        """
        from alembic.script import ScriptDirectory

        heard = self._ask(OFFLINE)
        named = any(fnmatch(PLUGIN, pattern) for pattern in heard.plugins)
        if named or LINE in sys.modules or (heard.error is not None and heard.metadata is None):
            return None
        return Path(ScriptDirectory.from_config(self.config).env_py_location)

    def _first(self, wanted: Callable[[Heard], Any]) -> Any:
        for way in (OFFLINE, ONLINE):
            found = wanted(self._ask(way))
            if found is not None:
                return found
        failed = self._heard[OFFLINE].error or self._heard[ONLINE].error
        if failed is None:
            return None
        said = str(failed) if isinstance(failed, PartmanError) else f"{type(failed).__name__}: {self._line(failed)}"
        raise ConfigurationError(
            f"{self.file}: its env.py failed: {said}; give --metadata and --url to do without it"
        ) from failed

    def _line(self, error: BaseException) -> str:
        """Whoever parses a URL may name a part of its password that he takes for the host or the port."""
        urls = (self.config.get_main_option("sqlalchemy.url"), *(os.environ.get(name) for name in URLS))
        return without_passwords(_line(error), (each for url in urls if url for each in passwords_in(url)))

    def _ask(self, way: bool) -> Heard:
        if way not in self._heard:
            self._heard[way] = Heard()
            try:
                self._run(self._heard[way], way)
            except (Exception, SystemExit) as error:
                self._heard[way].error = error
        return self._heard[way]

    def _run(self, heard: Heard, way: bool) -> None:
        from alembic.runtime.environment import EnvironmentContext
        from alembic.script import ScriptDirectory

        script = ScriptDirectory.from_config(self.config)
        # dont_mutate: else Alembic creates its version table.
        environment = EnvironmentContext(
            self.config, script, fn=_nothing_to_migrate, as_sql=way is OFFLINE, dont_mutate=True
        )
        configure = environment.configure

        def listening(*arguments: Any, **options: Any) -> None:
            said = signature(configure).bind(*arguments, **options).arguments
            connection, url = said.get("connection"), said.get("url")
            heard.plugins = tuple(said.get("autogenerate_plugins") or ())
            heard.metadata = heard.metadata or metadata_of(said.get("target_metadata"))
            heard.url = heard.url or _postgresql(
                url or self.config.get_main_option("sqlalchemy.url") if connection is None else connection.engine.url
            )
            configure(*arguments, **options)

        with _undisturbed(self.verbose), self.context(), patch.object(environment, "configure", listening), environment:
            script.run_env()


def env_py(config: str | None, *, verbose: bool) -> EnvPy | None:
    """
    Args:
        config: The path of alembic.ini or of a pyproject.toml, if it was given.
        verbose: Let env.py print, on stderr.

    Returns:
        None when there is no Alembic project here.

    Raises:
        ConfigurationError: The file does not exist.
    """
    from alembic.config import Config

    ini, toml = _files(config)
    if toml is not None:
        # toml_file= came with Alembic 1.16.
        return EnvPy(Config(ini, toml_file=toml), str(ini or toml), verbose)
    if ini is not None:
        return EnvPy(Config(ini), str(ini), verbose)
    flask = flask_config()
    return None if flask is None else EnvPy(flask, str(INI), verbose, application)


def _files(config: str | None) -> tuple[Path | None, Path | None]:
    """Alembic's own order: what was said, ALEMBIC_CONFIG, alembic.ini beside pyproject.toml."""
    said = config or os.environ.get("ALEMBIC_CONFIG")
    if said and not Path(said).is_file():
        source = "--config" if config else "ALEMBIC_CONFIG"
        raise ConfigurationError(f"{source}={said}: there is no such file")
    is_toml = said is not None and Path(said).name == "pyproject.toml"
    ini = Path("alembic.ini") if not said or is_toml else Path(said)
    toml = Path(said) if said and is_toml else Path("pyproject.toml")
    return ini if ini.is_file() else None, toml if read_tool("alembic", toml) is not None else None


def _nothing_to_migrate(_: Any, __: Any) -> list[Any]:
    return []


@contextmanager
def _undisturbed(verbose: bool) -> Iterator[None]:
    """Our stdout is for data, and our logging is not env.py's to configure."""
    with (
        redirect_stdout(sys.stderr if verbose else io.StringIO()),
        patch.object(logging.config, "fileConfig"),
        patch.object(logging.config, "dictConfig"),
        patch.object(logging, "basicConfig"),
    ):
        yield


def _postgresql(url: str | URL | None) -> URL | None:
    try:
        return None if url is None else usable(url, "env.py")
    except ConfigurationError:
        return None


def _line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")
