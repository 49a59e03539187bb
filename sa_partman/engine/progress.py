"""How far a step is: asked of the server on a connection of its own while the step works."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from sa_partman.engine.background import repeating
from sa_partman.engine.waits import blocking
from sa_partman.names import QualifiedName
from sa_partman.plan.steps import Step
from sa_partman.postgres.conversion.rows import SCAN_BYTES
from sa_partman.postgres.session import apart

EVERY = 0.25
"""Seconds between two looks."""

_BUILD = text("""
SELECT p.pid, p.phase,
    CASE WHEN p.blocks_total > 0 THEN p.blocks_done ELSE p.tuples_done END,
    CASE WHEN p.blocks_total > 0 THEN p.blocks_total ELSE p.tuples_total END,
    p.blocks_total > 0
FROM pg_catalog.pg_stat_progress_create_index p
WHERE p.index_relid = CAST(pg_catalog.to_regclass(:index) AS oid) AND p.datname = pg_catalog.current_database()
""")

_BLOCKS = text("""
SELECT pg_catalog.pg_relation_size(CAST(:table AS regclass)) / CAST(current_setting('block_size') AS int)
""")


@dataclass(frozen=True, slots=True)
class Progress:
    """
    A look at a step that works.

    Args:
        done: Of *total*; for a scan that the server does not count, an estimate that stays below it.
        total: 0 while it is unknown; another phase has another total.
        seconds: Since the step began.
        phase: What the server says that it does, such as "building index: scanning table".
        unit: "blocks", "rows" or "changes".
        waits_for: Transactions that must end before the step goes on.
    """

    step: Step
    done: int
    total: int
    seconds: float
    phase: str = ""
    unit: str = "blocks"
    waits_for: tuple[str, ...] = ()


OnProgress = Callable[[Progress], object]
"""Called a few times a second while a step that reads the table works: from a thread, or a task of the event loop."""


@contextmanager
def watched(engine: Engine, table: QualifiedName, step: Step, tell: OnProgress | None) -> Iterator[None]:
    """Tells of the progress of *step* during the block; what goes wrong with the telling does not harm the step."""
    if tell is None or not step.scans or step.until is not None:  # whoever does the pieces tells of them
        yield
        return
    teller = _ProgressTeller(engine, table, step, tell)
    try:
        with repeating(teller.look, EVERY, in_loop=engine.dialect.is_async, name="progress"):
            yield
    finally:
        teller.close()


@dataclass(slots=True)
class _ProgressTeller:
    """Looks at one step, over a connection of its own."""

    engine: Engine = field(repr=False)
    table: QualifiedName
    step: Step
    tell: OnProgress
    began: float = field(default_factory=time.monotonic)
    opened: ExitStack = field(default_factory=ExitStack)
    connection: Connection | None = None
    blocks: int = 0

    def look(self) -> None:
        try:
            if self.connection is None:
                self.connection = self.opened.enter_context(apart(self.engine, autocommit=True))
                self.connection.exec_driver_sql("SET statement_timeout = 0")
                self.blocks = self.connection.execute(_BLOCKS, {"table": self.table.quoted}).scalar_one()
            self.tell(_look(self.connection, self.step, self.blocks, time.monotonic() - self.began))
        except Exception:
            # The server's troubles are the step's to tell; the callback's must not stop a conversion.
            logging.getLogger(__name__).warning("the progress of %s is not told any more", self.step.id, exc_info=True)
            raise

    def close(self) -> None:
        with suppress(SQLAlchemyError):
            self.opened.close()


def _look(connection: Connection, step: Step, blocks: int, seconds: float) -> Progress:
    if step.builds is None:
        guess = round(seconds * SCAN_BYTES / 8192)
        return Progress(step, min(guess, blocks * 99 // 100), blocks, seconds, "estimated")
    row = connection.execute(_BUILD, {"index": step.builds}).one_or_none()
    if row is None:
        return Progress(step, 0, 0, seconds)
    waits_for = tuple(map(str, blocking(connection, row[0]))) if row[1].startswith("waiting") else ()
    return Progress(step, row[2], row[3], seconds, row[1], "blocks" if row[4] else "rows", waits_for)
