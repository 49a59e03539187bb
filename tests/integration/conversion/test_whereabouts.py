"""Conversions whose table is renamed, moved, dropped or restored midway: they go by the table, and say what is true."""

import json
import re

import pytest
from sqlalchemy import BigInteger, Column, DateTime, Engine, MetaData, Table

from sa_partman import Converter, Maintainer, PartitionByRange
from sa_partman.errors import ExecutionError, Refused
from sa_partman.plan.steps import Step
from sa_partman.postgres import journal
from tests.integration.conversion.test_faults_abort import Stopped, stop, stopped_after
from tests.support.catalog_snapshot import difference, snapshot
from tests.support.converting import TABLE, Ends, converter
from tests.support.database import scalar, sql

STOPS = ["unique_index", "check", "validate", "not_null", "parent"]
MADE_BY_US = (
    "SELECT relname FROM pg_class WHERE relname LIKE 'events%pnew%' OR relname = 'events_pkey_new' "
    "UNION ALL SELECT conname FROM pg_constraint WHERE conname = 'events_history_bound'"
)


@pytest.mark.parametrize("step", STOPS)
def test_a_renamed_table_is_taken_back_under_either_name(step: str, events: Engine, undisturbed: Ends) -> None:
    """Nothing of ours is left on it, whatever it is called."""
    stopped_after(events, "convert", step)
    sql(events, "ALTER TABLE events RENAME TO happened")
    name = "happened" if step in ("check", "parent") else TABLE
    aborted = converter(events).abort(name)
    sql(events, "ALTER TABLE happened RENAME TO events")

    assert "aborted" == aborted.status
    assert "" == difference(undisturbed.start, snapshot(events))


@pytest.mark.parametrize("step", ["unique_index", "parent"])
def test_a_table_in_another_schema_is_taken_back(step: str, events: Engine, undisturbed: Ends) -> None:
    stopped_after(events, "convert", step)
    sql(events, "CREATE SCHEMA attic")
    sql(events, "ALTER TABLE events SET SCHEMA attic")
    converter(events).abort("attic.events")
    sql(events, "ALTER TABLE attic.events SET SCHEMA public")

    assert "" == difference(undisturbed.start, snapshot(events))


@pytest.mark.parametrize("step", STOPS)
def test_a_table_in_a_renamed_schema_is_taken_back(step: str, engine: Engine) -> None:
    """What was built beside it is in there, too, and goes with the rest."""
    sql(engine, "CREATE SCHEMA s")
    sql(engine, "CREATE TABLE s.events (id bigint PRIMARY KEY, created_at timestamptz)")
    before = snapshot(engine, "s")
    metadata = MetaData(schema="s")
    key = Column("created_at", DateTime(True), primary_key=True)
    columns = (Column("id", BigInteger, primary_key=True, autoincrement=False), key)
    Table("events", metadata, *columns, PartitionByRange("created_at", interval="1 month"))

    def report(done: Step, seconds: float) -> None:
        if done.id == step:
            stop()

    with pytest.raises(Stopped):
        Converter(engine, metadata).convert("s.events", report=report)
    sql(engine, "ALTER SCHEMA s RENAME TO attic")
    Converter(engine, metadata).abort("attic.events")

    assert [] == sql(engine, MADE_BY_US)
    sql(engine, "ALTER SCHEMA attic RENAME TO s")
    assert "" == difference(before, snapshot(engine, "s"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            "ALTER TABLE events RENAME TO happened",
            r"called public\.happened now.*take it back: .*public\.happened --abort",
        ),
        ("DROP TABLE events CASCADE", r"dropped, and another table is called public\.events now.*end it: .*--abort"),
    ],
)
def test_checks_of_a_table_made_anew_say_whose_conversion_is_in_progress(
    change: str, says: str, events: Engine, undisturbed: Ends
) -> None:
    """It goes by the table here, too: nothing would go on with --resume, which is what they said."""
    stopped_after(events, "convert", "parent")
    sql(events, change)
    sql(events, "CREATE TABLE events (id bigint PRIMARY KEY, created_at timestamptz, org_id int, note text, hits int)")
    maintainer = Maintainer(events, converter(events).metadata)
    (finding,) = [each for each in maintainer.check() if each.code == "conversion-in-progress"]

    assert re.search(says, f"{finding.message}; {finding.remedy}")
    assert "--resume" not in finding.remedy
    assert [finding.message] == [each.message for each in maintainer.run().findings]


