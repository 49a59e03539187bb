"""Foreign keys, in both directions."""

import pytest
from sqlalchemy import Engine

from tests.support.carrying import EVENTS, Case, carried, refused, rows, run, value

KINDS = """
CREATE TABLE kinds (kind text PRIMARY KEY, n int UNIQUE, a int, b int, UNIQUE (a, b));
INSERT INTO kinds SELECT chr(96 + i), i, i, i FROM generate_series(1, 5) i;
INSERT INTO kinds SELECT 'k' || i, i + 100 FROM generate_series(1, 300) i;
"""

OUTBOUND = {
    "plain": "ALTER TABLE events ADD CONSTRAINT fk FOREIGN KEY (kind) REFERENCES kinds",
    "deferrable": "ALTER TABLE events ADD FOREIGN KEY (kind) REFERENCES kinds DEFERRABLE INITIALLY DEFERRED",
    "actions": "ALTER TABLE events ADD FOREIGN KEY (kind) REFERENCES kinds ON UPDATE CASCADE ON DELETE RESTRICT",
    "match full": "ALTER TABLE events ADD a int, ADD b int, ADD FOREIGN KEY (a, b) REFERENCES kinds (a, b) MATCH FULL",
    "two tables": "CREATE TABLE two (n int PRIMARY KEY); ALTER TABLE events ADD n int REFERENCES two,"
    "ADD m int CONSTRAINT z REFERENCES two, ADD FOREIGN KEY (kind) REFERENCES kinds",
    "comment": 'ALTER TABLE events ADD CONSTRAINT "fk %s" FOREIGN KEY (kind) REFERENCES kinds;'
    "COMMENT ON CONSTRAINT \"fk %s\" ON events IS 'it''s'",
    "to a partitioned table": "CREATE TABLE p (n int PRIMARY KEY) PARTITION BY RANGE (n);"
    "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9); ALTER TABLE events ADD n int REFERENCES p",
}


@pytest.mark.parametrize("feature", OUTBOUND.values(), ids=OUTBOUND.keys())
def test_an_outbound_key_is_carried_and_comes_back(engine: Engine, feature: str) -> None:
    """Under its name on the partitioned table, with all that it says."""
    case = carried(engine, KINDS + feature)

    assert "" == case.back()


def test_columns_of_set_null_are_carried(engine: Engine, server_major: int) -> None:
    """Since PostgreSQL 15 some columns can be named."""
    if server_major < 15:
        pytest.skip("PostgreSQL 15 has SET NULL (columns)")
    made = "ALTER TABLE events ADD a int, ADD b int, ADD FOREIGN KEY (a, b) REFERENCES kinds (a, b) "
    case = carried(engine, f"{KINDS}{made} ON DELETE SET NULL (a)")

    assert "" == case.back()


def test_an_outbound_key_watches_over_every_partition(engine: Engine) -> None:
    """Also the new ones, and deleting what they refer to is refused."""
    Case(engine, EVENTS + KINDS + OUTBOUND["plain"])
    run(engine, "INSERT INTO events (created_at, kind) VALUES ('2024-07-03', 'k1')")

    for statement in (
        "INSERT INTO events (created_at, kind) VALUES ('2024-07-03', 'nothing')",
        "INSERT INTO events (created_at, kind) VALUES ('2024-05-03', 'nothing')",
        "DELETE FROM kinds WHERE kind = 'k1'",
        "DELETE FROM kinds WHERE kind = 'a'",
    ):
        with pytest.raises(Exception, match="violates foreign key constraint"):
            run(engine, statement)


NOTES = """
CREATE TABLE notes (n bigint, created_at timestamptz);
INSERT INTO notes SELECT id, created_at FROM events;
ALTER TABLE notes ADD CONSTRAINT fk FOREIGN KEY (n) REFERENCES events {action};
COMMENT ON CONSTRAINT fk ON notes IS 'it''s';
"""


def test_an_inbound_key_is_refused_by_name_with_the_choices(engine: Engine) -> None:
    """Nothing is dropped that nobody said may be dropped."""
    reasons = refused(engine, EVENTS + NOTES.format(action=""))

    assert "notes refers to it by fk (n)" in reasons
    assert "--inbound drop" in reasons
    assert "--inbound composite" in reasons


def test_an_inbound_key_is_dropped_when_told(engine: Engine) -> None:
    """And nothing else is."""
    case = Case(engine, EVENTS + NOTES.format(action=""), inbound="drop")

    assert [] == [line for line in case.lost if not line.startswith("constraint fk on public.notes")]
    assert 300 == value(engine, "SELECT count(*) FROM notes")


