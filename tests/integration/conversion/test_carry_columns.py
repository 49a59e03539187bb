"""Columns: their types, order, defaults, sequences, identity and generation, and the rows in them."""

import pytest
from sqlalchemy import Engine

from tests.support.carrying import EVENTS, Case, carried, refused, rows, run, together, value

COLUMNS = {
    "default": "ALTER TABLE events ADD COLUMN d text DEFAULT upper('it''s \\ 100%')",
    "collation": "ALTER TABLE events ADD COLUMN c text COLLATE \"C\" NOT NULL DEFAULT ''",
    "generated": "ALTER TABLE events ADD COLUMN g text GENERATED ALWAYS AS (kind || amount) STORED",
    "storage": "ALTER TABLE events ALTER COLUMN kind SET STORAGE EXTERNAL",
    "compression": "ALTER TABLE events ALTER COLUMN kind SET COMPRESSION pglz",
    "dropped": "ALTER TABLE events DROP COLUMN kind; ALTER TABLE events ADD COLUMN kind text; "
    "UPDATE events SET kind = 'k'; ALTER TABLE events DROP COLUMN amount",
    "enum": "CREATE TYPE mood AS ENUM ('sad', 'glad'); ALTER TABLE events ADD COLUMN mood mood DEFAULT 'glad'",
    "domain": "CREATE DOMAIN positive AS int CHECK (VALUE > 0); ALTER TABLE events ALTER COLUMN amount TYPE positive",
    "array": "ALTER TABLE events ADD COLUMN tags text[] DEFAULT '{a,b}'",
    "composite": "CREATE TYPE pair AS (a int, b text); ALTER TABLE events ADD COLUMN pair pair DEFAULT (1, 'x')",
    "statistics": "ALTER TABLE events ALTER COLUMN kind SET STATISTICS 777; "
    "ALTER TABLE events ALTER COLUMN kind SET (n_distinct = -0.5)",
    "check": "ALTER TABLE events ADD CONSTRAINT \"Odd % check\" CHECK (amount > 0 AND kind <> '%s :x'); "
    "COMMENT ON CONSTRAINT \"Odd % check\" ON events IS 'why'",
    "comments": "COMMENT ON TABLE events IS 'it''s \\ 100% :x'; COMMENT ON COLUMN events.kind IS '%(s)s'",
    "odd names": 'ALTER TABLE events ADD COLUMN "a ""b"" %s :c" int DEFAULT 1;'
    'CREATE INDEX i ON events ("a ""b"" %s :c")',
    "sequence elsewhere": "CREATE SCHEMA other; CREATE SEQUENCE other.s START 7; "
    "ALTER TABLE events ADD COLUMN n bigint DEFAULT nextval('other.s')",
}


TOGETHER = {name: made for name, made in COLUMNS.items() if name not in ("dropped", "domain")}
"""Those that don't change what another one is about."""


@pytest.mark.once  # elsewhere all of them at once, see below
@pytest.mark.parametrize("feature", TOGETHER.values(), ids=TOGETHER.keys())
def test_a_column_is_carried_and_comes_back(engine: Engine, feature: str) -> None:
    """As it was, at its place, with all that is said of it."""
    case = carried(engine, feature)

    assert "" == case.back()


@pytest.mark.parametrize("feature", ["dropped", "domain"])
def test_a_column_that_was_another_is_carried_and_comes_back(engine: Engine, feature: str) -> None:
    """What is left of the one before is not taken for it."""
    case = carried(engine, COLUMNS[feature])

    assert "" == case.back()


def test_all_of_them_at_once(engine: Engine) -> None:
    """On one table: none is taken for another, and each server has to do with each of them."""
    case = carried(engine, together(TOGETHER.values(), "i"))

    assert "" == case.back()


def test_a_virtual_column_is_carried(engine: Engine, server_major: int) -> None:
    """PostgreSQL 18 computes it when it is read."""
    if server_major < 18:
        pytest.skip("PostgreSQL 18 has virtual generated columns")
    case = carried(engine, "ALTER TABLE events ADD COLUMN g int GENERATED ALWAYS AS (amount * 2) VIRTUAL")

    assert "" == case.back()


