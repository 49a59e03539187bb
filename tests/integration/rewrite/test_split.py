"""A history is split by month, and taken back."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, create_engine

from sa_partman import Maintainer, PartitionByRange
from sa_partman.errors import PartmanError
from sa_partman.plan.steps import Step
from sa_partman.throwaway import Server
from tests.support.database import partitions, scalar, sql
from tests.support.rewriting import NOW, contents, events, fill, history, left_behind, rewriter
from tests.support.servers import binaries, memory


def test_by_month(engine: Engine) -> None:
    metadata = history(engine)
    before = contents(engine)

    done = rewriter(engine, metadata).split("events_history", into="1 month")

    assert done.unfinished.kept
    assert before == contents(engine)
    found = partitions(engine)
    assert "FOR VALUES FROM (MINVALUE) TO ('2024-06-01 00:00:00+00')" == found["events_pmin"]
    assert "FOR VALUES FROM ('2024-07-01 00:00:00+00') TO ('2024-08-01 00:00:00+00')" == found["events_p20240701"]
    assert "events_history" not in found
    assert not Maintainer(engine, metadata, now=NOW).plan()


def test_taken_back(engine: Engine) -> None:
    """With what was written after the swap."""
    metadata = history(engine)
    work = rewriter(engine, metadata)
    bounds = partitions(engine)
    work.split("events_history", into="1 month")
    sql(engine, "UPDATE events SET note = 'changed' WHERE id % 7 = 0; DELETE FROM events WHERE id % 11 = 0")
    sql(engine, "UPDATE events SET created_at = created_at - interval '40 days' WHERE id % 13 = 0")
    sql(engine, "INSERT INTO events (created_at, tenant) VALUES ('2020-01-01+00', 1), ('2025-05-31+00', 2)")
    before = contents(engine)

    work.undo("events")

    assert before == contents(engine)
    assert bounds == partitions(engine)
    assert [] == left_behind(engine)


def test_finalized(engine: Engine) -> None:
    """The old partition goes, and all that was made beside."""
    metadata = history(engine)
    work = rewriter(engine, metadata)
    work.split("events_history", into="1 month")
    before = contents(engine)

    done = work.finalize("events")

    assert "done" == done.status
    assert before == contents(engine)
    assert [] == left_behind(engine)
    assert None is scalar(engine, "SELECT to_regclass('events_history')")


def test_finalized_when_retention_has_removed_a_new_partition(engine: Engine) -> None:
    metadata = history(engine)
    work = rewriter(engine, metadata)
    work.split("events_history", into="1 month")
    sql(engine, "DROP TABLE events_p20240701")

    assert "done" == work.finalize("events").status
    assert [] == left_behind(engine)


def test_merged_again(engine: Engine) -> None:
    metadata = history(engine)
    work = rewriter(engine, metadata)
    work.split("events_history", into="1 month")
    work.finalize("events")
    before = contents(engine)

    work.merge("events_p20240701", "events_p20240801", "events_p20240901")

    assert before == contents(engine)
    found = partitions(engine)
    assert "FOR VALUES FROM ('2024-07-01 00:00:00+00') TO ('2024-10-01 00:00:00+00')" == found["events_p20240701"]
    assert "events_p20240801" not in found
    work.undo("events")
    assert before == contents(engine)
    assert (
        "FOR VALUES FROM ('2024-07-01 00:00:00+00') TO ('2024-08-01 00:00:00+00')"
        == partitions(engine)["events_p20240701"]
    )


def test_small(engine: Engine) -> None:
    """In one transaction."""
    metadata = history(engine, rows=200)
    work = rewriter(engine, metadata)
    before = contents(engine)

    done = work.split("events_history", older_than="3 months")

    assert ["cutover", "retire", "finalize"] == [step.id for step in done.steps]
    assert before == contents(engine)
    sql(engine, "UPDATE events SET note = 'changed' WHERE id % 7 = 0")
    before = contents(engine)
    work.undo("events")
    assert before == contents(engine)
    assert "events_history" in partitions(engine)


def test_drained(engine: Engine) -> None:
    metadata = history(engine, rows=0)
    sql(engine, "DROP TABLE events_history; CREATE TABLE events_default PARTITION OF events DEFAULT")
    fill(engine, 30_000)
    before = contents(engine)
    work = rewriter(engine, metadata)

    work.drain("events")

    assert before == contents(engine)
    assert 0 == scalar(engine, "SELECT count(*) FROM ONLY events_default")
    assert 14 < len(partitions(engine))
    work.undo("events")
    assert before == contents(engine)
    assert 30_000 == scalar(engine, "SELECT count(*) FROM ONLY events_default")


def test_regridded(engine: Engine) -> None:
    metadata = history(engine)
    work = rewriter(engine, metadata)
    work.split("events_history", into="1 month")
    work.finalize("events")
    before = contents(engine)
    quarterly, _ = events(PartitionByRange("created_at", interval="3 months", premake=1))

    rewriter(engine, quarterly).regrid("events")

    assert before == contents(engine)
    assert (
        "FOR VALUES FROM ('2024-07-01 00:00:00+00') TO ('2024-10-01 00:00:00+00')"
        == partitions(engine)["events_p20240701"]
    )


def test_aborted(engine: Engine) -> None:
    metadata = history(engine)
    work = rewriter(engine, metadata)
    bounds, before = partitions(engine), contents(engine)

    def report(step: Step, seconds: float) -> None:
        if step.id == "verify":
            raise PartmanError("stop")

    with pytest.raises(PartmanError):
        work.split("events_history", into="1 month", report=report)

    work.abort("events")

    assert before == contents(engine)
    assert bounds == partitions(engine)
    assert [] == left_behind(engine)


def test_published_whatever_the_log_level_is(server_target: str) -> None:
    """Rows of the copies could not be deleted, because they are published and have no replica identity yet."""
    with Server.start(binaries(server_target), settings={"wal_level": "replica"}, base=memory()) as server:
        engine = create_engine(server.url())
        metadata = history(engine, rows=100)
        sql(engine, "CREATE PUBLICATION everything FOR ALL TABLES")

        plan = rewriter(engine, metadata).plan_split("events_history", into="1 month")

        assert "everything (FOR ALL TABLES) would send each copied row again" in str(plan.refusals[0])
        engine.dispose()


def test_beside_a_default_partition_nothing_is_small(engine: Engine) -> None:
    """It would be searched for rows of the new partitions while everybody waits."""
    metadata = history(engine, rows=100)
    assert 3 == len(rewriter(engine, metadata).plan_split("events_history", into="1 month").steps)
    sql(engine, "CREATE TABLE events_default PARTITION OF events DEFAULT")

    steps = [step.id for step in rewriter(engine, metadata).plan_split("events_history", into="1 month").steps]

    assert steps.index("exclude_validated") < steps.index("cutover")
