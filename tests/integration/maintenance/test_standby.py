"""A real standby: everything can be looked at, and nothing is changed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, create_engine

from sa_partman import PartitionByRange
from sa_partman.errors import ReadOnlyServer
from sa_partman.throwaway import Server
from tests.support.database import codes, new_table, partitions, scalar, upkeep

MONTHLY = PartitionByRange("created_at", interval="1 month", premake=1)
EARLY, LATER = "2030-01-15", "2030-03-15"


@contextmanager
def standby(server: Server) -> Iterator[Engine]:
    """The server goes into recovery and stays there: a standby whose primary never answers."""
    data = server.folder / "data"
    signal = data / "standby.signal"
    signal.touch()
    os.chown(signal, data.stat().st_uid, data.stat().st_gid)
    server.restart_immediate()
    engine = create_engine(server.url())
    try:
        yield engine
    finally:
        engine.dispose()


def test_a_standby_is_looked_at_and_left_alone(own_server: Server) -> None:
    table = new_table(MONTHLY)
    primary = create_engine(own_server.url())
    table.create(primary)
    assert upkeep(primary, table, EARLY).run().ok
    before = partitions(primary)
    primary.dispose()
    with standby(own_server) as engine:
        recovering = scalar(engine, "SELECT pg_is_in_recovery()")
        planned = [step.partition.name for step in upkeep(engine, table, LATER).plan().steps]
        found = codes(upkeep(engine, table, LATER).check())
        status = upkeep(engine, table, LATER).status()
        with pytest.raises(ReadOnlyServer, match=r"standby \(in recovery\); nothing was changed"):
            upkeep(engine, table, LATER).run()
        after = partitions(engine)

    assert recovering
    assert ["events_p20300301", "events_p20300401"] == planned
    assert "horizon" in found
    assert len(before) == len(status[0].partitions)
    assert before == after
