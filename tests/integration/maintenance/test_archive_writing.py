"""Archives: written, verified against the table, and only then is the table dropped. Every value comes back."""

from __future__ import annotations

import gzip
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest
from sqlalchemy import Column, Engine, Text

from sa_partman import Archive, PartitionByHash, Retention
from sa_partman.archive import archiving
from sa_partman.archive.object_store import Store
from sa_partman.maintenance.restoring import restore
from tests.support import faces
from tests.support.archives import JANUARY, MARCH, OLD, comment, count, is_there, january, kept, manifests, monthly
from tests.support.database import codes, made, new_table, outcomes, relations, scalar, sql, upkeep
from tests.support.faces import FACES

FORMATS: tuple[Literal["csv.gz", "parquet"], ...] = ("csv.gz", "parquet")

COLUMNS = """
    small smallint, whole integer, long bigint, yes boolean, ratio double precision, short real, price numeric(12,3),
    free numeric, note text, code varchar(9), pad char(3), raw bytea, day date, local timestamp, moment timestamptz(3),
    clock time, span interval, doc json, tree jsonb, who uuid, tags text[], grid int[][], net inet, bits bit(3),
    spread int4range, cash money, mood mood, made text GENERATED ALWAYS AS (note || '!') STORED
"""
ROWS = """
INSERT INTO events (id, created_at, small, whole, long, yes, ratio, short, price, free, note, code, pad, raw, day,
    local, moment, clock, span, doc, tree, who, tags, grid, net, bits, spread, cash, mood)
OVERRIDING SYSTEM VALUE VALUES
(1, '2026-01-02', -32768, 2147483647, -9223372036854775808, true, 0.1, 0.1, 123456789.125, 'NaN', 'plain', 'a', 'b',
    '\\x00ff0a22', '0001-01-01', '9999-12-31 23:59:59.999999', '2026-01-01 00:00:00.120+00', '23:59:59.5',
    '1 year -2 days 03:00:00.1', '{"b": 1,   "a": [null]}', '{"b": 1, "a": "\\u00e9"}',
    '00000000-0000-0000-0000-000000000001', '{a,NULL,"",", \\"q\\" \\\\"}', '{{1,2},{3,4}}', '10.0.0.1/8', '101',
    '[1,5)', '12.34', 'so ''so'''),
(2, '2026-01-03', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
(3, '2026-01-04', 0, 0, 0, false, '-Infinity', 'NaN', 0, 1e-30, '', '', '', '', '2026-02-28', '2026-01-01', 'now',
    '00:00', '0', 'null', 'null', gen_random_uuid(), '{}', '{}', '::1', '000', 'empty', '0', 'sad'),
(4, '2026-01-05', 1, 1, 1, true, 1e23, 3e38, -0.001, 12345678901234567890.1234567890,
    E'two\\nlines, "quoted"\\r\\n\\t\\\\N \\\\.', E'\\\\.', ',', '\\x', '2024-02-29', '2026-01-01 00:00:00.1', 'epoch',
    '12:00', 'P1Y2M3DT4H5M6S', '"x"', '[1.0, 1.00]', gen_random_uuid(), '{"\\\\N"}', NULL, '192.168.0.0/16', '111',
    '[,5)', '-1', 'sad'),
(5, '2026-01-06', 1, 1, 1, true, 9007199254740993, 1, 1, 0.10, 'ünï 日本語 😀 \u200f', '%s :x', '$$', '\\xc3', NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
(6, '2026-01-07', NULL, NULL, NULL, NULL, 5e-324, 1e-45, NULL, NULL, E'\\n', '""', NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)
"""


def of_every_type(engine: Engine) -> None:
    """``events`` with a column of nearly every type, and values that are hard to write."""
    sql(engine, "CREATE TYPE mood AS ENUM ('sad', 'so ''so''')")
    sql(
        engine,
        f"CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY, created_at timestamptz NOT NULL, gone int, "
        f"{COLUMNS}, PRIMARY KEY (id, created_at)) PARTITION BY RANGE (created_at)",
    )
    sql(engine, "ALTER TABLE events DROP COLUMN gone")


