"""What refers to the table by its oid: views, rules, functions and policies mean the partitioned table afterwards."""

import pytest
from sqlalchemy import Engine

from tests.support.carrying import EVENTS, Case, carried, refused, rows, run, together, value

VIEWS = {
    "view": "CREATE VIEW v AS SELECT * FROM events",
    "security barrier": "CREATE VIEW v WITH (security_barrier) AS SELECT id, kind FROM events WHERE amount > 3",
    "check option": "CREATE VIEW v AS SELECT * FROM events WHERE amount > 3 WITH CASCADED CHECK OPTION",
    "nested": "CREATE VIEW w AS SELECT kind, count(*) AS n FROM events GROUP BY kind;"
    "CREATE VIEW v AS SELECT kind FROM w WHERE n > 2",
    "several tables": "CREATE TABLE kinds (kind text); CREATE VIEW v AS SELECT e.*, k.kind AS k FROM events e "
    "LEFT JOIN kinds k USING (kind) WHERE e.id IN (SELECT f.id FROM events f)",
    "column default": "CREATE VIEW v AS SELECT * FROM events; ALTER VIEW v ALTER kind SET DEFAULT 'from the view'",
    "grants and comments": "CREATE VIEW v AS SELECT * FROM events; GRANT SELECT, UPDATE (kind) ON v TO PUBLIC;"
    "COMMENT ON VIEW v IS 'it''s'; COMMENT ON COLUMN v.kind IS '%s'",
    "instead of trigger": "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
    "CREATE VIEW v AS SELECT id, count(*) FROM events GROUP BY 1;"
    "CREATE TRIGGER t INSTEAD OF INSERT ON v FOR EACH ROW EXECUTE FUNCTION f()",
    "whole rows": "CREATE VIEW v AS SELECT to_jsonb(e) AS row, e.kind || '%s:x' AS k FROM events e",
    "odd name": 'CREATE SCHEMA other; CREATE VIEW other."V ""%s""" AS SELECT 1 AS "a%b" FROM events',
    "rule elsewhere": "CREATE TABLE other (kind text); CREATE RULE r AS ON INSERT TO other DO ALSO "
    "UPDATE events SET amount = 0 WHERE kind = NEW.kind; ALTER TABLE other DISABLE RULE r;"
    "COMMENT ON RULE r ON other IS 'x'",
    "policy elsewhere": "CREATE TABLE other (kind text); CREATE POLICY p ON other USING "
    "(kind IN (SELECT kind FROM events WHERE events.amount > 3)) WITH CHECK (kind <> '%s')",
    "sql function": "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM events; END;"
    "GRANT EXECUTE ON FUNCTION f() TO PUBLIC; COMMENT ON FUNCTION f() IS 'x'",
    "sql procedure": "CREATE PROCEDURE f(k text) LANGUAGE sql SET search_path = public BEGIN ATOMIC "
    "UPDATE events SET kind = f.k; DELETE FROM events WHERE kind = '%s'; END",
    "plpgsql": "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS "
    "$$ DECLARE e events%ROWTYPE; BEGIN SELECT * INTO e FROM events LIMIT 1; END $$",
}


@pytest.mark.once  # elsewhere all of them at once, see below
@pytest.mark.parametrize("feature", [name for name in VIEWS if name != "odd name"])
def test_it_is_carried_and_comes_back(engine: Engine, server_major: int, feature: str) -> None:
    """Its definition is the same, and so is all that hangs on it."""
    if server_major < 14:
        pytest.skip("PostgreSQL 14 has BEGIN ATOMIC")
    case = carried(engine, VIEWS[feature])

    assert "" == case.back()


def test_all_of_them_at_once(engine: Engine) -> None:
    """On one table: none is taken for another, and each server has to do with each of them."""
    made = together(VIEWS.values(), "f|other|p|r|t|v|w|kinds")
    case = Case(engine, EVENTS + made, schemas=("public", "other9"))

    assert [] == case.lost
    assert "" == case.back()


def test_a_view_in_another_schema_is_carried(engine: Engine) -> None:
    """Under its odd name."""
    case = Case(engine, EVENTS + VIEWS["odd name"], schemas=("public", "other"))

    assert [] == case.lost
    assert "" == case.back()


def test_security_invoker_is_carried(engine: Engine, server_major: int) -> None:
    """CREATE OR REPLACE VIEW would drop it."""
    if server_major < 15:
        pytest.skip("PostgreSQL 15 has security_invoker")
    case = carried(engine, "CREATE VIEW v WITH (security_invoker = true) AS SELECT * FROM events")

    assert "" == case.back()


def test_they_all_see_new_rows(engine: Engine) -> None:
    """A row in a new partition is seen by the view, the function, the policy's subquery and hit by the rule."""
    setup = """
        CREATE VIEW v AS SELECT kind FROM events;
        CREATE FUNCTION f() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM events; END;
        CREATE TABLE other (kind text);
        CREATE RULE r AS ON INSERT TO other DO ALSO UPDATE events SET amount = 0 WHERE kind = NEW.kind;
    """
    Case(engine, EVENTS + setup)
    run(engine, "INSERT INTO events (created_at, kind) VALUES ('2024-07-03', 'new')")
    run(engine, "INSERT INTO other VALUES ('new')")

    assert [(1, 301, 0)] == rows(
        engine,
        "SELECT (SELECT count(*) FROM v WHERE kind = 'new'), f(), (SELECT amount FROM events WHERE kind = 'new')",
    )


def test_a_view_that_is_written_through_reaches_new_partitions(engine: Engine) -> None:
    """And its check option still refuses what it refused."""
    Case(engine, EVENTS + "CREATE VIEW v AS SELECT * FROM events WHERE amount > 3 WITH CHECK OPTION")

    assert "events_p20240701" == value(
        engine, "INSERT INTO v (created_at, amount) VALUES ('2024-07-03', 5) RETURNING 'events_p20240701'"
    )
    assert 1 == value(engine, "SELECT count(*) FROM events_p20240701")


REFUSED = {
    "materialized view public.m": "CREATE MATERIALIZED VIEW m AS SELECT kind FROM events",
    "function f(public.events)": "CREATE FUNCTION f(events) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "function g()": "CREATE FUNCTION g() RETURNS SETOF events LANGUAGE sql AS 'SELECT * FROM events'",
    "column e of table public.other": "CREATE TABLE other (e events)",
    "column es of table public.other": "CREATE TABLE other (es events[])",
    "column e of view v": "CREATE VIEW v AS SELECT e FROM events e",
    "type public.d": "CREATE DOMAIN d AS events",
    "cast from public.events to text": "CREATE FUNCTION public.t(events) RETURNS text LANGUAGE sql AS 'SELECT 1::text';"
    "CREATE CAST (events AS text) WITH FUNCTION public.t(events)",
}


@pytest.mark.parametrize(("name", "made"), REFUSED.items(), ids=REFUSED.keys())
def test_what_can_not_be_carried_is_refused_by_name(engine: Engine, name: str, made: str) -> None:
    """It would stay with the history, and see no new row."""
    reasons = refused(engine, EVENTS + made)

    assert name.replace("public.", "") in reasons.replace("public.", "")
    assert "depends on the table and would stay with its history" in reasons


def test_a_view_that_groups_by_the_primary_key_is_refused(engine: Engine) -> None:
    """The longer key would no longer tell that all other columns are the same."""
    reasons = refused(engine, EVENTS + "CREATE VIEW v AS SELECT id, kind, amount FROM events GROUP BY id")

    assert "v groups by the primary key events_pkey, which changes" in reasons.replace("public.", "")
