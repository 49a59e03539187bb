"""New partitions of many tables share transactions, as long as nobody has to be waited for."""

from __future__ import annotations

import pytest
from psycopg import Pipeline
from sqlalchemy import Engine, MetaData, event

from sa_partman import PartitionByRange
from sa_partman.engine import transaction
from sa_partman.maintenance.results import Outcome
from tests.support.database import HASTY, another, holding, made, new_table, partitions, role, sql, upkeep

TABLES = 30
EARLY, LATER = "2030-01-15", "2030-02-15"


@pytest.fixture
def many(engine: Engine) -> MetaData:
    """Tables that lack one partition each at LATER."""
    metadata = MetaData()
    for number in range(TABLES):
        new_table(PartitionByRange("created_at", interval="1 month", premake=1), metadata=metadata, name=f"t{number}")
    metadata.create_all(engine)
    for number in range(TABLES):
        for name in partitions(engine, f"t{number}"):
            sql(engine, f"DROP TABLE {name}")
    assert upkeep(engine, metadata, EARLY).run().ok
    return metadata


def test_a_partition_on_each_of_many_tables(engine: Engine, many: MetaData, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a few transactions, and the statements of each in one pipeline; every one is there afterwards."""
    commits: list[object] = []
    sent: list[str] = []
    pipelines: list[object] = []
    enter = Pipeline.__enter__

    def entered(pipeline: Pipeline) -> Pipeline:
        pipelines.append(pipeline)
        return enter(pipeline)

    monkeypatch.setattr(Pipeline, "__enter__", entered)
    event.listen(engine, "commit", commits.append)
    event.listen(engine, "before_cursor_execute", lambda _, __, statement, *___: sent.append(statement))

    result = upkeep(engine, many, LATER).run()
    committed, attaching = len(commits), sum("ATTACH PARTITION" in each for each in sent)

    assert sorted(f"t{number}_p20300301" for number in range(TABLES)) == sorted(made(result))
    assert all(f"t{number}_p20300301" in partitions(engine, f"t{number}") for number in range(TABLES))
    assert committed < TABLES / 2
    assert TABLES == attaching
    assert 0 < len(pipelines) < TABLES / 2
    assert not upkeep(engine, many, LATER).plan()


def test_a_driver_that_prepares_everything(engine: Engine, many: MetaData) -> None:
    """psycopg does it when it is told so; a prepared statement is one statement."""
    with another(engine, connect_args={"prepare_threshold": 0}) as own:
        result = upkeep(own, many, LATER).run()

    assert {Outcome.DONE} == {each.outcome for each in result.steps}
    assert TABLES == len(made(result))


def test_one_is_in_use_by_other_ddl(engine: Engine, many: MetaData) -> None:
    """The others of its transaction are made all the same, and it is left to the next run."""
    with holding(engine, "LOCK TABLE ONLY t5 IN SHARE UPDATE EXCLUSIVE MODE"):
        result = upkeep(engine, many, LATER, lock=HASTY).run()

    late = [each for each in result.steps if each.outcome is not Outcome.DONE]
    assert ["t5_p20300301"] == [each.step.partition.name for each in late]
    assert [Outcome.DEFERRED] == [each.outcome for each in late]
    assert TABLES - 1 == len(made(result))
    assert upkeep(engine, many, LATER).run().ok


def test_a_name_of_one_is_taken(engine: Engine, many: MetaData) -> None:
    """It fails alone, and says who has the name."""
    sql(engine, "CREATE VIEW t7_p20300301 AS SELECT 1")

    result = upkeep(engine, many, LATER).run()

    failed = [each for each in result.steps if each.failed]
    assert ["t7_p20300301"] == [each.step.partition.name for each in failed]
    assert "a view" in failed[0].error
    assert TABLES - 1 == len(made(result))


def test_the_owner_is_read_back(engine: Engine, many: MetaData, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in a shared transaction: what would belong to somebody else is rolled back."""
    with role(engine, "GRANT CREATE, USAGE ON SCHEMA public TO {role}") as owner:
        for number in range(TABLES):
            sql(engine, f"ALTER TABLE t{number} OWNER TO {owner}")
        monkeypatch.setattr(transaction, "act_as", lambda *_: None)

        result = upkeep(engine, many, LATER).run()

    assert {Outcome.FAILED} == {each.outcome for each in result.steps}
    assert "belongs to" in result.steps[0].error
    assert "t0_p20300301" not in partitions(engine, "t0")


def test_readers_and_writers_of_all_of_them(engine: Engine, many: MetaData) -> None:
    """Nobody who reads or writes is in the way of a new partition."""
    used = [f"INSERT INTO t{number} (id, created_at) VALUES (1, '2030-01-20')" for number in range(TABLES)]
    with holding(engine, *used):
        result = upkeep(engine, many, LATER, lock=HASTY).run()

    assert result.ok
    assert TABLES == len(made(result))
