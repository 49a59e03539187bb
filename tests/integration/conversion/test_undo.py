"""The way back: also after new rows, new columns, new indexes and new privileges came."""

import pytest
from sqlalchemy import Engine

from sa_partman.errors import ConversionRefused, Refused
from tests.support.carrying import EVENTS, Case, rows, run, value
from tests.support.catalog_snapshot import difference


def test_convert_and_undo_may_follow_each_other(engine: Engine) -> None:
    """Each finds what the other one left, which is nothing."""
    case = Case(engine, EVENTS + "CREATE INDEX i ON events (kind); CREATE VIEW v AS SELECT * FROM events")

    for _ in range(2):
        assert "" == case.back()
        case.converter.convert("events")
        assert case.converted == case.look()


def test_new_rows_come_along(engine: Engine) -> None:
    """From every partition, with their numbers."""
    case = Case(engine, EVENTS)
    run(engine, "INSERT INTO events (created_at, kind) VALUES ('2024-07-03', 'n'), ('2024-07-04', 'n')")
    run(engine, "INSERT INTO events (created_at, kind) VALUES ('2024-05-03', 'n')")
    before = rows(engine, "SELECT * FROM events ORDER BY id")
    case.converter.undo("events")

    assert before == rows(engine, "SELECT * FROM events ORDER BY id")
    assert [("events",)] == rows(engine, "SELECT DISTINCT tableoid::regclass::text FROM events")
    assert 304 == value(engine, "INSERT INTO events DEFAULT VALUES RETURNING id")


def test_too_many_rows_are_refused_with_their_number(engine: Engine) -> None:
    """They would be moved while everybody waits."""
    case = Case(engine, EVENTS)
    run(engine, "INSERT INTO events (created_at) SELECT '2024-07-03' FROM generate_series(1, 20)")
    with pytest.raises(ConversionRefused, match="11 rows are in other partitions, and at most 10"):
        case.converter.undo("events", max_rows=10)

    assert 20 == value(engine, "SELECT count(*) FROM events_p20240701")


LATER = {
    "column": "ALTER TABLE events ADD COLUMN later text NOT NULL DEFAULT 'x'",
    "index": "CREATE INDEX later ON events (kind, amount); COMMENT ON INDEX later IS 'x'",
    "unique constraint": "ALTER TABLE events ADD CONSTRAINT later UNIQUE (kind, created_at)",
    "grants": "GRANT SELECT (kind) ON events TO PUBLIC; GRANT INSERT ON events TO PUBLIC",
    "comments": "COMMENT ON TABLE events IS 'now'; COMMENT ON COLUMN events.kind IS NULL; COMMENT ON INDEX i IS 'i'",
    "policy": "CREATE POLICY later ON events USING (amount > 1); ALTER TABLE events ENABLE ROW LEVEL SECURITY;"
    "DROP POLICY p ON events",
    "check": "ALTER TABLE events ADD CONSTRAINT later CHECK (amount > -5)",
    "trigger": "CREATE TRIGGER later BEFORE UPDATE ON events FOR EACH ROW EXECUTE FUNCTION f();"
    "DROP TRIGGER t ON events",
    "statistics": "CREATE STATISTICS later ON kind, id FROM events; ALTER STATISTICS st SET STATISTICS 9;"
    "ALTER TABLE events ALTER kind SET STATISTICS 55, ALTER amount SET STATISTICS -1",
    "view": "CREATE VIEW later AS SELECT kind FROM events",
    "foreign key": "CREATE TABLE k (kind text PRIMARY KEY); INSERT INTO k SELECT DISTINCT kind FROM events;"
    "ALTER TABLE events ADD CONSTRAINT later FOREIGN KEY (kind) REFERENCES k",
    "default": "ALTER TABLE events ALTER kind SET DEFAULT 'later', ALTER amount DROP NOT NULL",
    "replica identity": "ALTER TABLE events REPLICA IDENTITY FULL",
    "rename": "ALTER TABLE events RENAME kind TO sort; ALTER INDEX i RENAME TO later",
    "dropped": "ALTER TABLE events DROP COLUMN kind",
}
BEFORE = """
CREATE INDEX i ON events (kind, id); COMMENT ON COLUMN events.kind IS 'before';
CREATE POLICY p ON events USING (true); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER t BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION f();
CREATE STATISTICS st ON amount, id FROM events; ALTER TABLE events ALTER amount SET STATISTICS 44;
"""


