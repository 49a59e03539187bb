"""What the planner knows of the rows, it knows of the partitioned table at once."""

import pytest
from sqlalchemy import Engine

from sa_partman.maintenance.converter import Converter
from tests.support.carrying import EVENTS, NOW, Case, declared, rows, run, value
from tests.support.converting import until

ODD = """
    CREATE TYPE mood AS ENUM ('a,', 'b"');
    ALTER TABLE events ADD m mood DEFAULT 'b"', ADD words text[] DEFAULT '{"x, \\"y", z}', ADD "sp 'an" int4range
        DEFAULT '[1,5)', ADD empty int;
    UPDATE events SET kind = kind || E'it''s \\\\ % :x', "sp 'an" = int4range(amount, amount + 3);
"""
KNOWN = """
    SELECT s.attname, s.null_frac, s.avg_width, s.n_distinct, s.most_common_vals::text, s.most_common_freqs,
        s.histogram_bounds::text, s.correlation, s.most_common_elems::text, s.most_common_elem_freqs,
        s.elem_count_histogram, s.range_length_histogram::text, s.range_empty_frac, s.range_bounds_histogram::text
    FROM pg_stats s WHERE s.schemaname = '{0}' AND s.tablename = '{1}' AND s.inherited = {2} ORDER BY 1
"""


def analyze(engine: Engine) -> None:
    """What is counted of changes is written down late, and ANALYZE would count as before them."""
    if value(engine, "SELECT current_setting('server_version_num')::int >= 150000"):
        run(engine, "SELECT pg_stat_force_next_flush()")
    run(engine, "ANALYZE events")


def step(engine: Engine) -> str:
    plan = Converter(engine, declared(), now=NOW).plan("events")
    return next(each.title for each in plan.steps if each.id == "analyze")


@pytest.mark.parametrize("analyzed", ["", "ANALYZE events;"], ids=["never analyzed", "analyzed"])
def test_the_partitioned_table_has_statistics_of_every_column(engine: Engine, analyzed: str) -> None:
    """Autovacuum never would gather them."""
    run(engine, EVENTS + ODD + analyzed)
    Case(engine, "")

    columns = rows(engine, "SELECT attname FROM pg_attribute WHERE attrelid = 'events'::regclass AND attnum > 0")
    known = rows(engine, "SELECT attname FROM pg_stats WHERE tablename = 'events' AND inherited")
    assert sorted(columns) == sorted(known)
    assert 300 == value(engine, "SELECT reltuples FROM pg_class WHERE oid = 'events'::regclass")


def test_since_18_they_are_copied(engine: Engine, server_major: int) -> None:
    """And nothing is read for them; before, there is no way to write them."""
    run(engine, EVENTS + ODD)
    analyze(engine)
    if server_major < 18:
        assert "analyze the partitioned table" == step(engine)
        return
    before = rows(engine, KNOWN.format("public", "events", "false"))

    assert "copy the planner's statistics to the partitioned table" == step(engine)
    Case(engine, "")
    assert before == rows(engine, KNOWN.format("public", "events", "true"))


@pytest.mark.parametrize(
    "change",
    [
        "",
        "ANALYZE events; ALTER TABLE events ADD more int",
        "ANALYZE events (kind)",
        "ANALYZE events; CREATE STATISTICS s (ndistinct) ON kind, amount FROM events",
    ],
    ids=["none", "a new column", "of one column", "extended ones"],
)
def test_what_is_not_known_is_read(engine: Engine, change: str) -> None:
    """Statistics that are not there, or can't be copied, are gathered."""
    run(engine, EVENTS)
    if change:
        run(engine, change)

    assert "analyze the partitioned table" == step(engine)


def test_statistics_that_autovacuum_would_renew_are_not_copied(engine: Engine) -> None:
    """A table that was filled anew since is another one."""
    run(engine, EVENTS + "ALTER TABLE events SET (autovacuum_enabled = false)")
    analyze(engine)
    run(engine, "UPDATE events SET kind = 'z'")
    until(engine, "pg_stat_get_mod_since_analyze(to_regclass('events')) >= 300")

    assert "analyze the partitioned table" == step(engine)
    Case(engine, "")
    assert "{z}" == value(engine, "SELECT most_common_vals::text FROM pg_stats WHERE inherited AND attname = 'kind'")


def test_names_are_quoted(engine: Engine) -> None:
    """A schema and a table may be called anything."""
    odd = 'it\'s "odd" \\ 100% :x'
    quoted = '"' + odd.replace('"', '""') + '"'
    script = EVENTS.replace("TABLE events", f"TABLE {quoted}.{quoted}").replace(
        "INTO events", f"INTO {quoted}.{quoted}"
    )
    run(engine, f"CREATE SCHEMA {quoted}; {script} ANALYZE {quoted}.{quoted}")
    metadata = declared(name=odd, schema=odd)
    Converter(engine, metadata, now=NOW).convert(f"{odd}.{odd}")

    literal = "E'" + odd.replace("\\", "\\\\").replace("'", "''") + "'"
    found = f"SELECT count(*) FROM pg_stats WHERE schemaname = {literal} AND tablename = {literal} AND inherited"
    assert 4 == value(engine, found)
