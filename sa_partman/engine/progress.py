"""How far a step is: asked of the server on a connection of its own while the step works."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread

from sqlalchemy import Connection, Engine, text

from sa_partman.engine.waits import blocking
from sa_partman.names import QualifiedName
from sa_partman.plan.steps import Step
from sa_partman.postgres.conversion.rows import SCAN_BYTES

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
        unit: "blocks" or "rows".
        waits_for: Transactions that must end before the step goes on.
    """

    step: Step
    done: int
    total: int
    seconds: float
    phase: str = ""
    unit: str = "blocks"
    waits_for: tuple[str, ...] = ()


OnProgress = Callable[[Progress], None]
"""Called from a thread of its own, a few times a second, while a step that reads the table works."""


@contextmanager
def watched(engine: Engine, table: QualifiedName, step: Step, tell: OnProgress | None) -> Iterator[None]:
    """Tells of the progress of *step* during the block; what goes wrong with the telling does not harm the step."""
    if tell is None or not step.scans:
        yield
        return
    over = Event()
    thread = Thread(target=_watch, args=(engine, table, step, tell, over), name="sa_partman progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _watch(engine: Engine, table: QualifiedName, step: Step, tell: OnProgress, over: Event) -> None:
    began = time.monotonic()
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.detach()  # a pool of one must not starve
            connection.exec_driver_sql("SET statement_timeout = 0")
            blocks: int = connection.execute(_BLOCKS, {"table": table.quoted}).scalar_one()
            while not over.wait(EVERY):
                tell(_look(connection, step, blocks, time.monotonic() - began))
    except Exception:
        # The server's troubles are the step's to tell; the callback's must not stop a conversion.
        logging.getLogger(__name__).warning("the progress of %s is not told any more", step.id, exc_info=True)


def _look(connection: Connection, step: Step, blocks: int, seconds: float) -> Progress:
    if step.builds is None:
        guess = round(seconds * SCAN_BYTES / 8192)
        return Progress(step, min(guess, blocks * 99 // 100), blocks, seconds, "estimated")
    row = connection.execute(_BUILD, {"index": step.builds}).one_or_none()
    if row is None:
        return Progress(step, 0, 0, seconds)
    waits_for = tuple(map(str, blocking(connection, row[0]))) if row[1].startswith("waiting") else ()
    return Progress(step, row[2], row[3], seconds, row[1], "blocks" if row[4] else "rows", waits_for)
