"""
A real table: the enriched events of a billing system, three months of them, with columns that were added later.

Source: Lago's ``enriched_events``, as the project's third issue quotes it.
"""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Column, DateTime, Engine, MetaData, Numeric, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from sa_partman import Maintainer, PartitionByRange, Retention
from sa_partman.maintenance.converter import Converter
from tests.support.carrying import NOW, rows, run, value
from tests.support.catalog_snapshot import difference, lost, snapshot

SETUP = """
CREATE TABLE enriched_events (
    id uuid DEFAULT gen_random_uuid() NOT NULL PRIMARY KEY,
    organization_id uuid NOT NULL,
    event_id uuid NOT NULL,
    transaction_id character varying NOT NULL,
    external_subscription_id character varying NOT NULL,
    code character varying NOT NULL,
    "timestamp" timestamp(6) without time zone NOT NULL,
    subscription_id uuid NOT NULL,
    plan_id uuid NOT NULL,
    charge_id uuid,
    charge_filter_id uuid,
    grouped_by jsonb DEFAULT '{}'::jsonb NOT NULL,
    value character varying,
    decimal_value numeric(40,15) DEFAULT 0.0 NOT NULL);
ALTER TABLE enriched_events ADD COLUMN enriched_at timestamp(6) without time zone DEFAULT now() NOT NULL;
ALTER TABLE enriched_events ADD COLUMN note text;
CREATE INDEX idx_billing_on_enriched_events ON enriched_events
    (organization_id, subscription_id, charge_id, charge_filter_id, "timestamp");
CREATE UNIQUE INDEX idx_unique_on_enriched_events ON enriched_events
    (organization_id, external_subscription_id, transaction_id, "timestamp", charge_id);
CREATE INDEX idx_lookup_on_enriched_events ON enriched_events
    (organization_id, external_subscription_id, code, "timestamp");
CREATE INDEX index_enriched_events_on_event_id ON enriched_events (event_id);
INSERT INTO enriched_events (organization_id, event_id, transaction_id, external_subscription_id, code, "timestamp",
    subscription_id, plan_id, charge_id, value, decimal_value, enriched_at)
SELECT md5((i % 3)::text)::uuid, md5('e' || i)::uuid, 't' || i, 's' || i % 20, 'api_call',
    timestamp '2024-03-20' + i * interval '1 hour', md5('s' || i % 20)::uuid, md5('p')::uuid, md5('c' || i % 5)::uuid,
    i::text, i / 7.0, timestamp '2024-06-15'
FROM generate_series(1, 2000) i;
"""


def model() -> MetaData:
    metadata = MetaData()
    columns: tuple[Column[Any], ...] = (
        Column("id", Uuid, primary_key=True),
        *(Column(name, Uuid, nullable=False) for name in ("organization_id", "event_id", "subscription_id", "plan_id")),
        *(Column(name, Text, nullable=False) for name in ("transaction_id", "external_subscription_id", "code")),
        Column("timestamp", TIMESTAMP(precision=6), primary_key=True),
        *(Column(name, Uuid) for name in ("charge_id", "charge_filter_id")),
        Column("grouped_by", JSONB, nullable=False),
        Column("value", Text),
        Column("decimal_value", Numeric(40, 15), nullable=False),
        Column("enriched_at", DateTime, nullable=False),
        Column("note", Text),
    )
    spec = PartitionByRange("timestamp", interval="1 month", retention=Retention("14 months", then="detach"))
    Table("enriched_events", metadata, *columns, spec)
    return metadata


@pytest.fixture
def converter(engine: Engine) -> Converter:
    run(engine, SETUP)
    return Converter(engine, model(), now=NOW)


def test_it_is_converted_and_taken_back(engine: Engine, converter: Converter) -> None:
    """Every object is there in between, and equal to the start in the end; so is every row."""
    start, content = snapshot(engine), rows(engine, 'SELECT * FROM enriched_events ORDER BY "timestamp"')
    converter.convert("enriched_events")

    key = "enriched_events_pkey"
    assert [line for line in lost(start, snapshot(engine)) if key not in line] == [
        "table public.enriched_events kind: r"
    ]
    assert content == rows(engine, 'SELECT * FROM enriched_events ORDER BY "timestamp"')
    converter.undo("enriched_events")
    assert "" == difference(start, snapshot(engine))
    assert content == rows(engine, 'SELECT * FROM enriched_events ORDER BY "timestamp"')


def test_the_maintainer_has_nothing_to_say(engine: Engine, converter: Converter) -> None:
    """The check is clean, and a run makes nothing; the unique index watches over new months."""
    run(engine, "ANALYZE enriched_events")  # else the planner only guesses how many rows are past the retention
    converter.convert("enriched_events")
    maintainer = Maintainer(engine, converter.metadata, now=NOW)

    assert [] == list(maintainer.check())
    assert not maintainer.plan()
    run(engine, _COPIED.format(month="2024-07-03"))
    with pytest.raises(Exception, match="duplicate key value violates unique constraint"):
        run(engine, _COPIED.format(month="2024-07-03"))


def test_a_late_month_is_kept_and_an_old_history_is_detached(engine: Engine, converter: Converter) -> None:
    """Fourteen months after its end the history leaves the table, and stays as a table of its own."""
    converter.convert("enriched_events")
    later = NOW + timedelta(days=500)
    Maintainer(engine, converter.metadata, now=later).run()

    assert 0 == value(engine, "SELECT count(*) FROM enriched_events")
    assert 2000 == value(engine, "SELECT count(*) FROM enriched_events_history")


_COPIED = """
INSERT INTO enriched_events (organization_id, event_id, transaction_id, external_subscription_id, code, "timestamp",
    subscription_id, plan_id, charge_id)
SELECT organization_id, event_id, transaction_id, external_subscription_id, code, '{month}', subscription_id, plan_id,
    charge_id FROM enriched_events WHERE transaction_id = 't7' LIMIT 1
"""