@pytest.mark.parametrize("later", LATER.values(), ids=LATER.keys())
def test_what_was_changed_since_stays_changed(engine: Engine, later: str) -> None:
    """The plain table is what it would be if it had been plain when that was done."""
    case = Case(engine, EVENTS + BEFORE)
    run(engine, later)
    case.converter.undo("events")
    after = case.look()
    run(engine, "DROP SCHEMA public CASCADE; DROP SCHEMA sa_partman CASCADE; CREATE SCHEMA public")
    run(engine, EVENTS + BEFORE)
    run(engine, later)

    assert "" == difference(_public(case.look()), _public(after))


def _public(lines: tuple[str, ...]) -> list[str]:
    """A dropped and a new schema of that name differ in who owns it."""
    return [line for line in lines if "last value" not in line]


def test_a_history_that_is_gone_is_refused(engine: Engine) -> None:
    """Detached or dropped: what was before can't come back."""
    case = Case(engine, EVENTS)
    run(engine, "ALTER TABLE events DETACH PARTITION events_history")

    with pytest.raises(Refused, match=r"is gone \(dropped or detached\); nothing was changed"):
        case.converter.undo("events")


def test_numbers_that_are_there_twice_are_shown_and_refused(engine: Engine) -> None:
    """The partitioned table allowed it, and the plain one can't."""
    case = Case(engine, EVENTS)
    run(engine, "INSERT INTO events (id, created_at) VALUES (7, '2024-07-03'), (8, '2024-07-03')")
    before = case.look()
    with pytest.raises(ConversionRefused, match=r"more than one row has the same \(id\), .*: 7; 8"):
        case.converter.undo("events")

    assert before == case.look()


def test_numbers_that_are_there_twice_in_the_history_stop_the_first_step(engine: Engine) -> None:
    """The unique index finds them; the partitioned table goes on, and is what it was after the abort."""
    case = Case(engine, EVENTS)
    run(engine, "INSERT INTO events (id, created_at) VALUES (7, '2024-05-03')")
    before = case.look()
    with pytest.raises(Exception, match=r"unique_index.*Key \(id\)=\(7\) is duplicated"):
        case.converter.undo("events")
    case.converter.abort("events")

    assert before == case.look()


def test_a_view_of_a_single_partition_is_refused_by_name(engine: Engine) -> None:
    """It would have to be dropped with it."""
    case = Case(engine, EVENTS)
    run(engine, "CREATE VIEW v AS SELECT * FROM events_p20240701")

    with pytest.raises(ConversionRefused, match=r"view public.v depends on a partition that is to be dropped"):
        case.converter.undo("events")


def test_a_name_that_is_taken_is_refused(engine: Engine) -> None:
    """Before anything is touched."""
    case = Case(engine, EVENTS)
    run(engine, "CREATE TABLE events_parts ()")

    with pytest.raises(ConversionRefused, match=r"the name public.events_parts, .* is taken by table"):
        case.converter.undo("events")


def test_a_new_foreign_key_to_the_partitioned_table_is_refused(engine: Engine) -> None:
    """The plain table's key is another one."""
    case = Case(engine, EVENTS)
    run(engine, "CREATE TABLE n (a bigint, b timestamptz, CONSTRAINT fk FOREIGN KEY (a, b) REFERENCES events)")

    with pytest.raises(ConversionRefused, match=r"public.n refers to it by fk"):
        case.converter.undo("events")


@pytest.mark.parametrize("scope", ["FOR ALL TABLES", "FOR TABLES IN SCHEMA public"])
def test_what_a_publication_would_send_again_is_refused_before_the_first_step(engine: Engine, scope: str) -> None:
    """Not at the swap, behind an index that was built for nothing; without rows to copy there is nothing to send."""
    if int(value(engine, "SELECT current_setting('server_version_num')")) < 150_000:
        scope = "FOR ALL TABLES"
    case = Case(engine, EVENTS)
    run(engine, f"CREATE PUBLICATION everything {scope} WITH (publish_via_partition_root = true)")
    run(engine, "INSERT INTO events (created_at) VALUES ('2024-07-03')")
    with pytest.raises(
        ConversionRefused, match="1 rows of other partitions are copied, and the publication everything"
    ):
        case.converter.undo("events")
    assert [] == rows(engine, "SELECT relname FROM pg_class WHERE relname = 'events_pkey_old'")

    run(engine, "DELETE FROM events WHERE created_at >= '2024-07-01'")
    case.converter.undo("events")
