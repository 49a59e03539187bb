"""A default partition stays while others are split and merged: it is never searched while everybody waits."""

from __future__ import annotations

from sqlalchemy import Engine

from tests.support.database import partitions, sql
from tests.support.rewriting import contents, history, left_behind, rewriter


def test_split_merged_and_taken_back(engine: Engine) -> None:
    """Every swap is guarded against that scan; the default has rows of its own, far ahead."""
    metadata = history(engine)
    sql(engine, "CREATE TABLE events_default PARTITION OF events DEFAULT")
    sql(engine, "INSERT INTO events (created_at, tenant) SELECT '2031-01-01+00', 1 FROM generate_series(1, 100)")
    work, bounds, before = rewriter(engine, metadata), partitions(engine), contents(engine)

    work.split("events_history", into="1 month")
    work.undo("events")

    assert bounds == partitions(engine)

    work.merge("events_history", "events_p20250601")

    assert "FOR VALUES FROM (MINVALUE) TO ('2025-07-01 00:00:00+00')" in partitions(engine).values()

    work.undo("events")

    assert bounds == partitions(engine)
    assert before == contents(engine)
    assert [] == left_behind(engine)
