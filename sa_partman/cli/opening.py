"""A request -> a maintainer on the database that it means."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, Engine, MetaData, create_engine

from sa_partman.cli.discovery.find import Discovery
from sa_partman.cli.discovery.objects import Found
from sa_partman.cli.progress import RunProgress, listen, say_wait
from sa_partman.cli.request import Request
from sa_partman.errors import ConfigurationError, MissingDependency
from sa_partman.maintenance.maintainer import Maintainer
from sa_partman.orm.registry import spec_of

CONNECT_TIMEOUT = 10
"""Seconds, unless the URL or PGCONNECT_TIMEOUT says otherwise; libpq's own is for ever."""


def discovery_of(request: Request) -> Discovery:
    return Discovery(request.metadata, request.url, request.config, verbose=request.verbose)


@contextmanager
def opened(request: Request, discovery: Discovery | None = None) -> Iterator[Maintainer]:
    """
    Args:
        discovery: What the caller goes on asking; None: one of its own.

    Raises:
        ConfigurationError: No metadata, no declaration in it, no URL, or no driver.
    """
    discovery = discovery or discovery_of(request)
    metadata = discovery.metadata()
    _require_declaration(metadata)
    engine = _engine(discovery.url())
    listen(request.log_format, request.log_level)
    try:
        with RunProgress() as progress:
            yield Maintainer(
                engine,
                metadata,
                now=request.at,
                report=progress,
                audit=request.audit,
                schemas=request.schemas or None,
                limit=request.limit,
                lock=request.lock,
                on_wait=say_wait,
            )
    finally:
        engine.dispose()


def _require_declaration(metadata: Found) -> None:
    """
    Raises:
        ConfigurationError: There is nothing to maintain, and a job that says "nothing to do" would say so for ever.
    """
    several = (metadata,) if isinstance(metadata, MetaData) else metadata
    tables = [table for each in several for table in each.tables.values()]
    if not any(spec_of(table) is not None for table in tables):
        named = ", ".join(table.fullname for table in tables[:5]) + (", ..." if len(tables) > 5 else "")
        has = f"it has {named}" if tables else "it has no table"
        raise ConfigurationError(
            f"no table of the metadata is declared as partitioned ({has}); nothing was done. "
            f"Name a module that imports your models, and set __partition__ on one of them"
        )


def _engine(url: URL) -> Engine:
    _require_driver()
    arguments: dict[str, str | int] = {"fallback_application_name": "sa-partman"}
    if "connect_timeout" not in url.query and "PGCONNECT_TIMEOUT" not in os.environ:
        arguments["connect_timeout"] = CONNECT_TIMEOUT
    return create_engine(url, connect_args=arguments)


def _require_driver() -> None:
    """
    Raises:
        MissingDependency: psycopg is not installed, or finds no libpq.
    """
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        what = "psycopg is not installed" if error.name == "psycopg" else "psycopg finds no libpq on this machine"
        raise MissingDependency(what, extra="binary") from error
