"""A plain table is copied into a partitioned one, and taken back."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from sa_partman import Maintainer
from sa_partman.errors import PartmanError
from sa_partman.plan.steps import Step
from tests.support.catalog_snapshot import snapshot
from tests.support.copying import converter, hashed
from tests.support.database import partitions, scalar, sql
from tests.support.rewriting import NOW, contents, left_behind, plain


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
