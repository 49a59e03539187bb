"""A plain table is copied into a partitioned one, and taken back."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from sa_partman import Maintainer, PartitionByHash, PartitionByList, PartitionByRange
from sa_partman.errors import PartmanError
from sa_partman.plan.steps import Step
from sa_partman.spec.base import PartitionSpec
from tests.support.catalog_snapshot import snapshot
from tests.support.copying import converter, hashed
from tests.support.database import partitions, scalar, sql
from tests.support.rewriting import NOW, contents, events, left_behind, plain


def test_by_hash(engine: Engine) -> None:
    plain(engine)
    metadata = hashed()
    before = contents(engine)

    done = converter(engine, metadata).convert("events", strategy="copy")

    assert done.unfinished.kept
    assert before == contents(engine)
    assert ["events_h0", "events_h1", "events_h2", "events_h3"] == sorted(partitions(engine))
    assert not Maintainer(engine, metadata, now=NOW).plan()
    assert None is scalar(engine, "SELECT to_regclass('events_rewrite')")


def test_taken_back(engine: Engine) -> None:
    """With what was written after the swap."""
    plain(engine)
    metadata = hashed()
    work = converter(engine, metadata)
    work.convert("events", strategy="copy")
    sql(engine, "UPDATE events SET note = 'changed' WHERE id % 7 = 0; DELETE FROM events WHERE id % 11 = 0")
    sql(engine, "UPDATE events SET id = id + 100000 WHERE id % 13 = 0")
    sql(engine, "INSERT INTO events (created_at, tenant) VALUES ('2020-01-01+00', 1), ('2025-05-31+00', 2)")
    before = contents(engine)

    work.undo("events")

    assert before == contents(engine)
    assert {} == partitions(engine)
    assert [] == left_behind(engine)
    sql(engine, "INSERT INTO events (created_at, tenant) VALUES ('2020-01-01+00', 1)")
    assert 20_003 == scalar(engine, "SELECT max(id) FROM events WHERE id < 100000")


def test_finalized(engine: Engine) -> None:
    """The table as it was goes, and all that was made beside."""
    plain(engine)
    metadata = hashed()
    work = converter(engine, metadata)
    work.convert("events", strategy="copy")
    before = contents(engine)

    done = work.finalize("events")

    assert "done" == done.status
    assert before == contents(engine)
    assert [] == left_behind(engine)
    assert None is scalar(engine, "SELECT to_regclass('events_old')")
    sql(engine, "INSERT INTO events (created_at, tenant) VALUES ('2020-01-01+00', 1)")
    assert 20_001 == scalar(engine, "SELECT max(id) FROM events")


def test_small(engine: Engine) -> None:
    """In one transaction."""
    plain(engine, rows=200)
    metadata = hashed()
    work = converter(engine, metadata)
    before = contents(engine)

    done = work.convert("events", strategy="copy")

    assert ["cutover", "finalize"] == [step.id for step in done.steps]
    assert before == contents(engine)
    sql(engine, "UPDATE events SET note = 'changed' WHERE id % 7 = 0")
    before = contents(engine)
    work.undo("events")
    assert before == contents(engine)
    assert {} == partitions(engine)
    assert [] == left_behind(engine)


def test_aborted(engine: Engine) -> None:
    plain(engine)
    metadata = hashed()
    before = contents(engine), snapshot(engine)
    work = converter(engine, metadata)

    def stop(step: Step, seconds: float) -> None:
        if step.id == "verify":
            raise PartmanError("stop")

    with pytest.raises(PartmanError, match="stop"):
        work.convert("events", strategy="copy", report=stop)
    work.abort("events")

    assert before == (contents(engine), snapshot(engine))
    assert [] == left_behind(engine)
    assert "done" != work.convert("events", strategy="copy").status


TENANTS = tuple(range(10))
QUARTERS = PartitionByRange("created_at", interval="3 months", premake=1)
SHAPES: dict[str, tuple[PartitionSpec, tuple[str, ...], set[str]]] = {
    "another primary key": (PartitionByHash("tenant", modulus=3), ("id", "tenant"), {"events_h2"}),
    "list": (PartitionByList("tenant", values=TENANTS), ("id", "tenant"), {"events_9"}),
    "range": (QUARTERS, ("id", "created_at"), {"events_p20240401", "events_p20250701"}),
    "tenants": (
        PartitionByRange("tenant", "created_at", interval="1 year", premake=1, tenants=TENANTS),
        ("id", "tenant", "created_at"),
        {"events_0_p20240101", "events_9_p20260101"},
    ),
    "two levels": (
        PartitionByList("tenant", values=TENANTS, subpartition=QUARTERS),
        ("id", "tenant", "created_at"),
        {"events_0", "events_0_p20240401", "events_9_p20250701"},
    ),
}


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_of_every_shape(shape: str, small: bool, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """There and back: what was declared is there, the maintainer has nothing to add, and the catalog is as before."""
    if not small:
        monkeypatch.setattr("sa_partman.plan.rewrite.request.SMALL", -1)
    spec, key, some = SHAPES[shape]
    plain(engine, rows=400)
    metadata, _ = events(spec, key)
    before = contents(engine), snapshot(engine)
    work = converter(engine, metadata)

    work.convert("events", strategy="copy")

    assert before[0] == contents(engine)
    tables = {row[0] for row in sql(engine, "SELECT relid::regclass::text FROM pg_partition_tree('events')")}
    assert some <= tables
    assert not Maintainer(engine, metadata, now=NOW).plan()
    work.undo("events")
    assert before == (contents(engine), snapshot(engine))
    assert [] == left_behind(engine)
