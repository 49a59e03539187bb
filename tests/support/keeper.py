"""A role to which an administrator gave settings by ALTER ROLE."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Any

import pytest
from sqlalchemy import URL, Engine, create_engine, event

from tests.support.database import sql


@contextmanager
def keeper(owner: Engine, *settings: str) -> Iterator[Engine]:
    """An engine of a superuser that has *settings*, on the database of *owner*."""
    name = f"keeper_{owner.url.database}"
    sql(owner, f"CREATE ROLE {name} SUPERUSER LOGIN PASSWORD 'secret'")
    engine = create_engine(owner.url.set(username=name, password="secret"))
    try:
        for setting in settings:
            sql(owner, f"ALTER ROLE {name} SET {setting}")
        yield engine
    finally:
        engine.dispose()
        sql(owner, f"REASSIGN OWNED BY {name} TO CURRENT_USER; DROP OWNED BY {name}; DROP ROLE {name}")


@contextmanager
def soon_over(engine: Engine, *statements: str, seconds: float = 1.2) -> Iterator[None]:
    """A transaction that has run *statements* and ends after so many seconds, or with the block."""
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
        end = Timer(seconds, connection.rollback)
        end.start()
        try:
            yield
        finally:
            end.join()


@contextmanager
def slow_to_greet(url: URL | str, seconds: float, options: str = "") -> Iterator[Engine]:
    """An engine whose driver asks something first that takes so long."""

    def greet(driver: Any, record: Any) -> None:
        try:
            driver.execute(f"SELECT pg_sleep({seconds})")
        except Exception:
            driver.close()
            raise

    engine = create_engine(url, connect_args={"options": options})
    event.listen(engine, "connect", greet)
    try:
        yield engine
    finally:
        engine.dispose()


def require_known(setting: str, server_major: int) -> None:
    """Skips the test where the server does not know *setting*."""
    if setting.startswith("transaction_timeout") and server_major < 17:
        pytest.skip("PostgreSQL 17 has it first")
