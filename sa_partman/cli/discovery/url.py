"""A database URL as people write it -> one for psycopg, which the command line connects with."""

from __future__ import annotations

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from sa_partman.errors import ConfigurationError

URLS = ("SA_PARTMAN_DATABASE_URL", "DATABASE_URL")
"""Environment variables that name one."""

_ONLY_ASYNCPG = frozenset(
    {
        "async_fallback",
        "command_timeout",
        "direct_tls",
        "max_cacheable_statement_size",
        "max_cached_statement_lifetime",
        "prepared_statement_cache_size",
        "prepared_statement_name_func",
        "server_settings",
        "statement_cache_size",
    }
)
"""Arguments that libpq does not know."""
_SAME = {"ssl": "sslmode", "timeout": "connect_timeout"}


def usable(text: str | URL, source: str) -> URL:
    """
    Args:
        source: Where it was said, for messages; the text itself may hold a password.

    Raises:
        ConfigurationError: It is no URL, or not PostgreSQL's.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ConfigurationError(f"{source}: that is no database URL; write postgresql://user@host/database") from None
    if "@" in (url.host or ""):
        raise ConfigurationError(f"{source}: the password in the URL has an @; write it as %40")
    backend, _, driver = url.drivername.partition("+")
    if backend not in ("postgresql", "postgres"):
        raise ConfigurationError(f"{source}: {backend} is not PostgreSQL; only PostgreSQL has partitions to maintain")
    return _for_libpq(url.set(drivername="postgresql+psycopg"), driver)


def _for_libpq(url: URL, driver: str) -> URL:
    if driver != "asyncpg":
        return url
    return url.set(query={_SAME.get(key, key): value for key, value in url.query.items() if key not in _ONLY_ASYNCPG})
