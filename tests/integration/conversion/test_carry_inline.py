"""Inside somebody else's transaction: a small table is converted and made plain again, as a migration does it."""

from collections.abc import Sequence

import pytest
from sqlalchemy import BigInteger, Column, Engine, Identity, MetaData, Text, text

from sa_partman import PartitionByHash, PartitionByList, PartitionByRange
from sa_partman.compare.context import Context
from sa_partman.engine.migration import convert_inline, unpartition_inline
from sa_partman.errors import ConversionRefused
from sa_partman.names import QualifiedName
from sa_partman.orm.registry import declared_tables
from sa_partman.plan.conversion.request import Choices
from tests.support.carrying import CHANGED, EVENTS, NOW, declared, rows, run, value
from tests.support.catalog_snapshot import difference, lost, snapshot

EVERYTHING = (
    EVENTS
    + """
CREATE TABLE kinds (kind text PRIMARY KEY); INSERT INTO kinds SELECT DISTINCT kind FROM events;
ALTER TABLE events ADD CONSTRAINT fk FOREIGN KEY (kind) REFERENCES kinds DEFERRABLE;
ALTER TABLE events SET (fillfactor = 70, toast.autovacuum_enabled = false), ADD g int GENERATED ALWAYS AS (amount * 2)
    STORED, ADD COLUMN n serial, ADD CONSTRAINT c CHECK (amount <> -1), ALTER kind SET STATISTICS 99;
CREATE INDEX i ON events (lower(kind)) INCLUDE (amount) WHERE amount > 3;
CREATE UNIQUE INDEX u ON events (kind, amount, created_at); ALTER TABLE events ADD CONSTRAINT v UNIQUE (created_at, id);
CREATE STATISTICS st ON kind, amount FROM events;
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''fired''; END';
CREATE TRIGGER t BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION f();
CREATE VIEW w WITH (security_barrier) AS SELECT kind FROM events; GRANT SELECT ON w TO PUBLIC;
GRANT SELECT ON events TO PUBLIC; GRANT UPDATE (kind) ON events TO PUBLIC;
ALTER TABLE events ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON events USING (EXISTS (SELECT FROM kinds k
    WHERE k.kind = events.kind)); CREATE POLICY q ON events FOR DELETE USING (id > (SELECT min(id) FROM events));
COMMENT ON TABLE events IS 'it''s 100% \\ :x'; COMMENT ON COLUMN events.kind IS 'k'; COMMENT ON INDEX i IS 'i';
COMMENT ON CONSTRAINT fk ON events IS 'fk'; COMMENT ON TRIGGER t ON events IS 't'; COMMENT ON POLICY p ON events IS 'p';
CREATE PUBLICATION pub FOR TABLE events; ALTER TABLE events REPLICA IDENTITY FULL;
"""
)
TABLE = QualifiedName("public", "events")


def convert(engine: Engine, metadata: MetaData | None = None, choices: Choices | None = None) -> None:
    model, table = declared_tables(declared() if metadata is None else metadata, ["events"])[0]
    key = [column.name for column in model.primary_key.columns]
    with engine.begin() as connection:
        convert_inline(connection, table.renamed(TABLE), key, Context(NOW, {}), choices)


def unpartition(engine: Engine, key: Sequence[str] = ("id",), nullable: Sequence[str] = ()) -> None:
    with engine.begin() as connection:
        unpartition_inline(connection, TABLE, key, nullable=nullable)


def test_there_and_back_is_where_it_began(engine: Engine) -> None:
    """With a bit of everything on the table, object by object, and row by row."""
    run(engine, EVERYTHING)
    start, content = snapshot(engine), rows(engine, "SELECT * FROM events ORDER BY id")
    convert(engine)
    between = lost(start, snapshot(engine))
    unpartition(engine)

    assert [] == [line for line in between if line not in CHANGED and "options" not in line]
    assert "" == difference(start, snapshot(engine))
    assert content == rows(engine, "SELECT * FROM events ORDER BY id")


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_rows_that_the_transaction_does_not_see_are_not_lost(level: str, engine: Engine) -> None:
    """They are committed between its first statement and its lock, and would go with the partitions."""
    run(engine, EVENTS)
    convert(engine)
    before = value(engine, "SELECT count(*) FROM events")
    with engine.connect().execution_options(isolation_level=level) as connection:
        connection.execute(text("SELECT FROM pg_class LIMIT 1"))
        run(engine, "INSERT INTO events (created_at, kind) SELECT created_at, kind FROM events LIMIT 1")
        with pytest.raises(ConversionRefused, match="does not see rows that were committed"):
            unpartition_inline(connection, TABLE, ("id",))

    assert before + 1 == value(engine, "SELECT count(*) FROM events")


