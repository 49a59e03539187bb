"""The server goes away between two steps: what was done is reported, with what ended the run."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, MetaData, NullPool, create_engine
from sqlalchemy.exc import OperationalError

from sa_partman import PartitionByRange, Retention
from sa_partman.engine.locks import crowd_of
from sa_partman.maintenance.results import Outcome, StepResult
from sa_partman.names import QualifiedName
from sa_partman.throwaway import Server
from tests.support.database import codes, made, new_table, outcomes, sql, upkeep

NOW = "2030-06-15"


def _two_tables(url: str) -> MetaData:
    """Each with two partitions that are expired."""
    metadata = MetaData()
    engine = create_engine(url)
    for name in ("events", "others"):
        spec = PartitionByRange(
            "created_at", interval="1 month", premake=0, retention=Retention("1 month", "drop", foreign=True)
        )
        new_table(spec, metadata=metadata, name=name)
        columns = "(id bigint NOT NULL, created_at timestamptz NOT NULL) PARTITION BY RANGE (created_at)"
        sql(engine, f"CREATE TABLE {name} {columns}")
        for month in (1, 2, 6):
            bound = f"FOR VALUES FROM ('2030-0{month}-01Z') TO ('2030-0{month + 1}-01Z')"
            sql(engine, f"CREATE TABLE {name}_p20300{month}01 PARTITION OF {name} {bound}")
    engine.dispose()
    return metadata


@pytest.mark.parametrize("options", [{}, {"poolclass": NullPool}], ids=["pool", "no-pool"])
def test_before_a_batch(options: dict[str, object], own_server: Server) -> None:
    """Where the maintainer opens a connection to see how many steps go together."""
    metadata = _two_tables(own_server.url())
    engine = create_engine(own_server.url(), **options)

    def stop(result: StepResult, done: int, total: int) -> None:
        if done == 2:
            own_server.stop()

    result = upkeep(engine, metadata, NOW, report=stop).prune()
    engine.dispose()

    (table,) = {name.partition("_")[0] for name in made(result)}
    assert [f"{table}_p20300101", f"{table}_p20300201"] == made(result)
    assert not result.ok
    assert "exclusion-lost" in codes(result.findings)
    (found,) = (each for each in result.findings if each.code == "exclusion-lost")
    assert "no connection to" in found.message
    assert "what it did stays" in found.message


def test_a_table_whose_partitions_cannot_be_counted(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is there: only the steps of that table fail, and all others go on."""
    metadata = _two_tables(own_server.url())
    engine = create_engine(own_server.url())

    def failing(connection: Connection, parent: QualifiedName) -> tuple[int, int]:
        if "events" == parent.name:
            raise OperationalError("SELECT", {}, Exception("canceling statement due to user request"))
        return crowd_of(connection, parent)

    monkeypatch.setattr("sa_partman.maintenance.executing.crowd_of", failing)
    result = upkeep(engine, metadata, NOW).prune()
    engine.dispose()

    assert ["done", "done", "failed", "failed"] == sorted(outcomes(result))
    assert ["others_p20300101", "others_p20300201"] == made(result)
    assert all("canceling statement" in each.error for each in result.steps if each.outcome is Outcome.FAILED)
