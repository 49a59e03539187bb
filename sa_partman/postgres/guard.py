"""
The no-scan guard: the server says what it is about to read, and a step that must not read anything is stopped.

Source: PostgreSQL's DEBUG1 messages, told apart by the function that sends them and so whatever the language is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

from sa_partman.errors import ExecutionError

_READS = {
    "ATRewriteTable": "reads or rewrites a table",
    "ATRewriteTables": "reads or rewrites a table",
    "index_build": "builds an index",
    "validateForeignKeyConstraint": "reads a table for its foreign key",
}


class WouldScan(ExecutionError):
    """A step that must be quick began to read a table; it was rolled back."""


@contextmanager
def no_scan(connection: Connection, allowed: tuple[str, ...] = ()) -> Iterator[None]:
    """
    Inside the block, statements must not scan a table, nor build an index, nor validate a foreign key.

    Args:
        allowed: Parts of messages about relations that may be read, such as empty new partitions.

    Raises:
        WouldScan: One did. The caller's transaction has to be rolled back.
    """
    driver: Any = connection.connection.driver_connection
    if not hasattr(driver, "add_notice_handler"):
        yield  # asyncpg tells no source function
        return
    seen: list[str] = []

    def listen(diagnostic: Any) -> None:
        what = _READS.get(diagnostic.source_function or "")
        message = diagnostic.message_primary or ""
        if what is not None and not any(name in message for name in allowed):
            seen.append(f"{what}: {message}")

    driver.add_notice_handler(listen)
    connection.exec_driver_sql("SET LOCAL client_min_messages = debug1")
    try:
        yield
        connection.exec_driver_sql("SET LOCAL client_min_messages = notice")
        if seen:
            raise WouldScan(f"the server {seen[0]}; nothing was changed. Please report this with `--plan`.")
    finally:
        driver.remove_notice_handler(listen)