def test_the_transaction_is_the_caller_s(engine: Engine) -> None:
    """What it had set is set again, and a roll-back takes all of it back."""
    run(engine, EVENTS)
    start = snapshot(engine)
    _, table = declared_tables(declared(), ["events"])[0]
    with engine.connect() as connection:
        connection.execute(
            text("SET search_path = public, pg_catalog; SET lock_timeout = '77s'; SET TimeZone = 'Asia/Tokyo'")
        )
        convert_inline(connection, table.renamed(TABLE), ("id", "created_at"), Context(NOW, {}))
        kept = connection.execute(
            text("SELECT current_setting('search_path'), current_setting('lock_timeout'), current_setting('TimeZone')")
        ).one()
        connection.rollback()

    assert ("public, pg_catalog", "77s", "Asia/Tokyo") == tuple(kept)
    assert start == snapshot(engine)
    assert 0 == value(engine, "SELECT count(*) FROM pg_namespace WHERE nspname = 'sa_partman'")


def test_a_column_that_got_not_null_may_lose_it(engine: Engine) -> None:
    """Who makes the table plain knows how it was."""
    run(engine, EVENTS + "ALTER TABLE events ALTER created_at DROP NOT NULL")
    start = snapshot(engine)
    convert(engine)
    unpartition(engine, nullable=("created_at",))

    assert "" == difference(start, snapshot(engine))


def test_a_refused_conversion_changes_nothing(engine: Engine) -> None:
    """And the caller may go on in its transaction."""
    run(engine, EVENTS + "CREATE UNIQUE INDEX u ON events (amount)")
    start = snapshot(engine)
    with pytest.raises(ConversionRefused, match="u is unique over"):
        convert(engine)

    assert start == snapshot(engine)
    convert(engine, choices=Choices(unique={"u": "drop"}))
    assert "p" == value(engine, "SELECT relkind::text FROM pg_class WHERE relname = 'events'")


@pytest.mark.parametrize(
    "spec",
    [
        PartitionByRange("id", interval=100, default=True),
        PartitionByList("kind", values={"a": ["a", "b"], "b": ["c"]}, default=True),
        PartitionByHash("id", modulus=3, subpartition=PartitionByHash("kind", modulus=2)),
    ],
    ids=["range", "list", "hash of hash"],
)
def test_a_partitioned_table_of_any_strategy_becomes_plain(engine: Engine, spec: PartitionByRange) -> None:
    """Also one that was partitioned from the beginning, with rows in all its partitions."""
    metadata = declared(*_columns(), spec=spec)
    metadata.create_all(engine)
    run(engine, "INSERT INTO events (id, kind) SELECT i, chr(97 + i % 5) FROM generate_series(1, 300) i")
    before = rows(engine, "SELECT * FROM events ORDER BY id")
    unpartition(engine)

    assert before == rows(engine, "SELECT * FROM events ORDER BY id")
    assert [("events",)] == rows(engine, "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'")
    run(engine, "SELECT setval('events_id_seq', 300)")
    assert 301 == value(engine, "INSERT INTO events (kind) VALUES ('x') RETURNING id")


REFUSED = {
    "n refers to it by fk": (
        "CREATE TABLE n (a bigint, b timestamptz, CONSTRAINT fk FOREIGN KEY (a, b) REFERENCES events (id, created_at))"
    ),
    "the materialized view public.m depends on the table": "CREATE MATERIALIZED VIEW m AS SELECT * FROM events",
    "index only_here, which belongs to single partitions": "CREATE INDEX only_here ON events_history (kind)",
    "view v, which belongs to single partitions": "CREATE VIEW v AS SELECT * FROM events_history",
    "the name public.events_parts": "CREATE TABLE events_parts ()",
}


@pytest.mark.parametrize(("reason", "given"), REFUSED.items(), ids=REFUSED.keys())
def test_what_can_not_be_made_plain_is_refused_by_name(engine: Engine, reason: str, given: str) -> None:
    """Nothing is changed."""
    run(engine, EVENTS)
    convert(engine)
    run(engine, given)
    before = snapshot(engine)
    with pytest.raises(ConversionRefused) as caught:
        unpartition(engine)

    assert reason in str(caught.value).replace("view public.v,", "view v,").replace("public.only_here", "only_here")
    assert before == snapshot(engine)


def test_numbers_that_are_there_twice_are_not_lost(engine: Engine) -> None:
    """The plain table's key refuses them, and all is rolled back."""
    run(engine, EVENTS)
    convert(engine)
    run(engine, "INSERT INTO events (id, created_at) VALUES (7, '2024-07-03')")
    before = snapshot(engine)
    with pytest.raises(Exception, match=r"Key \(id\)=\(7\) is duplicated"):
        unpartition(engine)

    assert before == snapshot(engine)


def test_a_plain_table_is_no_partitioned_one(engine: Engine) -> None:
    """Nor is one that is not there."""
    with pytest.raises(ConversionRefused, match="is no partitioned table"):
        unpartition(engine)


def _columns() -> tuple[Column[int], Column[str]]:
    return (
        Column("id", BigInteger, Identity(), primary_key=True),
        Column("kind", Text, primary_key=True),
    )
