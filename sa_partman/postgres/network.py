"""The network: a connection whose packets vanish must end within a minute, and not in two hours."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection

IDLE, INTERVAL, COUNT = 10, 5, 3
"""Seconds of silence before the other side is asked whether it is there; seconds between two questions; how many."""

UNANSWERED = 20_000
"""Milliseconds that sent data may stay without an acknowledgement."""

_TOLD = "sa_partman: network"


def notice_dead_network(connection: Connection) -> None:
    """
    Sets the socket options that libpq calls ``keepalives_*`` and ``tcp_user_timeout``, where nobody has. They do no
    harm to whoever gets the connection from the pool afterwards, so they stay.

    Without them the client waits for an answer until the operating system gives up; the server's side is set by SQL.
    """
    if _TOLD in connection.info:
        return
    connection.info[_TOLD] = True
    number = _number(connection.connection.driver_connection)
    if number is None:
        return
    # A socket of our own over the same one: closing it leaves the driver's open.
    with suppress(OSError), socket.socket(fileno=os.dup(number)) as found:
        if found.family in (socket.AF_INET, socket.AF_INET6):
            _set(found)


def _set(found: socket.socket) -> None:
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    timeout = getattr(socket, "TCP_USER_TIMEOUT", None)
    if timeout is not None and found.getsockopt(socket.IPPROTO_TCP, timeout):
        return  # the URL of the user says otherwise
    wanted = {"TCP_KEEPIDLE": IDLE, "TCP_KEEPINTVL": INTERVAL, "TCP_KEEPCNT": COUNT, "TCP_USER_TIMEOUT": UNANSWERED}
    for name, value in wanted.items():
        option = getattr(socket, name, None)  # not on every operating system
        if option is not None:
            found.setsockopt(socket.IPPROTO_TCP, option, value)


def _number(driver: Any) -> int | None:
    """The file descriptor of the driver's socket: psycopg's, or asyncpg's."""
    with suppress(Exception):
        if hasattr(driver, "fileno"):
            return int(driver.fileno())
        return int(driver._transport.get_extra_info("socket").fileno())
    return None
