"""Restoring: the rows come back, into a full member of the table, and stay until somebody removes them."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, DateTime, Engine, Identity, MetaData, PrimaryKeyConstraint, Table
from sqlalchemy.schema import CreateTable

from sa_partman import Archive, PartitionByHash
from sa_partman.engine.exclusion import only_maintainer
from sa_partman.errors import (
    ConfigurationError,
    DeclarationError,
    ExecutionError,
    MaintainerBusy,
    NameTaken,
    Refused,
    VerificationFailed,
)
from sa_partman.maintenance.restoring import Restored, restore
from tests.integration.maintenance.test_archive_faults import flip
from tests.support.archives import MARCH, OLD, comment, is_there, january, kept, monthly
from tests.support.builders import span
from tests.support.database import HASTY, codes, holding, new_table, outcomes, partitions, scalar, sql, upkeep

BOUND = span("2026-01-01", "2026-02-01")


def archived(engine: Engine, folder: Path, **options: Any) -> tuple[Table, str]:
    """The table without its partition of January, and where the manifest of that lies."""
    table = monthly(Archive(folder), **options)
    january(engine, table)
    assert upkeep(engine, table, MARCH).prune().ok
    return table, str(folder / f"public.{OLD}.manifest.json")


def refused(engine: Engine, table: Table, manifest: str, kind: type[Exception], /, **options: Any) -> str:
    """Why; and nothing was changed."""
    before = (partitions(engine), is_there(engine))
    with pytest.raises(kind) as caught:
        restore(engine, table.metadata, manifest, **options)

    assert before == (partitions(engine), is_there(engine))
    return str(caught.value)


def test_it_comes_back_and_stays(engine: Engine, tmp_path: Path) -> None:
    """Retention leaves it alone, and a check says that it is there; without its mark, handed over, it goes."""
    table, manifest = archived(engine, tmp_path)
    done = restore(engine, table.metadata, manifest)

    assert ("public.events", f"public.{OLD}", BOUND, 5) == (str(done.table), str(done.partition), done.bound, done.rows)
    assert isinstance(done, Restored)
    assert {"table": "public.events", "partition": f"public.{OLD}", "bound": "[2026-01-01, 2026-02-01)", "rows": 5} == (
        done.to_dict()
    )
    assert 5 == scalar(engine, "SELECT count(*) FROM events")
    assert (comment(engine) or "").startswith(f'sa_partman: restored from "{manifest}" at ')
    maintainer = upkeep(engine, table, MARCH)
    assert not any(step.step.purpose.removes for step in maintainer.run().steps)
    assert [("restored", False)] == [
        (each.code, each.is_problem) for each in maintainer.check() if each.code == "restored"
    ]
    sql(engine, f"COMMENT ON TABLE {OLD} IS NULL")
    assert not maintainer.prune()
    assert ["done"] * 4 == outcomes(maintainer.run(adopt=True))
    assert not is_there(engine)
    assert "restored" not in codes(maintainer.check())


def test_it_is_a_full_member(engine: Engine, tmp_path: Path) -> None:
    """Keys, indexes and grants as the table has them now; and no CHECK is left behind."""
    metadata = MetaData()
    columns: list[Any] = [Column("id", BigInteger, Identity()), Column("created_at", DateTime(timezone=True))]
    table = Table("events", metadata, *columns, PrimaryKeyConstraint("id", "created_at"), kept(Archive(tmp_path)))
    with engine.begin() as connection:
        connection.execute(CreateTable(table))
    upkeep(engine, table, "2026-01-15").run()
    sql(engine, "INSERT INTO events (created_at) SELECT '2026-01-02' FROM generate_series(1, 9)")
    upkeep(engine, table, MARCH).prune()
    sql(engine, "CREATE INDEX late ON events (created_at); GRANT SELECT ON events TO PUBLIC")
    restore(engine, metadata, str(tmp_path / f"public.{OLD}.manifest.json"))

    assert 2 == scalar(engine, f"SELECT count(*) FROM pg_index WHERE indrelid = CAST('{OLD}' AS regclass)")
    assert 0 == scalar(
        engine, f"SELECT count(*) FROM pg_constraint WHERE contype = 'c' AND conrelid = CAST('{OLD}' AS regclass)"
    )
    assert scalar(engine, f"SELECT has_table_privilege('public', '{OLD}', 'SELECT')")
    sql(engine, "INSERT INTO events (created_at) VALUES ('2026-01-03')")
    assert 10 == scalar(engine, "SELECT max(id) FROM events")


@pytest.mark.parametrize("divided", [False, True], ids=["plain", "divided"])
def test_what_is_written_later_is_sent_to_subscribers(divided: bool, engine: Engine, tmp_path: Path) -> None:
    """PostgreSQL 14 would not send it from a table that it has seen rows of before that was a partition."""
    below = {"subpartition": PartitionByHash("id", modulus=2)} if divided else {}
    table = new_table(kept(Archive(tmp_path)).with_(**below))
    january(engine, table)
    assert upkeep(engine, table, MARCH).prune().ok
    slot = f"s{secrets.token_hex(6)}"
    sql(engine, "ALTER TABLE events REPLICA IDENTITY FULL")
    sql(engine, "CREATE PUBLICATION p FOR TABLE events WITH (publish_via_partition_root = true)")
    sql(engine, f"SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')")
    try:
        restore(engine, table.metadata, str(tmp_path / f"public.{OLD}.manifest.json"))
        sql(engine, "INSERT INTO events (id, created_at) SELECT g, '2026-01-05' FROM generate_series(101, 104) g")
        sent = scalar(
            engine,
            f"SELECT count(*) FROM pg_logical_slot_get_binary_changes('{slot}', NULL, NULL, 'proto_version', '1', "
            f"'publication_names', 'p') WHERE get_byte(data, 0) = ascii('I')",
        )
    finally:
        sql(engine, f"SELECT pg_drop_replication_slot('{slot}')")

    assert 4 == sent
    assert 9 == scalar(engine, "SELECT count(*) FROM events")
    assert 0 == scalar(engine, "SELECT count(*) FROM pg_class WHERE relpersistence <> 'p' AND relkind = 'r'")


def test_a_partition_that_holds_a_part_of_its_range(engine: Engine, tmp_path: Path) -> None:
    table, manifest = archived(engine, tmp_path)
    sql(
        engine,
        "CREATE TABLE days PARTITION OF events FOR VALUES FROM ('2026-01-31 00\\:00+00') TO ('2026-02-01 00\\:00+00')",
    )
    said = refused(engine, table, manifest, Refused)

    assert (
        "public.events has public.days [2026-01-31, 2026-02-01), which holds rows of [2026-01-01, 2026-02-01)" in said
    )


def test_a_default_partition_that_holds_rows_of_its_range(engine: Engine, tmp_path: Path) -> None:
    """An empty one, or one with other rows, stands in nobody's way."""
    table, manifest = archived(engine, tmp_path)
    sql(engine, "CREATE TABLE events_default PARTITION OF events DEFAULT")
    sql(engine, "INSERT INTO events (id, created_at) VALUES (9, '2026-01-09'), (8, '2020-01-01')")
    said = refused(engine, table, manifest, ExecutionError)

    assert "default partition" in said
    assert "nothing was restored" in said
    sql(engine, "DELETE FROM events WHERE id = 9")
    assert 5 == restore(engine, table.metadata, manifest).rows


