"""Triggers: of every kind and state, on the partitioned table and so on every partition."""

import pytest
from sqlalchemy import Engine

from tests.support.carrying import EVENTS, Case, carried, refused, rows, run, together

LOG = """
CREATE TABLE log (what text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO log VALUES (concat_ws(' ', tg_name, tg_op, tg_level)); RETURN NEW; END $$;
CREATE FUNCTION counted() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO log SELECT concat('changed ', count(*)) FROM changed; RETURN NULL; END $$;
"""

TRIGGERS = {
    "before row": "CREATE TRIGGER t BEFORE INSERT OR UPDATE ON events FOR EACH ROW EXECUTE FUNCTION note()",
    "after row": "CREATE TRIGGER t AFTER DELETE ON events FOR EACH ROW EXECUTE FUNCTION note()",
    "when": "CREATE TRIGGER t AFTER UPDATE ON events FOR EACH ROW "
    "WHEN (OLD.* IS DISTINCT FROM NEW.* AND NEW.kind <> '%s') EXECUTE FUNCTION note('a''b', '100%')",
    "update of": "CREATE TRIGGER t BEFORE UPDATE OF kind, amount ON events FOR EACH ROW EXECUTE FUNCTION note()",
    "statement": "CREATE TRIGGER t AFTER TRUNCATE ON events EXECUTE FUNCTION note()",
    "transition tables": "CREATE TRIGGER t AFTER UPDATE ON events REFERENCING NEW TABLE AS changed "
    "EXECUTE FUNCTION counted()",
    "constraint": "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON events DEFERRABLE INITIALLY DEFERRED "
    "FOR EACH ROW EXECUTE FUNCTION note()",
    "constraint, not deferrable": "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON events FOR EACH ROW "
    "EXECUTE FUNCTION note()",
    "odd name": 'CREATE TRIGGER "t ""%s"" ON x" BEFORE UPDATE ON events FOR EACH ROW EXECUTE FUNCTION note()',
    "comment": "CREATE TRIGGER t BEFORE UPDATE ON events FOR EACH ROW EXECUTE FUNCTION note();"
    "COMMENT ON TRIGGER t ON events IS 'it''s'",
}


@pytest.mark.once  # elsewhere all of them at once, see below
@pytest.mark.parametrize("feature", TRIGGERS.values(), ids=TRIGGERS.keys())
def test_a_trigger_is_carried_and_comes_back(engine: Engine, feature: str) -> None:
    """Whatever it waits for."""
    case = carried(engine, LOG + feature)

    assert "" == case.back()


def test_all_of_them_at_once(engine: Engine) -> None:
    """On one table: none is taken for another, and each server has to do with each of them."""
    case = carried(engine, LOG + together(TRIGGERS.values(), "t"))

    assert "" == case.back()


@pytest.mark.parametrize("state", ["DISABLE", "ENABLE ALWAYS", "ENABLE REPLICA"])
def test_a_trigger_stays_as_enabled_as_it_was(engine: Engine, state: str) -> None:
    """Also its copies on the partitions, of which the history is one."""
    made = "CREATE TRIGGER t BEFORE UPDATE ON events FOR EACH ROW EXECUTE FUNCTION note();"
    case = carried(engine, f"{LOG}{made} ALTER TABLE events {state} TRIGGER t")
    states = rows(engine, "SELECT DISTINCT tgenabled::text FROM pg_trigger WHERE tgname = 't'")

    assert [(state.removeprefix("ENABLE ")[0],)] == states
    assert "" == case.back()


def test_triggers_fire_once_and_everywhere(engine: Engine) -> None:
    """In the history and in a new partition, and neither by the conversion nor by the undo."""
    made = (
        "CREATE TRIGGER b BEFORE INSERT OR UPDATE ON events FOR EACH ROW EXECUTE FUNCTION note();"
        "CREATE TRIGGER s AFTER INSERT OR UPDATE ON events EXECUTE FUNCTION note();"
        "CREATE TRIGGER n AFTER UPDATE ON events REFERENCING NEW TABLE AS changed EXECUTE FUNCTION counted();"
    )
    case = Case(engine, EVENTS + LOG + made)
    run(engine, "INSERT INTO events (created_at) VALUES ('2024-05-03'), ('2024-07-03')")
    run(engine, "UPDATE events SET kind = 'z' WHERE created_at = '2024-07-03'")
    seen = rows(engine, "SELECT what, count(*) FROM log GROUP BY 1 ORDER BY 1")

    expected = [("b INSERT ROW", 2), ("b UPDATE ROW", 1), ("changed 1", 1)]
    assert [*expected, ("s INSERT STATEMENT", 1), ("s UPDATE STATEMENT", 1)] == seen
    case.converter.undo("events")
    assert seen == rows(engine, "SELECT what, count(*) FROM log GROUP BY 1 ORDER BY 1")


def test_a_row_trigger_with_transition_tables_is_refused_by_name(engine: Engine) -> None:
    """Partitions can't have it."""
    made = "CREATE TRIGGER t AFTER INSERT ON events REFERENCING NEW TABLE AS changed FOR EACH ROW EXECUTE FUNCTION "

    assert "the row trigger t has transition tables" in refused(engine, EVENTS + LOG + made + "counted()")


def test_a_trigger_before_insert_is_warned_of(engine: Engine) -> None:
    """A row is routed before it runs, so it can't set the partition key any more."""
    made = "CREATE TRIGGER t BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION note()"
    case = carried(engine, LOG + made)
    case.converter.undo("events")

    assert (
        "the trigger t runs after a row is routed: it must not set the partition key"
        in case.converter.plan("events").notes
    )
