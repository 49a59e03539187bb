"""Names: hostile ones, long ones, the same one twice, and ones that somebody else bears."""

import pytest
from sqlalchemy import BigInteger, Column, DateTime, Engine, Identity

from tests.support.carrying import EVENTS, Case, declared, refused, rows, run

HOSTILE = [
    'Ev"ents',
    "events; DROP TABLE x --",
    "50%s %(x)s",
    "a:b ::c :name",
    "MixedCase.With.Dots",
    "select",
    "ünïcödé",
    "x" * 63,
    "é" * 31,
    " leading 'quote'",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_only_a_name(engine: Engine, name: str) -> None:
    """Of a table, a column, an index, a constraint, a policy, a trigger and a statistics object."""
    quoted = '"' + name.replace('"', '""') + '"'
    setup = EVENTS.replace("CREATE TABLE events", f"CREATE TABLE {quoted}").replace("INTO events", f"INTO {quoted}")
    setup += f"""
        ALTER TABLE {quoted} ADD COLUMN {quoted} int DEFAULT 1;
        ALTER TABLE {quoted} ADD CONSTRAINT "c {name[:20].replace('"', '""')}" CHECK ({quoted} > 0);
        CREATE INDEX "i {name[:20].replace('"', '""')}" ON {quoted} ({quoted}) WHERE {quoted} > 1;
        CREATE STATISTICS {quoted} ON {quoted}, kind FROM {quoted};
        CREATE POLICY {quoted} ON {quoted} USING (EXISTS (SELECT FROM pg_class p WHERE p.relname = {quoted}.kind));
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER {quoted} BEFORE UPDATE OF {quoted} ON {quoted} FOR EACH ROW EXECUTE FUNCTION f();
        CREATE VIEW v AS SELECT {quoted} FROM {quoted};
        COMMENT ON TABLE {quoted} IS 'x'
    """
    case = Case(engine, setup, declared(name=name), table=name)

    assert [] == [line for line in case.lost if "pkey" not in line and "kind: r" not in line]
    assert "" == case.back()


def test_two_schemas_with_the_same_table_are_kept_apart(engine: Engine) -> None:
    """One is converted, and the other one is not touched."""
    run(engine, EVENTS + 'CREATE SCHEMA "The other"; SET search_path = "The other";' + EVENTS)
    case = Case(engine, "", declared(schema="The other"), schemas=("public", "The other"), table="The other.events")

    assert [("The other", "p"), ("public", "r")] == rows(
        engine,
        "SELECT schemaname::text, c.relkind::text FROM pg_tables t JOIN pg_namespace n ON n.nspname = t.schemaname "
        "JOIN pg_class c ON c.relname = tablename AND c.relnamespace = n.oid WHERE tablename = 'events' ORDER BY 1",
    )
    assert "" == case.back()


TAKEN = {
    "events_history": "CREATE TABLE events_history ()",
    "events_pnew": "CREATE VIEW events_pnew AS SELECT 1",
    "events_p20240701": "CREATE SEQUENCE events_p20240701",
    "events_pkey_new": "CREATE INDEX events_pkey_new ON events (kind)",
    "events_pkey_history": "CREATE TYPE events_pkey_history AS (a int)",
    "events_history_bound": "ALTER TABLE events ADD CONSTRAINT events_history_bound CHECK (amount > 0)",
    "i_history": "CREATE INDEX i ON events (kind); CREATE INDEX i_history ON events (amount)",
    "i_pnew": "CREATE INDEX i ON events (kind); CREATE TABLE i_pnew ()",
    "events_id_seq_pnew": "CREATE SEQUENCE events_id_seq_pnew",
    "st_history": "CREATE STATISTICS st ON kind, amount FROM events;"
    "CREATE STATISTICS st_history ON id, kind FROM events",
}


@pytest.mark.parametrize(("name", "holder"), TAKEN.items(), ids=TAKEN.keys())
def test_a_name_that_is_taken_is_refused_before_anything_is_touched(engine: Engine, name: str, holder: str) -> None:
    """With who bears it."""
    assert f"the name public.{name}, which the conversion needs, is taken by" in refused(engine, EVENTS + holder)


def test_an_enum_of_the_history_s_name_is_in_the_way(engine: Engine) -> None:
    """A table makes a type of its name."""
    reasons = refused(engine, EVENTS + "CREATE TYPE events_history AS ENUM ('a')")

    assert "the name public.events_history, which the conversion needs, is taken by type" in reasons


def test_long_names_that_differ_at_their_end_do_not_collide(engine: Engine) -> None:
    """Temporary names are cut, and told apart by a hash."""
    long = "x" * 60
    made = ";".join(f"CREATE INDEX {long}_{letter} ON events (kind)" for letter in "abc")
    case = Case(engine, EVENTS + made)

    assert [] == case.lost
    assert "" == case.back()


def test_a_column_called_otherwise_in_the_model_is_the_column(engine: Engine) -> None:
    """The declaration speaks of the attribute, and the database of the column."""
    metadata = declared(
        Column("id", BigInteger, Identity(), primary_key=True, autoincrement=True),
        Column("Created %s", DateTime(timezone=True), key="created_at", primary_key=True),
    )
    case = Case(engine, EVENTS + 'ALTER TABLE events RENAME created_at TO "Created %s"', metadata)

    assert case.has('constraint events_pkey on public.events: PRIMARY KEY (id, "Created %s")')
    assert "" == case.back()