def test_a_conversion_does_not_go_on_with_a_renamed_table(events: Engine, undisturbed: Ends) -> None:
    """It says what it is called now; with its name back it goes on."""
    stopped_after(events, "convert", "parent")
    sql(events, "ALTER TABLE events RENAME TO happened")
    said = r"is called public\.happened now; .* its name back .*--resume, or take it back: .* public\.happened --abort"
    with pytest.raises(Refused, match=said):
        converter(events).resume(TABLE)
    sql(events, "ALTER TABLE happened RENAME TO events")
    converter(events).resume(TABLE)

    undisturbed.check(events, "convert")


def test_a_conversion_that_is_cut_over_does_not_go_on_with_a_renamed_table(events: Engine, undisturbed: Ends) -> None:
    stopped_after(events, "convert", "cutover")
    sql(events, "ALTER TABLE events RENAME TO happened")
    with pytest.raises(Refused, match=r"is called public\.happened now; .*its name back"):
        converter(events).resume(TABLE)
    sql(events, "ALTER TABLE happened RENAME TO events")
    converter(events).resume(TABLE)

    undisturbed.check(events, "convert")


@pytest.mark.parametrize("step", [*STOPS, "cutover"])
def test_the_conversion_of_a_dropped_table_can_be_ended(step: str, events: Engine) -> None:
    """What was built beside it goes; another table of that name is not touched, and can be converted then."""
    stopped_after(events, "convert", step)
    sql(events, "DROP TABLE events CASCADE")
    with pytest.raises(
        Refused, match=r"that table was dropped; nothing was changed\. End it: .* public\.events --abort"
    ):
        converter(events).resume(TABLE)
    sql(
        events,
        "CREATE TABLE events (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,"
        " created_at timestamptz, org_id int NOT NULL REFERENCES orgs, note text NOT NULL, hits int NOT NULL)",
    )
    if step in ("check", "parent", "cutover"):
        with pytest.raises(Refused, match=r"dropped, and another table is called public\.events now; .* --abort"):
            converter(events).convert(TABLE)
    converter(events).abort(TABLE)

    assert [] == sql(events, MADE_BY_US)
    assert "done" == converter(events).convert(TABLE).status


def test_a_table_made_anew_beside_the_renamed_one_is_left_alone(events: Engine) -> None:
    """The conversion of the other one is taken back first, by the name that the message gives."""
    stopped_after(events, "convert", "parent")
    sql(events, "ALTER TABLE events RENAME TO happened")
    sql(
        events,
        "CREATE TABLE events (id bigint PRIMARY KEY, created_at timestamptz, org_id int NOT NULL,"
        " note text NOT NULL, hits int NOT NULL)",
    )
    with pytest.raises(Refused, match=r"called public\.happened now; .*Take it back: .* public\.happened --abort"):
        converter(events).convert(TABLE)
    converter(events).abort("happened")

    assert [] == sql(events, MADE_BY_US)
    assert "done" == converter(events).convert(TABLE).status


def test_a_renamed_converted_table_is_made_plain_again(events: Engine) -> None:
    """The undo goes by the history, which is a partition of it."""
    converter(events).convert(TABLE)
    sql(events, "ALTER TABLE events RENAME TO happened")

    assert "done" == converter(events).undo("happened").status
    assert "r" == scalar(events, "SELECT relkind FROM pg_class WHERE relname = 'happened'")
    assert not scalar(
        events, "SELECT attnotnull FROM pg_attribute WHERE attrelid = 'happened'::regclass AND attname = 'created_at'"
    )


def with_other_oids(engine: Engine) -> None:
    """As after a dump and restore: the oid of the record is that of another table."""
    with engine.begin() as connection:
        other = connection.exec_driver_sql("SELECT CAST('orgs' AS regclass)::oid::int").scalar_one()
        rows = journal._rows(connection)
        journal._write(connection, {key: {**row, "table_oid": other} for key, row in rows.items()})