def test_a_name_that_is_taken(engine: Engine, tmp_path: Path) -> None:
    table, manifest = archived(engine, tmp_path)
    sql(engine, f"CREATE VIEW {OLD} AS SELECT 1")

    assert "taken by a view" in refused(engine, table, manifest, NameTaken)


@pytest.mark.parametrize("what", ["file", "rows", "checksum", "sha256"])
def test_a_damaged_archive(engine: Engine, tmp_path: Path, what: str) -> None:
    """Or a manifest of another one."""
    table, manifest = archived(engine, tmp_path)
    if what == "file":
        flip(tmp_path / f"public.{OLD}.csv.gz")
    else:
        path = Path(manifest)
        found = json.loads(path.read_text())
        path.write_text(json.dumps({**found, what: 4 if what == "rows" else "0"}))

    assert "nothing was changed" in refused(engine, table, manifest, VerificationFailed)


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"version": 2}', '{"version": 1, "rows": 1}'])
def test_no_manifest(engine: Engine, tmp_path: Path, content: str | None) -> None:
    table = monthly(Archive(tmp_path))
    january(engine, table)
    path = tmp_path / "x.manifest.json"
    if content is not None:
        path.write_text(content)

    assert str(path) in refused(engine, table, str(path), ConfigurationError)


def test_columns_that_have_changed(engine: Engine, tmp_path: Path) -> None:
    """A new column takes its default; one that is gone, or of another type, is no place for what was archived."""
    table, manifest = archived(engine, tmp_path)
    sql(engine, "ALTER TABLE events ADD COLUMN more int DEFAULT 7")
    assert 5 == restore(engine, table.metadata, manifest).rows
    assert 35 == scalar(engine, "SELECT sum(more) FROM events")
    sql(engine, f"DROP TABLE {OLD}; ALTER TABLE events ALTER COLUMN id TYPE numeric(20, 2)")
    said = refused(engine, table, manifest, VerificationFailed)
    assert "; id was bigint and is numeric(20,2) now; nothing was restored. Give the columns their types back" in said
    sql(engine, "ALTER TABLE events DROP COLUMN tenant")
    assert '"tenant"' in refused(engine, table, manifest, ExecutionError)


def test_another_table(engine: Engine, tmp_path: Path) -> None:
    """By name; one that is not declared is refused."""
    table, manifest = archived(engine, tmp_path)
    other = table.to_metadata(MetaData(), name="other")
    with engine.begin() as connection:
        connection.execute(CreateTable(other))
    assert "events is not a partitioned table that is declared" in refused(engine, other, manifest, DeclarationError)
    assert "not declared" in refused(engine, other, manifest, DeclarationError, table="nothing")
    assert "public.other" == str(restore(engine, other.metadata, manifest, table="other").table)
    assert 5 == scalar(engine, "SELECT count(*) FROM other")


def test_an_archive_that_does_not_say_its_bound(engine: Engine, tmp_path: Path) -> None:
    """The message says where to write it."""
    table, manifest = archived(engine, tmp_path)
    path = Path(manifest)
    path.write_text(json.dumps({**json.loads(path.read_text()), "bound": ""}))

    assert 'Write it into the manifest as "bound"' in refused(engine, table, manifest, Refused)


def test_while_another_maintainer_is_at_work(engine: Engine, tmp_path: Path) -> None:
    table, manifest = archived(engine, tmp_path)
    with only_maintainer(engine):
        refused(engine, table, manifest, MaintainerBusy)


def test_somebody_who_holds_the_default_partition(engine: Engine, tmp_path: Path) -> None:
    """The strong lock comes last, and gives way; nothing is left behind."""
    table, manifest = archived(engine, tmp_path)
    sql(engine, "CREATE TABLE events_default PARTITION OF events DEFAULT")
    with holding(engine, "SELECT FROM events_default"):
        assert "nothing was changed" in refused(engine, table, manifest, ExecutionError, lock=HASTY)
    assert 5 == restore(engine, table.metadata, manifest).rows
