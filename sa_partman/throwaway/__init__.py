"""
Throw-away PostgreSQL servers for tests and for the demo; standard library only.

    from sa_partman.throwaway import Server, find

    with Server.start(find(18)) as server:
        engine = create_engine(server.url())

A server runs as this user (root becomes ``postgres`` or ``nobody``), listens on a unix socket that nobody else may
enter, and is gone with its files when the process that started it ends, even by ``kill -9``.
"""

from sa_partman.throwaway.binaries import Binaries, available, find
from sa_partman.throwaway.server import Server

__all__ = ["Binaries", "Server", "available", "find"]