@pytest.mark.parametrize("verb", ["resume", "abort", "undo"])
@pytest.mark.parametrize("step", ["unique_index", "validate", "parent", "cutover"])
def test_a_restored_conversion_goes_on(step: str, verb: str, events: Engine, undisturbed: Ends) -> None:
    """What it is, it is by what it made on the table."""
    stopped_after(events, "convert", step)
    with_other_oids(events)
    if verb == "abort" and step != "cutover":
        converter(events).abort(TABLE)
        assert "" == difference(undisturbed.start, snapshot(events))
        return
    converter(events).resume(TABLE)
    if verb != "resume":
        with_other_oids(events)
        converter(events).undo(TABLE)

    undisturbed.check(events, "convert" if verb == "resume" else "undo")


OLD_RECORD = """
CREATE SCHEMA sa_partman;
CREATE TABLE sa_partman.conversion (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, table_schema text NOT NULL, table_name text NOT NULL,
    kind text NOT NULL, status text NOT NULL, declaration text NOT NULL, fingerprint text NOT NULL,
    table_oid oid NOT NULL, primary_key text[] NOT NULL, max_rows bigint, steps jsonb NOT NULL,
    steps_done int NOT NULL DEFAULT 0, error text, version text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
INSERT INTO sa_partman.conversion (table_schema, table_name, kind, status, declaration, fingerprint, table_oid,
    primary_key, steps, steps_done, version)
    SELECT table_schema, table_name, kind, status, declaration, :fingerprint, table_oid, primary_key, steps,
        steps_done, '0.1.0' FROM jsonb_to_recordset(CAST(:stored AS jsonb)) AS x(table_schema text, table_name text,
        kind text, status text, declaration text, table_oid oid, primary_key text[], steps jsonb, steps_done int)
"""


STORED = {
    14: "2:0c89cbaf0395d8fadedc154c2715e9f4dbaed94baaccbd2ad097b509d9aaed24",
    18: "2:7c1c30f70c404f8d70adda6eb5e430681a9b4c05bee6efc4083e8849a9b2c70d",
}
"""What an earlier version stored of the table ``events``, by the first major version on which it is that."""


def as_0_1_0(engine: Engine, fingerprint: str = "a hash over oids") -> None:
    """The record becomes one as version 0.1.0 wrote it: a row of a table."""
    with engine.begin() as connection:
        stored = json.dumps(list(journal._rows(connection).values()))
    sql(engine, "DROP SCHEMA sa_partman CASCADE")
    for statement in OLD_RECORD.split(";\n"):
        values = {"stored": stored, "fingerprint": fingerprint} if ":stored" in statement else {}
        sql(engine, statement, **values)


def test_what_version_0_1_0_began_is_taken_back(events: Engine, undisturbed: Ends) -> None:
    """It does not go on: its fingerprint tells nothing."""
    stopped_after(events, "convert", "parent")
    as_0_1_0(events)
    with pytest.raises(Refused, match=r"version 0\.1\.0 began this.*Take it back and begin again: .* --abort"):
        converter(events).resume(TABLE)
    converter(events).abort(TABLE)
    assert "" == difference(undisturbed.start, snapshot(events))
    converter(events).convert(TABLE)

    undisturbed.check(events, "convert")


def test_what_an_earlier_version_began_goes_on_where_its_fingerprint_can_be_compared(
    events: Engine, undisturbed: Ends
) -> None:
    """That of a table is the same, whatever version made it; and of a changed one another."""
    stopped_after(events, "convert", "parent")
    major = scalar(events, "SELECT current_setting('server_version_num')::int / 10000")
    as_0_1_0(events, STORED[max(first for first in STORED if first <= major)])
    sql(events, "COMMENT ON TABLE events IS 'changed'")
    with pytest.raises(ExecutionError, match=r"was changed since this began.*Take back.*--abort; then begin again"):
        converter(events).resume(TABLE)
    sql(events, "COMMENT ON TABLE events IS 'what happened: 100%'")
    converter(events).resume(TABLE)
    undisturbed.check(events, "convert")
    converter(events).undo(TABLE)

    undisturbed.check(events, "undo")


def test_what_version_0_1_0_cut_over_goes_on_and_is_undone(events: Engine, undisturbed: Ends) -> None:
    stopped_after(events, "convert", "cutover")
    as_0_1_0(events)
    converter(events).resume(TABLE)
    undisturbed.check(events, "convert")
    converter(events).undo(TABLE)

    undisturbed.check(events, "undo")