def test_names_and_comments_of_not_null_are_carried(engine: Engine, server_major: int) -> None:
    """PostgreSQL 18 has NOT NULL constraints with names."""
    if server_major < 18:
        pytest.skip("PostgreSQL 18 names NOT NULL constraints")
    case = carried(
        engine,
        "ALTER TABLE events RENAME CONSTRAINT events_kind_not_null TO kind_is_there;"
        "COMMENT ON CONSTRAINT kind_is_there ON events IS 'always'",
    )

    assert "" == case.back()


@pytest.mark.parametrize("when", ["ALWAYS", "BY DEFAULT"])
def test_an_identity_goes_on_where_it_stood(engine: Engine, when: str) -> None:
    """No number comes twice, and none is left out: not by the conversion, and not by the undo."""
    script = EVENTS.replace("BY DEFAULT", when) + (
        "ALTER TABLE events ALTER COLUMN id SET INCREMENT BY 3; CREATE ROLE sa_partman_reader;"
        "GRANT USAGE ON SEQUENCE events_id_seq TO sa_partman_reader WITH GRANT OPTION;"
        "COMMENT ON SEQUENCE events_id_seq IS 'numbers'"
    )
    try:
        case = Case(engine, script)

        assert [] == case.lost
        assert 303 == value(engine, "INSERT INTO events DEFAULT VALUES RETURNING id")
        assert 306 == value(engine, "INSERT INTO events (created_at) VALUES ('2024-07-03') RETURNING id")
        assert "+sequence public.events_id_seq last value: 306" in case.back()
        assert 309 == value(engine, "INSERT INTO events DEFAULT VALUES RETURNING id")
    finally:
        run(engine, "DROP OWNED BY sa_partman_reader; DROP ROLE sa_partman_reader")


def test_an_identity_that_was_never_used_begins_at_its_start(engine: Engine) -> None:
    """The first row of an empty table has the number that it would have had."""
    script = EVENTS.partition("INSERT INTO")[0] + "ALTER TABLE events ALTER COLUMN id SET START WITH 40 RESTART"
    case = Case(engine, script)

    assert "" == case.back()
    case.converter.convert("events")
    assert 40 == value(engine, "INSERT INTO events DEFAULT VALUES RETURNING id")


def test_a_serial_keeps_its_sequence(engine: Engine) -> None:
    """The very sequence, cache and all, belongs to the partitioned table: the history can be dropped without it."""
    script = EVENTS.replace("bigint GENERATED BY DEFAULT AS IDENTITY", "bigserial")
    case = Case(engine, script + "ALTER SEQUENCE events_id_seq CACHE 20 OWNED BY events.id")

    assert [] == case.lost
    assert "" == case.back()
    case.converter.convert("events")
    run(engine, "ALTER TABLE events DETACH PARTITION events_history; DROP TABLE events_history")
    assert 301 == value(engine, "INSERT INTO events (created_at) VALUES ('2024-07-03') RETURNING id")


def test_rows_are_the_same_rows(engine: Engine) -> None:
    """Wide ones that lie in the TOAST table too: nothing is written."""
    wide = (
        "ALTER TABLE events ADD COLUMN wide text; ALTER TABLE events ALTER COLUMN wide SET STORAGE EXTERNAL;"
        "UPDATE events SET wide = repeat(id || 'x', 5000)"
    )
    look = "SELECT ctid, xmin, id, created_at, md5(wide) FROM {} ORDER BY id"
    run(engine, EVENTS + wide)
    before = rows(engine, look.format("events"))
    case = Case(engine, "")

    assert before == rows(engine, look.format("events_history"))
    case.converter.undo("events")
    assert before == rows(engine, look.format("events"))


def test_an_identity_sequence_that_others_use_is_refused(engine: Engine) -> None:
    """It would vanish under their feet."""
    elsewhere = "CREATE TABLE other (n bigint DEFAULT nextval('events_id_seq'))"

    assert "events_id_seq is used by default value for column n of table public.other" in refused(
        engine, EVENTS + elsewhere
    )


def test_a_generated_column_is_computed_in_new_partitions(engine: Engine) -> None:
    """And moved rows are computed anew by the undo."""
    case = Case(engine, EVENTS + "ALTER TABLE events ADD COLUMN g int GENERATED ALWAYS AS (amount * 2) STORED")
    run(engine, "INSERT INTO events (created_at, amount) VALUES ('2024-07-03', 21)")
    case.converter.undo("events")

    assert [(42,)] == rows(engine, "SELECT g FROM events WHERE amount = 21 ORDER BY id DESC LIMIT 1")
