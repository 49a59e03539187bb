"""
The no-scan guard: the server says what it is about to read, and a step that must not read anything is stopped.

Source: PostgreSQL's DEBUG1 messages, told apart by the function that sends them and so whatever the language is. They
are sent before the work begins, and at once.
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
    """A step that must be quick began to read a table; it was stopped and rolled back."""


@contextmanager
def no_scan(connection: Connection, allowed: tuple[str, ...] = ()) -> Iterator[None]:
    """
    Inside the block, statements must not scan a table, nor build an index, nor validate a foreign key.

    One that begins to is cancelled there and then, so that the locks of the transaction are not held for its length.

    Args:
        allowed: Parts of messages about relations that may be read, such as empty new partitions.

    Raises:
        WouldScan: One did. The caller's transaction has to be rolled back.
    """
    driver: Any = connection.connection.driver_connection
    if not hasattr(driver, "add_notice_handler"):
        yield  # only psycopg hands over the source function
        return
    seen: list[str] = []

    def listen(diagnostic: Any) -> None:
        what = _READS.get(diagnostic.source_function or "")
        message = diagnostic.message_primary or ""
        if what is not None and not any(name in message for name in allowed):
            if not seen:
                driver.pgconn.get_cancel().cancel()
            seen.append(f"{what}: {message}")

    before = connection.exec_driver_sql("SHOW client_min_messages").scalar_one()
    driver.add_notice_handler(listen)
    try:
        connection.exec_driver_sql("SET LOCAL client_min_messages = debug1")
        yield
        connection.exec_driver_sql(f"SET LOCAL client_min_messages = {before}")
    except Exception as error:
        if seen:
            raise _stopped(seen) from error
        raise
    finally:
        driver.remove_notice_handler(listen)
    if seen:
        raise _stopped(seen)


def _stopped(seen: list[str]) -> WouldScan:
    return WouldScan(
        f"the server {seen[0]}; the step was stopped and rolled back, and the steps before it stay. What makes this "
        f"scan needless is missing: somebody has dropped the CHECK of the conversion, or an index. Take the conversion "
        f"back with --abort, and begin again. If nothing was dropped, please report this with `--plan`."
    )
