"""Indexes and unique keys: the partitioned table has each under its name, and the history keeps its own files."""

import pytest
from sqlalchemy import BigInteger, Column, DateTime, Engine

from tests.support.carrying import EVENTS, Case, carried, declared, together, value

INDEXES = {
    "plain": "CREATE INDEX i ON events (kind)",
    "partial": "CREATE INDEX i ON events (amount) WHERE kind = 'x' AND amount > 5",
    "expression": "CREATE INDEX i ON events (lower(kind), (amount % 10))",
    "include": "CREATE INDEX i ON events (kind) INCLUDE (amount)",
    "order": "CREATE INDEX i ON events (kind DESC NULLS LAST, amount NULLS FIRST)",
    "operator class": "CREATE INDEX i ON events (kind text_pattern_ops)",
    "collation": 'CREATE INDEX i ON events (kind COLLATE "C")',
    "hash": "CREATE INDEX i ON events USING hash (kind)",
    "gin": "CREATE INDEX i ON events USING gin (to_tsvector('simple', kind))",
    "gist": "CREATE INDEX i ON events USING gist (tsrange(NULL, NULL), point(amount, amount))",
    "spgist": "CREATE INDEX i ON events USING spgist (kind)",
    "brin": "CREATE INDEX i ON events USING brin (created_at) WITH (pages_per_range = 16)",
    "options": "CREATE INDEX i ON events (kind) WITH (fillfactor = 70, deduplicate_items = off)",
    "unique": "CREATE UNIQUE INDEX i ON events (kind, amount, created_at)",
    "unique expression": "CREATE UNIQUE INDEX i ON events (lower(kind), created_at)",
    "unique partial": "CREATE UNIQUE INDEX i ON events (kind, created_at) WHERE amount > 3",
    "unique constraint": "ALTER TABLE events ADD CONSTRAINT i UNIQUE (created_at, kind)",
    "unique constraint with more": "ALTER TABLE events ADD CONSTRAINT i UNIQUE (created_at, kind) INCLUDE (amount) "
    "WITH (fillfactor = 60)",
    "renamed constraint": "ALTER TABLE events ADD CONSTRAINT u UNIQUE (created_at, kind);"
    "ALTER INDEX u RENAME TO uq_events__created_at__kind",
    "odd name": 'CREATE INDEX "Ix ""%s"" : 100%" ON events (kind)',
    "comment": "CREATE INDEX i ON events (kind); COMMENT ON INDEX i IS 'it''s \\ 100% :x'",
    "comment on a constraint": "ALTER TABLE events ADD CONSTRAINT i UNIQUE (created_at, kind);"
    "COMMENT ON CONSTRAINT i ON events IS 'c'; COMMENT ON INDEX i IS 'i'",
    "comment on the primary key": "COMMENT ON CONSTRAINT events_pkey ON events IS 'c';"
    "COMMENT ON INDEX events_pkey IS 'i'",
    "statistics target": "CREATE INDEX i ON events (lower(kind)); ALTER INDEX i ALTER COLUMN 1 SET STATISTICS 500",
}


@pytest.mark.once  # elsewhere all of them at once, see below
@pytest.mark.parametrize("feature", INDEXES.values(), ids=INDEXES.keys())
def test_an_index_is_carried_and_comes_back(engine: Engine, feature: str) -> None:
    """Whatever its kind, the partitioned table has it under the same name; the undo gives the first one back."""
    case = carried(engine, feature)

    assert "" == case.back()


def test_all_of_them_at_once(engine: Engine) -> None:
    """On one table: none is taken for another, and each server has to do with each of them."""
    case = carried(engine, together(INDEXES.values(), "i|u|uq_events__created_at__kind"))

    assert "" == case.back()


def test_nulls_not_distinct_is_carried(engine: Engine, server_major: int) -> None:
    """Since PostgreSQL 15: two NULLs are one value too many on the partitioned table as well."""
    if server_major < 15:
        pytest.skip("PostgreSQL 15 has NULLS NOT DISTINCT")
    case = carried(engine, "CREATE UNIQUE INDEX i ON events (created_at, amount) NULLS NOT DISTINCT")

    assert "" == case.back()


