"""A partition that a rewrite made is the one that the maintainer would have made."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from sa_partman import Maintainer
from tests.support.catalog_snapshot import difference, snapshot
from tests.support.database import role, scalar, sql
from tests.support.rewriting import NOW, contents, history, left_behind, rewriter

DRESSED = """
CREATE TABLE orgs (id int PRIMARY KEY); INSERT INTO orgs SELECT generate_series(0, 9);
ALTER TABLE events ADD gone int; ALTER TABLE events DROP gone;
ALTER TABLE events ADD "odd % ""name" text DEFAULT 'it''s 100 %';
ALTER TABLE events ADD twice bigint GENERATED ALWAYS AS (hits * 2) STORED;
ALTER TABLE events ADD CONSTRAINT events_org FOREIGN KEY (tenant) REFERENCES orgs ON DELETE CASCADE;
ALTER TABLE events ADD CONSTRAINT "odd % check" CHECK ("odd % ""name" <> 'x');
CREATE UNIQUE INDEX "ix % odd" ON events (created_at, id) INCLUDE (hits);
CREATE INDEX ix_events_brin ON events USING brin (created_at) WITH (pages_per_range = 32);
CREATE STATISTICS stats (dependencies) ON tenant, hits FROM events;
COMMENT ON COLUMN events.note IS 'what was said';
COMMENT ON CONSTRAINT short ON events IS 'not long';
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note = NEW.note || '.'; RETURN NEW; END $$;
CREATE TRIGGER "odd % trigger" BEFORE UPDATE ON events FOR EACH ROW EXECUTE FUNCTION noted();
ALTER TABLE events ALTER note SET STATISTICS 55;
"""

EVERYWHERE = (
    "ALTER TABLE {0} ENABLE ROW LEVEL SECURITY",
    "GRANT SELECT, INSERT ON {0} TO sa_partman_test_user",
    "ALTER TABLE {0} REPLICA IDENTITY FULL",
)
"""What PostgreSQL does not hand down: the partitions that are there have it as well."""


def lines(engine: Engine, partition: str) -> list[str]:
    """All that the catalog says of *partition*, its name and its bound apart."""
    found = []
    for line in snapshot(engine):
        if partition not in line or " bound: " in line:
            continue
        found.append(line.replace(partition, "X").replace("X_new", "X"))
    return found


@pytest.mark.parametrize("small", [True, False])
def test_like_the_maintainers_own(small: bool, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    if not small:
        monkeypatch.setattr("sa_partman.plan.rewrite.request.SMALL", -1)
    metadata = history(engine, rows=600)
    with role(engine):
        sql(engine, DRESSED)
        for table in ("events", *tables(engine)):
            for statement in EVERYWHERE:
                sql(engine, statement.format(table))
        work = rewriter(engine, metadata)
        before, was = contents(engine), snapshot(engine)
        work.split("events_history", into="1 month")
        work.undo("events")
        assert "" == difference(was, snapshot(engine))
        assert before == contents(engine)

        work.split("events_history", into="1 month")
        work.finalize("events")
        later = NOW + timedelta(days=31)
        Maintainer(engine, metadata, now=later).run()

        assert before == contents(engine)
        assert [] == left_behind(engine)
        assert "" == difference(lines(engine, "events_p20250801"), lines(engine, "events_p20250501"))
        found = [each.message for each in Maintainer(engine, metadata, now=later).check()]
        # Those two were made before the statistics were.
        assert [] == [each for each in found if "events_p20250601, public.events_p20250701" not in each], found
        assert not Maintainer(engine, metadata, now=later).plan()
        number = scalar(engine, "SELECT count(*) FROM events WHERE created_at < '2025-06-01' AND tenant = 3")
        sql(engine, "DELETE FROM orgs WHERE id = 3")
        assert 0 < number
        assert 0 == scalar(engine, "SELECT count(*) FROM events WHERE tenant = 3")


def tables(engine: Engine) -> list[Any]:
    return [
        row[0]
        for row in sql(
            engine,
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'events'::regclass".replace(
                "::", r"\:\:"
            ),
        )
    ]
