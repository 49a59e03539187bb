"""The order in which sources are asked; the first that says something is taken, and all are named when none does."""

from __future__ import annotations

import os
from functools import cached_property

from sqlalchemy import URL

from sa_partman.cli.discovery.env_py import INI, EnvPy, env_py
from sa_partman.cli.discovery.objects import Found, imported
from sa_partman.cli.discovery.project import Project, read_project
from sa_partman.cli.discovery.url import URLS, usable
from sa_partman.errors import ConfigurationError

METADATA = "SA_PARTMAN_METADATA"


class Discovery:
    """
    Args:
        metadata: ``--metadata``, if given.
        url: ``--url``, if given.
        config: ``--config``, if given.
        verbose: Let env.py print, on stderr.
    """

    def __init__(self, metadata: str | None, url: str | None, config: str | None, *, verbose: bool = False) -> None:
        self._metadata, self._url, self._config, self._verbose = metadata, url, config, verbose

    @cached_property
    def project(self) -> Project:
        return read_project()

    @cached_property
    def env_py(self) -> EnvPy | None:
        """The project's env.py; it is run only when nothing before it answers."""
        return env_py(self._config, verbose=self._verbose)

    def metadata(self) -> Found:
        """
        Raises:
            ConfigurationError: Nothing names it, or what is named can't be used.
        """
        named = (("--metadata", self._metadata), (METADATA, os.environ.get(METADATA)))
        for source, target in (*named, ("pyproject.toml: metadata", self.project.metadata)):
            if target:
                return imported(target, source)
        if self.env_py is not None and (found := self.env_py.metadata()) is not None:
            return found
        raise ConfigurationError(
            f"no metadata found; tried --metadata (not given), {METADATA} (not set), [tool.sa-partman] metadata in "
            f"pyproject.toml (not there), {self._asked('target_metadata = None')}. "
            f"Name it with --metadata package.module:Base"
        )

    def url(self) -> URL:
        """
        For psycopg.

        Raises:
            ConfigurationError: Nothing names it, or what is named is no URL of a PostgreSQL.
        """
        named = (("--url", self._url), *((name, os.environ.get(name)) for name in URLS))
        for source, url in (*named, ("pyproject.toml: url", self.project.url)):
            if url:
                return usable(url, source)
        if self.env_py is not None and (found := self.env_py.url()) is not None:
            return found
        raise ConfigurationError(
            f"no database URL found; tried --url (not given), {' and '.join(URLS)} (not set), [tool.sa-partman] url in "
            f"pyproject.toml (not there), {self._asked('no URL of a PostgreSQL')}. "
            f"Name it with --url postgresql://user@host/database"
        )

    def _asked(self, lacks: str) -> str:
        if self.env_py is None and INI.is_file():
            return f"the env.py of {INI} (a project of Flask-Migrate, which is not installed beside sa-partman)"
        if self.env_py is None:
            return f"Alembic's env.py (no alembic.ini in {os.getcwd()} or its migrations/)"
        return f"the env.py of {self.env_py.file} ({lacks})"
