"""The listener: ``/healthz`` for whoever restarts what is not well, ``/metrics`` for Prometheus."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from sa_partman.errors import ConfigurationError
from sa_partman.observe.health import Health
from sa_partman.observe.metrics import metrics_text

log = logging.getLogger("sa_partman.http")

LOOPBACK = "127.0.0.1"
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"

Listening = str | int | tuple[str, int]
"""``9187``, ``"9187"``, ``"127.0.0.1:9187"``, ``"[::1]:9187"``, ``("127.0.0.1", 9187)``."""


class ListenAddress(NamedTuple):
    """Where to listen; port 0 means: any that is free."""

    host: str
    port: int


def listening(where: Listening) -> ListenAddress:
    """
    *where* as host and port. A port alone means this machine only; another address has to be written out.

    Raises:
        ConfigurationError: There is no port in it, or it means every address without saying so.
    """
    host, port = (LOOPBACK, str(where)) if isinstance(where, int) else _split(where)
    if host in ("", "*"):
        raise ConfigurationError(
            f"--listen {where}: what is served there is for everybody who can reach it, so write the address out: "
            f"{LOOPBACK}:{port} for this machine only, 0.0.0.0:{port} for every network"
        )
    if not port.isdigit() or int(port) > 65_535:
        raise ConfigurationError(f"--listen {where}: no port in it; write it as {LOOPBACK}:9187")
    return ListenAddress(host, int(port))


def _split(where: str | tuple[str, int]) -> tuple[str, str]:
    if isinstance(where, tuple):
        return where[0], str(where[1])
    host, colon, port = where.strip().rpartition(":")
    return (host.strip("[]"), port) if colon else (LOOPBACK, port)


class Listener:
    """
    Answers in threads of its own; it looks at *health* and at nothing else.

    Args:
        place: Where.
        health: Gives the snapshot of now.
    """

    def __init__(self, place: ListenAddress, health: Callable[[], Health]) -> None:
        self._place, self._health = place, health
        self._server: ThreadingHTTPServer | None = None

    @property
    def address(self) -> str | None:
        """As ``host:port``; None: it does not listen now."""
        if self._server is None:
            return None
        host, port = str(self._server.server_address[0]), self._server.server_address[1]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def start(self) -> None:
        """
        Raises:
            ConfigurationError: The port is taken, or the address is not this machine's.
        """
        kind = _V6Server if ":" in self._place.host else _HttpServer
        try:
            self._server = kind((self._place.host, self._place.port), _handler(self._health))
        except OSError as error:
            where = f"{self._place.host}:{self._place.port}"
            raise ConfigurationError(f"can't listen on {where}: {error.strerror or error}; choose another") from error
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="sa_partman http", daemon=True).start()

    def stop(self) -> None:
        """Ends it; nothing happens when it does not listen."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True


class _V6Server(_HttpServer):
    address_family = socket.AF_INET6


def _handler(health: Callable[[], Health]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10  # seconds that a client may take to say what it wants
        server_version = "sa_partman"
        sys_version = ""

        def do_GET(self) -> None:
            status, kind, text = answer(self.path, health())
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 (the base class names it)

        def log_message(self, format: str, *args: object) -> None:
            log.debug(format, *args)

    return Handler


def answer(path: str, health: Health) -> tuple[HTTPStatus, str, str]:
    """Status, content type and body for a request of *path*."""
    match path.partition("?")[0].rstrip("/"):
        case "/healthz":
            now = datetime.now(UTC)
            status = HTTPStatus.SERVICE_UNAVAILABLE if health.problem(now) else HTTPStatus.OK
            return status, "application/json", json.dumps(health.to_dict(now)) + "\n"
        case "/metrics":
            return HTTPStatus.OK, PROMETHEUS, metrics_text(health)
    return HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", "there are /healthz and /metrics\n"
