"""A partitioned table is copied into a plain one, and taken back."""

from __future__ import annotations

import pytest
from sqlalchemy import BigInteger, Column, Engine, MetaData, Table

from sa_partman.errors import ConversionRefused
from tests.support.catalog_snapshot import snapshot
from tests.support.copying import converter
from tests.support.database import partitions, scalar, sql
from tests.support.rewriting import contents, history, left_behind

OTHERS = """
CREATE TABLE orgs (id int PRIMARY KEY); INSERT INTO orgs SELECT generate_series(0, 9);
ALTER TABLE events ADD CONSTRAINT events_org FOREIGN KEY (tenant) REFERENCES orgs;
CREATE TABLE likes (event bigint, at timestamptz, FOREIGN KEY (event, at) REFERENCES events (id, created_at));
INSERT INTO likes SELECT id, created_at FROM events WHERE id % 5 = 0;
CREATE VIEW seen AS SELECT id, note FROM events;
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note = NEW.note || '.'; RETURN NEW; END $$;
CREATE TRIGGER noted BEFORE UPDATE ON events FOR EACH ROW EXECUTE FUNCTION noted();
"""


@pytest.mark.parametrize("small", [True, False])
def test_there_and_back(small: bool, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    if not small:
        monkeypatch.setattr("sa_partman.plan.rewrite.request.SMALL", -1)
    metadata = history(engine, rows=600)
    sql(engine, OTHERS)
    before = contents(engine), snapshot(engine)
    work = converter(engine, metadata)

    done = work.unpartition("events")

    assert done.unfinished.kept
    assert before[0] == contents(engine)
    assert {} == partitions(engine)
    assert "r" == scalar(engine, "SELECT relkind::text FROM pg_class WHERE oid = 'events'::regclass")
    sql(engine, "UPDATE events SET note = 'changed' WHERE id = 3; DELETE FROM events WHERE id = 4")
    assert "changed." == scalar(engine, "SELECT note FROM seen WHERE id = 3")
    after = contents(engine)
    work.undo("events")
    assert (after, before[1]) == (contents(engine), snapshot(engine))
    assert [] == left_behind(engine)

    work.unpartition("events")
    assert "done" == work.finalize("events").status
    assert after == contents(engine)
    assert [] == left_behind(engine)
    assert 1 == scalar(engine, "SELECT count(*) FROM pg_class WHERE relname ~ '^events' AND relkind IN ('r', 'p')")


def test_a_narrower_key(engine: Engine) -> None:
    """That of the model, which is plain again; rows that would have the same are listed."""
    history(engine, rows=600)
    metadata = MetaData()
    Table("events", metadata, Column("id", BigInteger, primary_key=True))
    sql(engine, "INSERT INTO events (id, created_at, tenant) VALUES (7, '2025-05-01+00', 1)")
    work = converter(engine, metadata)
    with pytest.raises(ConversionRefused, match=r"more than one row has the same \(id\).*: 7 \(2 times\)"):
        work.unpartition("events")
    sql(engine, "DELETE FROM events WHERE id = 7 AND created_at = '2025-05-01+00'")
    before = contents(engine)

    work.unpartition("events")

    assert before == contents(engine)
    assert "PRIMARY KEY (id)" == scalar(
        engine,
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'events'::regclass AND contype = 'p'",
    )
    work.undo("events")
    assert before == contents(engine)


def test_partitions_come_and_are_emptied_meanwhile(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that came after the log is noticed, too."""
    monkeypatch.setattr("sa_partman.plan.rewrite.request.SMALL", -1)
    metadata = history(engine, rows=600)
    deeds = {
        "capture": "CREATE TABLE events_p20250801 PARTITION OF events FOR VALUES FROM ('2025-08-01+00') TO "
        "('2025-09-01+00'); INSERT INTO events (created_at, tenant) VALUES ('2025-08-02+00', 1)",
        "settle": "INSERT INTO events (created_at, tenant) VALUES ('2025-08-03+00', 1)",
        "verify": "TRUNCATE events_p20250801; DELETE FROM events WHERE id < 50",
    }

    converter(engine, metadata).unpartition(
        "events", report=lambda step, _: sql(engine, deeds.get(step.id, "SELECT 1"))
    )

    assert 551 == scalar(engine, "SELECT count(*) FROM events")
    assert 0 == scalar(engine, "SELECT count(*) FROM events WHERE created_at >= '2025-08-01+00'")