def test_new_partitions_have_every_index(engine: Engine) -> None:
    """A partition that did not exist before has as many indexes as the history."""
    carried(engine, "CREATE INDEX i ON events (kind); CREATE INDEX j ON events (lower(kind)) WHERE amount > 1")

    counted = "SELECT count(*) FROM pg_index WHERE indrelid = 'events_p20240701'::regclass AND indisvalid"
    assert 3 == value(engine, counted)


def test_a_primary_key_keeps_the_name_of_a_naming_convention(engine: Engine) -> None:
    """It has one column more and is called what it was called."""
    case = Case(engine, EVENTS + "ALTER TABLE events RENAME CONSTRAINT events_pkey TO pk_events")

    assert case.has("constraint pk_events on public.events: PRIMARY KEY (id, created_at)")
    assert "" == case.back()


def test_a_primary_key_that_fits_stays_as_it_is(engine: Engine) -> None:
    """Nothing is built where the key holds the partition key already; INCLUDE and fillfactor stay."""
    script = EVENTS.replace("PRIMARY KEY,", "NOT NULL,") + (
        "ALTER TABLE events ADD PRIMARY KEY (id, created_at) INCLUDE (kind) WITH (fillfactor = 80)"
    )
    case = Case(engine, script)

    assert [] == case.lost
    assert "unique_index" not in [step.id for step in case.converter.state("events").steps]  # type: ignore[union-attr]
    assert "" == case.back()


def test_a_primary_key_with_included_columns_keeps_them(engine: Engine) -> None:
    """The longer key includes what the shorter one did."""
    script = EVENTS.replace("PRIMARY KEY,", "NOT NULL,") + (
        "ALTER TABLE events ADD PRIMARY KEY (id) INCLUDE (kind) WITH (fillfactor = 80)"
    )
    case = Case(engine, script)

    assert case.has("constraint events_pkey on public.events: PRIMARY KEY (id, created_at) INCLUDE (kind)")
    assert "" == case.back()


def test_a_table_without_a_primary_key_gets_the_model_s(engine: Engine) -> None:
    """And loses it again with the undo."""
    case = Case(engine, EVENTS.replace("PRIMARY KEY,", "NOT NULL,"))

    assert case.has("constraint events_pkey on public.events: PRIMARY KEY (id, created_at)")
    assert "" == case.back()


def test_a_model_without_a_primary_key_needs_none(engine: Engine) -> None:
    """A plain table and a model that both have none are converted as they are."""
    metadata = declared(Column("id", BigInteger), Column("created_at", DateTime(timezone=True), nullable=False))
    case = Case(engine, EVENTS.replace("PRIMARY KEY,", "NOT NULL,"), metadata)

    assert [] == case.lost
    assert "" == case.back()


def test_a_unique_index_without_the_key_stays_with_the_history(engine: Engine) -> None:
    """With unique={...: "local"} it goes on to watch over the old rows, and over all of them after the undo."""
    case = Case(engine, EVENTS + "CREATE UNIQUE INDEX u ON events (amount)", unique={"u": "local"})

    assert case.has("index public.u of public.events_history: CREATE UNIQUE INDEX u ON public.events_history "
                    "USING btree (amount)")  # fmt: skip
    assert "" == case.back()


@pytest.mark.parametrize(
    "feature",
    [
        "CREATE UNIQUE INDEX u ON events (amount)",
        "ALTER TABLE events ADD CONSTRAINT u UNIQUE (amount)",
        "ALTER TABLE events ADD CONSTRAINT u EXCLUDE USING btree (amount WITH =)",
        "ALTER TABLE events ADD CONSTRAINT u UNIQUE (created_at, id) DEFERRABLE",
    ],
)
def test_a_unique_key_is_dropped_when_told(engine: Engine, feature: str) -> None:
    """With unique={...: "drop"} nothing of it is left, and everything else is."""
    case = Case(engine, EVENTS + feature, unique={"u": "drop"})

    assert [] == [line for line in case.converted if " u " in line or ".u " in line]
    assert all(" u " in line or ".u " in line for line in case.lost)


def test_two_indexes_of_the_same_definition_are_not_mixed_up(engine: Engine) -> None:
    """PostgreSQL pairs the history's with the partitioned table's as it likes; the undo tells them apart."""
    made = "CREATE INDEX z ON events (kind) WITH (fillfactor = 70); CREATE INDEX a ON events (kind);"
    case = carried(engine, made + "ALTER TABLE events ADD CONSTRAINT u UNIQUE (id, created_at)")

    assert "" == case.back()
