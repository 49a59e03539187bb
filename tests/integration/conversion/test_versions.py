"""Where PostgreSQL 14 to 18 differ, a conversion does not: each difference that it is built around, as it is seen."""

import psycopg
import pytest
from sqlalchemy import Engine

from sa_partman import PartitionByRange
from tests.support.carrying import EVENTS, Case, declared, refused, run, value

TREE = """
CREATE TABLE p (id int NOT NULL, k int NOT NULL) PARTITION BY RANGE (k);
CREATE TABLE c (id int NOT NULL, k int NOT NULL, CHECK (k IS NOT NULL AND k < 10));
"""
ATTACH = "ALTER TABLE p ATTACH PARTITION c FOR VALUES FROM (MINVALUE) TO (10);"


def test_an_identity_on_a_partition_is_refused_since_17(engine: Engine, server_major: int) -> None:
    """Before, both counted for themselves: so the history's is dropped in any version."""
    run(engine, TREE + "ALTER TABLE c ALTER id ADD GENERATED ALWAYS AS IDENTITY")
    if server_major >= 17:
        with pytest.raises(psycopg.Error, match="contains an identity column"):
            run(engine, ATTACH)
    else:
        run(engine, ATTACH)
    case = Case(engine, EVENTS)

    assert not [line for line in case.converted if "events_history.id identity" in line and server_major < 17]
    ids = [value(engine, f"INSERT INTO events (created_at) VALUES ('2024-0{m}-03') RETURNING id") for m in (5, 7, 5)]
    assert [301, 302, 303] == ids


def test_a_unique_constraint_is_no_primary_key_since_17(engine: Engine, server_major: int) -> None:
    """Before, ATTACH took it for one: so the history gets a real primary key in any version."""
    run(engine, TREE + "ALTER TABLE p ADD PRIMARY KEY (id, k); ALTER TABLE c ADD CONSTRAINT u UNIQUE (id, k);" + ATTACH)
    kept = 1 if server_major < 17 else 2

    assert kept == value(engine, "SELECT count(*) FROM pg_index WHERE indrelid = 'c'::regclass")
    setup = EVENTS.replace("PRIMARY KEY,", "NOT NULL,") + "ALTER TABLE events ADD CONSTRAINT w UNIQUE (id, created_at)"
    case = Case(engine, setup)
    assert case.has("constraint events_pkey_history on public.events_history: PRIMARY KEY (id, created_at)")
    assert "" == case.back()


def test_a_foreign_key_that_is_not_valid_comes_to_partitioned_tables_with_18(engine: Engine, server_major: int) -> None:
    """So each partition gets its own before, which the one of the partitioned table then takes over."""
    add = "ALTER TABLE p ADD CONSTRAINT fk FOREIGN KEY (id) REFERENCES r NOT VALID"
    run(engine, TREE + "CREATE TABLE r (id int PRIMARY KEY)")
    if server_major >= 18:
        run(engine, add)
    else:
        with pytest.raises(psycopg.Error, match="NOT VALID foreign key"):
            run(engine, add)
    Case(engine, EVENTS + "INSERT INTO r SELECT amount FROM events; ALTER TABLE events ADD FOREIGN KEY (amount) "
                          "REFERENCES r")  # fmt: skip

    keys = "SELECT bool_and(convalidated) FROM pg_constraint WHERE conname = 'events_amount_fkey'"
    assert value(engine, keys)


def test_not_null_has_a_name_since_18(engine: Engine, server_major: int) -> None:
    """One that is not proven can't go on, and is refused by its name."""
    if server_major < 18:
        assert 0 == value(engine, "SELECT count(*) FROM pg_constraint WHERE contype = 'n'")
        return
    setup = EVENTS + "ALTER TABLE events ADD ref int; ALTER TABLE events ADD CONSTRAINT there NOT NULL ref NOT VALID"

    assert "the NOT NULL constraint there is NOT VALID" in refused(engine, setup)


def test_what_is_not_enforced_is_refused_since_18(engine: Engine, server_major: int) -> None:
    """It proves nothing."""
    if server_major < 18:
        pytest.skip("PostgreSQL 18 has NOT ENFORCED")
    setup = EVENTS + "ALTER TABLE events ADD CONSTRAINT c CHECK (amount > 0) NOT ENFORCED"

    assert "the CHECK constraint c is NOT ENFORCED" in refused(engine, setup)


def test_exclusion_constraints_are_refused_in_every_version(engine: Engine) -> None:
    """PostgreSQL 17 takes some, and a conversion none."""
    setup = EVENTS + "ALTER TABLE events ADD CONSTRAINT x EXCLUDE USING btree (amount WITH =, created_at WITH =)"

    assert "the exclusion constraint x" in refused(engine, setup)


def test_an_unlogged_partitioned_table_is_refused_since_18(engine: Engine, server_major: int) -> None:
    """So only what holds rows is unlogged, in any version."""
    make = "CREATE UNLOGGED TABLE u (k int) PARTITION BY RANGE (k)"
    if server_major >= 18:
        with pytest.raises(psycopg.Error, match="unlogged"):
            run(engine, make)
    else:
        run(engine, make)
    spec = PartitionByRange("created_at", interval="1 month", premake=1, unlogged=True)
    case = Case(engine, EVENTS.replace("CREATE TABLE", "CREATE UNLOGGED TABLE"), declared(spec=spec))

    assert case.has("table public.events persistence: p")
    assert case.has("table public.events_p20240701 persistence: u")


def test_a_detached_partition_keeps_its_key_to_a_partitioned_table(engine: Engine, server_major: int) -> None:
    """PostgreSQL 14 forgets it: the undo makes it again."""
    tree = "CREATE TABLE r (id int PRIMARY KEY) PARTITION BY RANGE (id);"
    tree += "CREATE TABLE r1 PARTITION OF r FOR VALUES FROM (0) TO (999); INSERT INTO r SELECT generate_series(1, 300);"
    keys = "SELECT count(*) FROM pg_constraint WHERE conrelid = 'c'::regclass AND contype = 'f' AND conparentid = 0"
    fk = "ALTER TABLE {0} ADD CONSTRAINT fk FOREIGN KEY (id) REFERENCES r;"
    run(engine, tree + TREE + fk.format("c") + ATTACH + fk.format("p") + "ALTER TABLE p DETACH PARTITION c")

    assert (0 if server_major < 15 else 1) == value(engine, keys)
    case = Case(engine, EVENTS + "ALTER TABLE events ADD FOREIGN KEY (amount) REFERENCES r")
    assert "" == case.back()


def test_a_key_update_is_an_update_since_15(engine: Engine, server_major: int) -> None:
    """PostgreSQL 14 takes the ON DELETE action when a row moves: there such a foreign key is refused."""
    run(
        engine,
        "CREATE TABLE p (id int, k int, PRIMARY KEY (id, k)) PARTITION BY RANGE (k);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20); INSERT INTO p VALUES (1, 1);"
        "CREATE TABLE n (id int, k int, FOREIGN KEY (id, k) REFERENCES p ON UPDATE CASCADE ON DELETE CASCADE);"
        "INSERT INTO n VALUES (1, 1); UPDATE p SET k = 11",
    )

    assert (0 if server_major < 15 else 1) == value(engine, "SELECT count(*) FROM n")
