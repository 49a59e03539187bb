"""How much is done at once of a step that is done in pieces, and how long it rests in between."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, text

from sa_partman.ddl.render import quoted_sql
from sa_partman.plan.actions import Action
from sa_partman.ports import Waiting
from sa_partman.postgres.session import connected, execute_sql, pin

SECONDS = 0.5
"""That a piece should take: so long a snapshot is held, and so much is done again after a crash."""

FIRST, FEWEST, MOST = 512, 32, 131_072
"""Pages of a piece."""

ALL_PAGES = 1_000_000_000
"""Of a piece that is the only one."""

LOOK_AGAIN = 1.0
"""Seconds between two looks at replicas that lag behind."""

# How far it is, is written in the same transaction: what a crash of the server takes back is done again.
_ALLOW = text(
    "SELECT pg_catalog.set_config('sa_partman.pages', :pages, true), "
    "pg_catalog.set_config('sa_partman.rows', '0', true), pg_catalog.set_config('synchronous_commit', 'off', true)"
)
_ROWS = text("SELECT CAST(nullif(pg_catalog.current_setting('sa_partman.rows', true), '') AS bigint)")
_LAG = text("SELECT coalesce(max(extract(epoch FROM replay_lag)), 0) FROM pg_catalog.pg_stat_replication")


@dataclass(frozen=True, slots=True)
class Throttle:
    """
    Limits for what moves rows while an application is at work.

    Args:
        pause: Seconds between two pieces.
        rows: A second, at most; None: as fast as it goes.
        lag: Seconds that a replica may lag behind; with more, it is waited for. None: it does not matter.
    """

    pause: float = 0.0
    rows: float | None = None
    lag: float | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """
    What is left after a piece.

    Args:
        pages: Or changes, still to be done.
        total: Of them.
        rows: That the piece moved.
    """

    pages: int
    total: int
    rows: int


@dataclass(slots=True)
class Pace:
    """Of one step."""

    throttle: Throttle
    waiting: Waiting
    pages: int = FIRST
    began: float = field(default_factory=time.monotonic)

    def allow(self, connection: Connection) -> None:
        """Says in the transaction of the piece how large it may be."""
        self.began = time.monotonic()
        connection.execute(_ALLOW, {"pages": str(self.pages)})

    def left(self, connection: Connection, until: Action) -> Left:
        """How much is left, by the query *until*, in the transaction of the piece."""
        row: Any = execute_sql(connection, quoted_sql((until,))[0]).one()
        return Left(row[0], row[1], connection.execute(_ROWS).scalar() or 0)

    def rest(self, engine: Engine, left: Left) -> None:
        """Waits as the throttle says, and chooses the size of the next piece."""
        seconds = time.monotonic() - self.began
        factor = min(2.0, max(0.5, SECONDS / max(seconds, 0.001)))
        self.pages = min(MOST, max(FEWEST, round(self.pages * factor)))
        pause = self.throttle.pause
        if self.throttle.rows:
            pause = max(pause, left.rows / self.throttle.rows - seconds)
        if pause > 0:
            self.waiting.sleep(pause)
        while self.throttle.lag is not None and self._lag(engine) > self.throttle.lag:
            self.waiting.sleep(LOOK_AGAIN)

    def _lag(self, engine: Engine) -> float:
        with connected(engine) as connection:
            pin(connection, 1.0)
            return float(connection.execute(_LAG).scalar_one())
