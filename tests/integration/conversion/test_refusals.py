"""What can't be converted in place is refused by name, all reasons at once, and nothing is touched."""

import pytest
from sqlalchemy import BigInteger, Column, DateTime, Engine, Identity

from sa_partman import PartitionByHash, PartitionByRange
from sa_partman.errors import Refused
from sa_partman.maintenance.converter import Converter
from tests.support.carrying import EVENTS, NOW, Case, declared, refused, run
from tests.support.catalog_snapshot import snapshot

REASONS = {
    "it has rules (r, s)": "CREATE RULE s AS ON DELETE TO events DO NOTHING;"
    "CREATE RULE r AS ON UPDATE TO events DO ALSO NOTHING",
    "other tables inherit from it (public.child)": "CREATE TABLE child () INHERITS (events)",
    "it inherits from public.above": "CREATE TABLE above (); ALTER TABLE events INHERIT above",
    "u is unique over (kind, amount) and lacks created_at": "CREATE UNIQUE INDEX u ON events (kind, amount)",
    "u is unique over ((an expression)) and lacks created_at": "CREATE UNIQUE INDEX u ON events ((amount + 1))",
    "the exclusion constraint u": "ALTER TABLE events ADD CONSTRAINT u EXCLUDE USING btree (amount WITH =)",
    "the constraint u is deferrable": "ALTER TABLE events ADD CONSTRAINT u UNIQUE (id, created_at) DEFERRABLE",
    "the CHECK constraint c is NOT VALID": "ALTER TABLE events ADD CONSTRAINT c CHECK (amount > 0) NOT VALID",
    "the CHECK constraint c is NO INHERIT": "ALTER TABLE events ADD CONSTRAINT c CHECK (amount > 0) NO INHERIT",
}


@pytest.mark.parametrize(("reason", "made"), REASONS.items(), ids=REASONS.keys())
def test_it_is_refused_by_name(engine: Engine, reason: str, made: str) -> None:
    """With what to do."""
    assert f"{reason}; " in refused(engine, EVENTS + made).replace(":", ";", 1)


def test_an_invalid_index_is_refused(engine: Engine) -> None:
    """It is what an interrupted build left."""
    made = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'i'::regclass"

    assert "the index i is invalid" in refused(engine, f"{EVENTS} CREATE INDEX i ON events (kind); {made}")


def test_all_reasons_are_named_at_once(engine: Engine) -> None:
    """One look is enough."""
    made = """
        CREATE UNIQUE INDEX u ON events (kind, amount); CREATE MATERIALIZED VIEW m AS SELECT * FROM events;
        CREATE TABLE notes (n bigint REFERENCES events); UPDATE events SET created_at = 'infinity' WHERE id = 1
    """
    reasons = refused(engine, EVENTS + made)

    for reason in ("u is unique over", "materialized view", "notes refers to it", "1 rows lie outside"):
        assert reason in reasons


def test_hash_waits_for_the_strategy_that_copies(engine: Engine) -> None:
    """Its rows would have to be moved."""
    metadata = declared(
        Column("id", BigInteger, Identity(), primary_key=True),
        spec=PartitionByHash("id", modulus=4),
    )

    assert "HASH spreads the rows over all partitions" in refused(engine, EVENTS, metadata)


def test_a_choice_about_an_index_that_is_none_is_refused(engine: Engine) -> None:
    """It would be a typing error, and the wrong index would go."""
    assert "there is no unique index x" in refused(engine, EVENTS, unique={"x": "drop"})


def test_a_primary_key_that_the_model_has_not_is_refused(engine: Engine) -> None:
    """It would be lost without a word."""
    metadata = declared(Column("id", BigInteger), Column("created_at", DateTime(timezone=True), nullable=False))

    assert "the model declares no primary key, and the table has events_pkey" in refused(engine, EVENTS, metadata)


def test_a_column_of_the_primary_key_that_may_be_null_is_refused(engine: Engine) -> None:
    """The swap would have to read the table for it."""
    columns = [Column(name, BigInteger, primary_key=True, autoincrement=False) for name in ("id", "ref")]
    metadata = declared(*columns, Column("created_at", DateTime(timezone=True), primary_key=True))

    assert "ref is to be in the primary key and may be NULL" in refused(
        engine, EVENTS + "ALTER TABLE events ADD ref bigint", metadata
    )


def test_what_is_no_plain_table_is_refused(engine: Engine) -> None:
    """One that is partitioned otherwise, a view, and nothing at all."""
    converter = Converter(engine, declared(), now=NOW)

    assert "does not exist" in str(converter.plan("events").refusals[0])
    run(engine, "CREATE VIEW events AS SELECT 1 AS id, now() AS created_at")
    assert "it is not a table" in str(converter.plan("events").refusals[0])
    run(engine, "DROP VIEW events; CREATE TABLE events (id int, created_at date) PARTITION BY RANGE (created_at)")
    assert "the key column created_at is date in the database" in str(converter.plan("events").refusals[0])


def test_an_undo_without_a_conversion_is_refused(engine: Engine) -> None:
    """There is nothing to take back."""
    run(engine, EVENTS)
    with pytest.raises(Refused, match="no finished conversion"):
        Converter(engine, declared(), now=NOW).undo("events")


def test_a_plan_changes_nothing(engine: Engine) -> None:
    """It only looks, and makes no schema of its own."""
    run(engine, EVENTS)
    before = snapshot(engine, "public", "sa_partman")
    plan = Converter(engine, declared(), now=NOW).plan("events")

    assert "cutover" in [step.id for step in plan.steps]
    assert before == snapshot(engine, "public", "sa_partman")


def test_a_boundary_is_put_on_the_grid(engine: Engine) -> None:
    """A moment inside a month means the beginning of that month; what lies behind it is refused."""
    run(engine, EVENTS)
    spec = PartitionByRange("created_at", interval="1 month", premake=1)
    case = Case(engine, "", declared(spec=spec), boundary="2024-08-20")

    assert "table public.events_history bound: FOR VALUES FROM (MINVALUE) TO ('2024-08-01 00:00:00+00')" in [
        line.replace(" GMT", "+00") for line in case.converted
    ]
