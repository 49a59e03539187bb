"""
A network that swallows every packet: a server and a maintainer in a network of their own, which goes down under them.

It is run as ``unshare --net python -m tests.support.dropping 18``, by root; it ends with 0 when the promise was kept.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

from sa_partman.throwaway import Server
from tests.support.faults import estate, points, writing
from tests.support.killing import maintaining
from tests.support.servers import binaries, memory

BOUND = 90.0
"""Seconds after which a maintainer must have given up, and another may work."""

TABLES = ("dropped", "slid", "parted")
STATEMENTS = ("ATTACH PARTITION", "DROP TABLE", "DETACH PARTITION", "set_config")


def link(state: str) -> None:
    subprocess.run(["ip", "link", "set", "lo", state], check=True)


def down(connection: Any = None) -> None:
    del connection
    link("down")


def main(target: str) -> None:
    link("up")
    with Server.start(binaries(target), tcp=True, base=memory()) as server, estate(server.url(), *TABLES) as found:
        for statement in STATEMENTS[: points(0.02, 1)]:
            found.pass_days()
            with writing(found):
                pass
            began = time.monotonic()
            child = maintaining(found, 1, down, statement)
            child.join(BOUND)
            ended, took = child.exitcode, time.monotonic() - began
            child.kill()
            link("up")
            assert ended, f"{statement}: it ended with {ended} after {took:.0f} s"
            found.heal(statement, BOUND)
            print(f"{statement}: {took:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1])
