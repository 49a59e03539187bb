"""Where a service listens, and what it answers there."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime
from http.client import HTTPConnection
from typing import Any

import pytest

from sa_partman.errors import ConfigurationError
from sa_partman.observe.health import Ended, Health
from sa_partman.observe.http import ListenAddress, Listener, answer, listening

NOW = datetime.now(UTC)
FRESH = Health(NOW, 86_400.0)
WELL = FRESH.with_end(Ended(NOW))


@pytest.mark.parametrize(
    ("where", "place"),
    [
        (9187, ("127.0.0.1", 9187)),
        ("9187", ("127.0.0.1", 9187)),
        ("127.0.0.1:9187", ("127.0.0.1", 9187)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:9187", ("::1", 9187)),
        ("0.0.0.0:9187", ("0.0.0.0", 9187)),
        (("127.0.0.1", 9187), ("127.0.0.1", 9187)),
    ],
)
def test_where(where: Any, place: tuple[str, int]) -> None:
    """A port alone is for this machine."""
    assert ListenAddress(*place) == listening(where)


@pytest.mark.parametrize("where", [":9187", "*:9187", ("", 9187)])
def test_every_network_has_to_be_written_out(where: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"0\.0\.0\.0:9187 for every network"):
        listening(where)


@pytest.mark.parametrize("where", ["", "localhost", "127.0.0.1:http", "127.0.0.1:99999", "127.0.0.1:-1", -1])
def test_without_a_port(where: Any) -> None:
    with pytest.raises(ConfigurationError, match="no port in it"):
        listening(where)


@pytest.mark.parametrize(("health", "status"), [(WELL, 200), (FRESH, 503)])
def test_healthz(health: Health, status: int) -> None:
    code, kind, body = answer("/healthz?verbose", health)

    assert (status, "application/json") == (code, kind)
    assert ("" if status == 200 else "no run has ended yet") == json.loads(body)["problem"]


def test_metrics() -> None:
    code, kind, body = answer("/metrics", WELL)

    assert (200, "text/plain; version=0.0.4; charset=utf-8") == (code, kind)
    assert body.endswith("\n")


def test_anything_else() -> None:
    assert 404 == answer("/", WELL)[0]


def ask(address: str, method: str, path: str) -> tuple[int, str]:
    connection = HTTPConnection(address, timeout=10)
    connection.request(method, path)
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    return response.status, body


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_over_the_network(host: str) -> None:
    """GET and HEAD, until it is stopped; stopping twice is once."""
    try:
        socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError:
        pytest.skip("this machine has no such address")
    listener = Listener(ListenAddress(host, 0), lambda: WELL)

    listener.start()
    address = str(listener.address)
    assert 200 == ask(address, "GET", "/healthz")[0]
    assert (200, "") == ask(address, "HEAD", "/healthz")
    assert 404 == ask(address, "GET", "/nothing")[0]
    assert 501 == ask(address, "POST", "/healthz")[0]
    listener.stop()
    listener.stop()

    assert listener.address is None
    with pytest.raises(OSError, match=r".*"):
        ask(address, "GET", "/healthz")


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        with pytest.raises(ConfigurationError, match=f"can't listen on 127.0.0.1:{port}: .*; choose another"):
            Listener(ListenAddress("127.0.0.1", port), lambda: WELL).start()