@pytest.mark.parametrize("format", FORMATS)
def test_every_value_comes_back(engine: Engine, tmp_path: Path, format: Literal["csv.gz", "parquet"]) -> None:
    """EXCEPT = 0 both ways, after a table was archived, dropped and restored."""
    of_every_type(engine)
    table = monthly(Archive(tmp_path, format))
    upkeep(engine, table, JANUARY).run()
    with engine.begin() as connection:
        connection.exec_driver_sql(ROWS.replace("%", "%%"))
    text_of = "SELECT id, events::text AS row FROM events"
    sql(engine, f"CREATE TABLE copy AS {text_of}")

    result = upkeep(engine, table, MARCH).prune()

    assert ["done"] * 3 == outcomes(result)
    assert not is_there(engine)
    (manifest,) = manifests(tmp_path)
    assert (6, format) == (manifest["rows"], manifest["format"])
    assert "made" not in [column["name"] for column in manifest["columns"]]

    restore(engine, table.metadata, str(tmp_path / f"public.{OLD}.manifest.json"))

    assert [] == sql(engine, f"(TABLE copy EXCEPT {text_of}) UNION ALL ({text_of} EXCEPT TABLE copy)")


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("format", FORMATS)
def test_every_face_archives(
    database_url: str, tmp_path: Path, face: str, format: Literal["csv.gz", "parquet"]
) -> None:
    """COPY is the driver's own; what comes of it is the same."""
    with faces.opened("psycopg", database_url) as plain:
        assert isinstance(plain.engine, Engine)
        table = monthly(Archive(tmp_path, format), Column("note", Text))
        january(plain.engine, table, 500, note='a "b"\n,' * 50)
        with faces.opened(face, database_url) as opened:
            result = opened.maintainer(table, MARCH).prune()

        assert ["done"] * 3 == outcomes(result)
        assert [None, 500, None] == [step.rows for step in result.steps]
        assert not is_there(plain.engine)
        restore(plain.engine, table.metadata, str(tmp_path / f"public.{OLD}.manifest.json"))
        assert 500 == count(plain.engine)


def test_what_is_written(engine: Engine, tmp_path: Path) -> None:
    """A file that gunzip and COPY read, and a manifest that says all that is needed to bring it back."""
    table = monthly(Archive(tmp_path))
    january(engine, table, 3)
    upkeep(engine, table, MARCH).run()
    names = [f"public.{OLD}.csv.gz", f"public.{OLD}.manifest.json"]

    assert names == sorted(path.name for path in tmp_path.iterdir())
    (manifest,) = manifests(tmp_path)
    packed = (tmp_path / names[0]).read_bytes()
    content = gzip.decompress(packed)
    header, *lines = content.decode().splitlines()
    assert '"id","created_at","tenant","region","ref"' == header
    assert (3, True) == (len(lines), lines[0].startswith('"0","2026-01-01 12:00:00+00","t1",,"'))
    assert hashlib.sha256(packed).hexdigest() == manifest["file_sha256"]
    assert hashlib.sha256(content.partition(b"\n")[2]).hexdigest() == manifest["sha256"]
    assert (3, len(packed), names[0]) == (manifest["rows"], manifest["bytes"], manifest["file"])
    assert {"schema": "public", "name": "events"} == manifest["parent"]
    assert manifest["bound"].startswith("FOR VALUES FROM ('2026-01-01 00:00:00+00'")
    assert datetime.fromisoformat(manifest["created_at"]).tzinfo == UTC
    assert f'CREATE TABLE "public"."{OLD}" (\n    "id" bigint NOT NULL' in manifest["create"]
    sql(engine, manifest["create"])


def test_it_is_archived_when_the_grace_is_over(engine: Engine, tmp_path: Path) -> None:
    """Until then it stands alone, marked; the second run, and the third, do nothing."""
    table = monthly(Archive(tmp_path), grace="7 days")
    january(engine, table)

    assert made(upkeep(engine, table, MARCH).prune()) == [OLD]
    assert (comment(engine) or "").startswith(
        'sa_partman: detached from "public"."events" at 2026-03-15T00:00:00+00:00 had "FOR VALUES FROM'
    )
    assert 5 == count(engine)
    assert not upkeep(engine, table, "2026-03-21 23:59").prune()
    assert [] == manifests(tmp_path)
    assert ["done", "done"] == outcomes(upkeep(engine, table, "2026-03-22").prune())
    assert not is_there(engine)
    assert 5 == manifests(tmp_path)[0]["rows"]
    assert not upkeep(engine, table, "2026-03-23").prune()


@pytest.mark.parametrize("format", FORMATS)
def test_a_table_with_partitions_of_its_own(
    engine: Engine, tmp_path: Path, format: Literal["csv.gz", "parquet"]
) -> None:
    """Is one archive, and divided again when it comes back."""
    spec = kept(Archive(tmp_path, format)).with_(subpartition=PartitionByHash("id", modulus=3))
    table = new_table(spec)
    january(engine, table, 100)
    sql(engine, "CREATE TABLE copy AS SELECT * FROM events")

    assert ["done"] * 3 == outcomes(upkeep(engine, table, MARCH).prune())
    assert {"public.copy", "public.events"} == relations(engine)
    restore(engine, table.metadata, str(tmp_path / f"public.{OLD}.manifest.json"))
    assert [] == sql(engine, "(TABLE copy EXCEPT TABLE events) UNION ALL (TABLE events EXCEPT TABLE copy)")
    assert 3 == scalar(engine, f"SELECT count(*) FROM pg_inherits WHERE inhparent = CAST('{OLD}' AS regclass)")
    # It can leave again, identity or not.
    sql(engine, f"ALTER TABLE events DETACH PARTITION {OLD}")