def test_an_inbound_key_takes_its_composite_form_and_its_old_one_again(engine: Engine) -> None:
    """It refers by the partition key too, is proven, and watches over new partitions; the undo restores it."""
    case = Case(engine, EVENTS + NOTES.format(action="ON UPDATE CASCADE"), inbound="composite")
    kept = "constraint fk on public.notes: FOREIGN KEY (n, created_at) REFERENCES public.events(id, created_at) "

    assert case.has(kept + "ON UPDATE CASCADE")
    assert case.has("constraint fk on public.notes valid: true")
    assert case.has("constraint fk on public.notes comment: it's")
    with pytest.raises(Exception, match="violates foreign key constraint"):
        run(engine, "INSERT INTO notes VALUES (1, '2024-07-03')")
    run(engine, "INSERT INTO events (id, created_at) VALUES (900, '2024-07-03')")
    run(engine, "INSERT INTO notes VALUES (900, '2024-07-03')")
    with pytest.raises(Exception, match="violates foreign key constraint"):
        run(engine, "DELETE FROM events WHERE id = 900")
    assert "" == case.back()


def test_a_key_update_deletes_no_referencing_row(engine: Engine, server_major: int) -> None:
    """ON DELETE CASCADE and a row that moves: PostgreSQL 14 would delete, so there it is refused."""
    setup = EVENTS + NOTES.format(action="ON UPDATE CASCADE ON DELETE CASCADE")
    if server_major < 15:
        assert "with an ON DELETE action" in refused(engine, setup, inbound="composite")
        return
    Case(engine, setup, inbound="composite")
    run(engine, "UPDATE events SET created_at = '2024-07-05' WHERE id = 7")

    assert [(1,)] == rows(engine, "SELECT count(*) FROM notes WHERE n = 7 AND created_at = '2024-07-05'")
    run(engine, "DELETE FROM events WHERE id = 7")
    assert 299 == value(engine, "SELECT count(*) FROM notes")


def test_set_null_leaves_the_partition_key_alone(engine: Engine, server_major: int) -> None:
    """The composite form sets what the old one did."""
    setup = EVENTS + NOTES.format(action="ON DELETE SET NULL") + "ALTER TABLE notes ALTER created_at SET NOT NULL"
    if server_major < 15:
        assert "with an ON DELETE action" in refused(engine, setup, inbound="composite")
        return
    case = Case(engine, setup, inbound="composite")
    run(engine, "DELETE FROM events WHERE id = 7")

    assert 1 == value(engine, "SELECT count(*) FROM notes WHERE n IS NULL AND created_at IS NOT NULL")
    case.converter.undo("events")
    assert (
        "constraint fk on public.notes: FOREIGN KEY (n) REFERENCES public.events(id) ON DELETE SET NULL" in case.look()
    )


def test_a_composite_form_that_does_not_hold_is_refused(engine: Engine) -> None:
    """A column of the same name may mean something else: the rows are looked at before."""
    setup = EVENTS + NOTES.format(action="") + "UPDATE notes SET created_at = now() WHERE n < 4;"
    setup += "UPDATE notes SET created_at = NULL WHERE n = 5"

    assert "4 rows of public.notes refer to no row by fk in its composite form (n, created_at)" in refused(
        engine, setup, inbound="composite"
    )


def test_a_composite_form_needs_the_column(engine: Engine) -> None:
    """Without it there is no such form."""
    setup = EVENTS + NOTES.format(action="") + "ALTER TABLE notes DROP COLUMN created_at"

    assert "notes refers to it by fk (n)" in refused(engine, setup, inbound="composite")


def test_an_inbound_key_that_holds_the_partition_key_goes_on(engine: Engine) -> None:
    """Nobody has to be asked."""
    setup = (
        EVENTS.replace("PRIMARY KEY,", "NOT NULL,")
        + """
        ALTER TABLE events ADD PRIMARY KEY (id, created_at);
        CREATE TABLE notes (n bigint, at timestamptz, FOREIGN KEY (n, at) REFERENCES events);
        INSERT INTO notes SELECT id, created_at FROM events;
    """
    )
    case = Case(engine, setup)

    assert [] == case.lost
    assert "" == case.back()


SELF = "ALTER TABLE events ADD parent bigint CONSTRAINT self REFERENCES events"


def test_a_key_to_itself_is_refused_by_name(engine: Engine) -> None:
    """With what can be done."""
    reasons = refused(engine, EVENTS + SELF, inbound="composite")

    assert "the foreign key self refers to the table itself; drop that foreign key (--inbound drop)" in reasons


def test_a_key_to_itself_is_dropped_when_told(engine: Engine) -> None:
    """Like every other inbound one."""
    case = Case(engine, EVENTS + SELF, inbound="drop")

    assert [] == [line for line in case.lost if not line.startswith("constraint self on public.events")]


def test_a_key_that_was_not_proven_is_refused(engine: Engine) -> None:
    """Its rows may break it."""
    made = KINDS + "ALTER TABLE events ADD CONSTRAINT fk FOREIGN KEY (kind) REFERENCES kinds NOT VALID"

    assert "the foreign key fk is NOT VALID" in refused(engine, EVENTS + made)


def test_deferred_keys_stay_deferred(engine: Engine) -> None:
    """Checked at commit, in a new partition as well."""
    Case(engine, EVENTS + KINDS + OUTBOUND["deferrable"])
    row = "INSERT INTO events (created_at, kind) VALUES ('2024-07-03', 'later');"
    with pytest.raises(Exception, match="violates foreign key constraint"):
        run(engine, row)

    run(engine, row + "INSERT INTO kinds (kind, n) VALUES ('later', 9999)")
