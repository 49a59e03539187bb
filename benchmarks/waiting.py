"""What application statements have to wait for while partitions are made and dropped behind a long reader."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, Column, DateTime, Engine, MetaData, Table, text

from benchmarks.measure import Row
from sa_partman import Maintainer, PartitionByRange, Retention

READER = 6.0
"""Seconds that a report reads."""


def rows(engine: Engine) -> Iterator[Row]:
    metadata = MetaData()
    spec = PartitionByRange("at", interval="1 day", premake=3, retention=Retention("2 days", then="drop"))
    events = Table(
        "events", metadata, Column("id", BigInteger), Column("at", DateTime(timezone=True), nullable=False), spec
    )
    metadata.create_all(engine)
    old = datetime.now(UTC) - timedelta(days=5)
    Maintainer(engine, metadata, now=old).run()
    quiet, busy, done = _longest(engine, events, 1.0, None), 0.0, 0.0
    reader = threading.Thread(target=_read, args=(engine,))
    reader.start()
    began = time.perf_counter()
    ended: list[float] = []

    def maintain() -> None:
        assert Maintainer(engine, metadata).run().ok
        ended.append(time.perf_counter() - began)

    worker = threading.Thread(target=maintain)
    worker.start()
    busy = _longest(engine, events, READER + 2, worker)
    worker.join()
    reader.join()
    done = ended[0] if ended else float("nan")
    wait = (busy - quiet) * 1e3
    yield Row(
        f"longest wait of an application statement behind a {READER:g} s reader, over the longest without one",
        f"{wait:.0f} ms (all was done {done:.1f} s after the reader began)",
        "<= 100 ms",
        wait,
        wait <= 100,
    )


def _read(engine: Engine) -> None:
    with engine.connect() as connection, connection.begin():
        connection.execute(text("SELECT count(*) FROM events"))
        time.sleep(READER)


def _longest(engine: Engine, events: Table, seconds: float, until: threading.Thread | None) -> float:
    """The longest of statements that read and write through the parent, one every 10 ms."""
    longest, began, number = 0.0, time.perf_counter(), 0
    while time.perf_counter() - began < seconds or (until is not None and until.is_alive()):
        number += 1
        started = time.perf_counter()
        with engine.begin() as connection:
            connection.execute(events.insert(), {"id": number, "at": datetime.now(UTC)})
            connection.execute(text("SELECT count(*) FROM events WHERE at > now() - interval '1 second'"))
        longest = max(longest, time.perf_counter() - started)
        time.sleep(0.01)
    return longest