def test_an_archive_of_the_same_name_is_never_overwritten(engine: Engine, tmp_path: Path) -> None:
    """Another one is written beside it, with other rows or when it is somebody else's."""
    table = monthly(Archive(tmp_path))
    january(engine, table)
    upkeep(engine, table, MARCH).prune()
    sql(engine, "DROP TABLE events")
    january(engine, table, 7)
    (tmp_path / f"public.{OLD}-2.csv.gz").write_text("somebody else's")
    upkeep(engine, table, MARCH).prune()

    assert {5, 7} == {each["rows"] for each in manifests(tmp_path)}
    assert {f"public.{OLD}.csv.gz", f"public.{OLD}-3.csv.gz"} == {each["file"] for each in manifests(tmp_path)}
    assert "somebody else's" == (tmp_path / f"public.{OLD}-2.csv.gz").read_text()


def test_names_that_no_file_system_likes(engine: Engine, tmp_path: Path) -> None:
    """They are cut and hashed; the manifest has the true ones."""
    table = new_table(kept(Archive(tmp_path)), name='a/b "é" ..', schema="My Schema")
    sql(engine, 'CREATE SCHEMA "My Schema"')
    january(engine, table, 2)
    upkeep(engine, table, MARCH).prune()
    (manifest,) = manifests(tmp_path)

    assert {"schema": "My Schema", "name": 'a/b "é" .._p20260101'} == manifest["partition"]
    restore(engine, table.metadata, str(next(tmp_path.glob("*.json"))))
    assert 2 == scalar(engine, 'SELECT count(*) FROM "My Schema"."a/b ""é"" .."')


def test_an_object_store(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through pyarrow's file systems: the manifest comes last, and everything else is the same."""
    fs = pytest.importorskip("pyarrow.fs")
    (tmp_path / "bucket").mkdir()
    store = Store(fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()), "bucket", "s3://bucket")
    for module in (archiving, __import__("sa_partman.archive.dropping", fromlist=["x"])):
        monkeypatch.setattr(module, "place_of", lambda to: store)
    table = monthly(Archive("s3://bucket"))
    january(engine, table)

    assert ["done"] * 3 == outcomes(upkeep(engine, table, MARCH).prune())
    data, manifest = store.names()
    assert (data.removesuffix(".csv.gz"), True) == (
        manifest.removesuffix(".manifest.json"),
        data.startswith(f"public.{OLD}-"),
    )
    assert "s3://bucket/x" == store.where("x")
    restore(engine, table.metadata, str(tmp_path / "bucket" / manifest))
    assert 5 == count(engine)


@pytest.mark.parametrize("value", ["infinity", "0044-03-15 BC"])
def test_what_parquet_has_no_value_for_is_refused(engine: Engine, tmp_path: Path, value: str) -> None:
    """Nothing is lost: the table stays, and the message says what to do."""
    table = monthly(Archive(tmp_path, "parquet"))
    january(engine, table, 0)
    sql(engine, "ALTER TABLE events ADD COLUMN until timestamptz")
    sql(
        engine,
        "INSERT INTO events (id, created_at, until) VALUES (1, '2026-01-02', CAST(:value AS timestamptz))",
        value=value,
    )
    result = upkeep(engine, table, MARCH).prune()

    assert ["done", "failed"] == outcomes(result)
    assert "until (timestamp with time zone) holds" in result.steps[1].error
    assert "Archive this table with format='csv.gz'" in result.steps[1].error
    assert [] == list(tmp_path.iterdir())
    assert 1 == count(engine)


def test_the_declaration_is_silent(engine: Engine, tmp_path: Path) -> None:
    """A check has nothing to say of a table that waits for the end of its grace."""
    table = monthly(Archive(tmp_path), grace="7 days")
    january(engine, table)
    upkeep(engine, table, MARCH).run()

    assert [] == [code for code in codes(upkeep(engine, table, MARCH).check()) if code in ("overdue", "grace-over")]
    assert Retention("1 month", then=Archive(tmp_path), grace="7 days") == table.info["sa_partman"].retention
