"""What a maintainer does, the same on every face: synchronous, asynchronous over psycopg, asynchronous over asyncpg."""

from __future__ import annotations

import inspect
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Engine, MetaData, Table, Text, select

from sa_partman import (
    Archive,
    AsyncMaintainer,
    KeyExpression,
    Maintainer,
    PartitionByHash,
    PartitionByList,
    PartitionByRange,
    Retention,
    StepEvent,
    UUIDv7,
    before,
)
from sa_partman.archive.places import Directory
from sa_partman.engine.exclusion import only_maintainer
from sa_partman.errors import (
    DeclarationError,
    ExecutionError,
    MaintainerBusy,
    ReadOnlyServer,
    ServerUnavailable,
    VerificationFailed,
)
from sa_partman.marks import is_marked
from tests.support.archives import MARCH, OLD, january, monthly
from tests.support.builders import at
from tests.support.database import (
    HASTY,
    codes,
    ddl_log,
    holding,
    made,
    new_table,
    outcomes,
    partitions,
    put,
    scalar,
    sql,
    unreadable,
    upkeep,
)
from tests.support.faces import FACES, Face, opened

MONTHLY = PartitionByRange("created_at", interval="1 month", premake=1)
DROPPED = MONTHLY.with_(retention=Retention("2 months", then="drop"))
NOW, LATER = "2026-01-15", "2026-06-15"
TWO = ["events_p20260101", "events_p20260201"]
"""What January has, and what has expired in June."""
NEW = ["events_p20260601", "events_p20260701", "events_p20260501", "events_p20260401"]
"""What June lacks: now and the next first, then the gaps of the kept range."""


def table_at_first(engine: Engine, spec: Any, *columns: Column[Any], **changes: Any) -> Table:
    """Made in January, with what a synchronous maintainer would have made then."""
    table = new_table(spec, *columns, **changes)
    table.create(engine)
    for name in partitions(engine, table.name):
        sql(engine, f"DROP TABLE {name}")
    upkeep(engine, table, NOW).provision([table.name])
    return table


# -- looking


def test_a_plan_changes_nothing(face: Face, engine: Engine) -> None:
    table = table_at_first(engine, DROPPED)
    with ddl_log(engine) as seen:
        plan = face.maintainer(table, LATER).plan()

    assert upkeep(engine, table, LATER).plan() == plan
    assert [*NEW, *TWO] == [step.partition.name for step in plan.steps]
    assert [] == seen


def test_check_and_status(face: Face, engine: Engine) -> None:
    table = table_at_first(engine, DROPPED.with_(default=True))
    put(engine, table, "2027-01-01")
    sync = upkeep(engine, table, LATER)

    assert "default-rows" in codes(face.maintainer(table, LATER).check())
    assert sync.check() == face.maintainer(table, LATER).check()
    assert sync.status() == face.maintainer(table, LATER).status()


def test_only_some_tables(face: Face, engine: Engine) -> None:
    metadata = MetaData()
    table_at_first(engine, MONTHLY, metadata=metadata)
    table_at_first(engine, MONTHLY, metadata=metadata, name="others")
    result = face.maintainer(metadata, "2026-02-15").run(["others"])

    assert ["others_p20260301"] == made(result)


def test_a_table_that_is_not_declared(face: Face, engine: Engine) -> None:
    with pytest.raises(DeclarationError, match="nothing_of_ours"):
        face.maintainer(table_at_first(engine, MONTHLY), NOW).plan(["nothing_of_ours"])


def test_at_another_instant(face: Face, engine: Engine) -> None:
    maintainer = face.maintainer(table_at_first(engine, MONTHLY), LATER).at(at(NOW))

    assert not maintainer.plan()


def test_nobody_answers() -> None:
    for name in FACES:
        with opened(name, "postgresql://me:hidden@127.0.0.1:1/none") as face:
            with pytest.raises(ServerUnavailable, match="no connection to") as caught:
                face.maintainer(new_table(MONTHLY), NOW).run()

            assert "hidden" not in str(caught.value)


# -- provisioning and pruning


def test_a_run_and_a_second_one(face: Face, engine: Engine) -> None:
    table = table_at_first(engine, DROPPED)
    result = face.maintainer(table, LATER).run()
    with ddl_log(engine) as seen:
        again = face.maintainer(table, LATER).run()

    assert [*NEW, *TWO] == made(result)
    assert set(NEW) == set(partitions(engine))
    assert result.ok
    assert not again
    assert [] == seen


def test_provision_removes_nothing_and_prune_makes_nothing(face: Face, engine: Engine) -> None:
    table = table_at_first(engine, DROPPED)
    maintainer = face.maintainer(table, LATER)

    assert NEW == made(maintainer.provision())
    assert TWO == made(maintainer.prune())
    assert not maintainer.run()


@pytest.mark.parametrize("concurrently", [False, True])
def test_a_detached_partition_is_marked_and_keeps_its_rows(face: Face, engine: Engine, concurrently: bool) -> None:
    retention = Retention("2 months", then="detach", concurrently=concurrently)
    table = table_at_first(engine, MONTHLY.with_(retention=retention))
    put(engine, table, "2026-01-20")
    result = face.maintainer(table, LATER).prune()
    comment = scalar(engine, "SELECT obj_description(CAST('events_p20260101' AS regclass))")

    assert result.ok
    assert [] == list(partitions(engine))
    assert is_marked(comment)
    assert 1 == scalar(engine, "SELECT count(*) FROM events_p20260101")


def test_every_strategy_and_key(face: Face, engine: Engine) -> None:
    """Whatever has a parameter in a query of ours, or a literal in a statement, has it here."""
    metadata = MetaData()
    specs: dict[str, Any] = {
        "months": MONTHLY.with_(default=True),
        "numbers": PartitionByRange("id", interval=10, premake=1),
        "uuids": PartitionByRange("ref", codec=UUIDv7(), interval="1 year", premake=1),
        "expressions": PartitionByRange(KeyExpression("(id % 7)", type="bigint"), interval=10, premake=1),
        "composites": PartitionByRange("tenant", "created_at", interval="1 month", premake=1, tenants=["it's", "%s:x"]),
        "lists": PartitionByList("region", values={"odd": ["it's", None, "a, b)'c"], "eu": ["de"]}, default=True),
        "hashes": PartitionByHash("id", modulus=2, subpartition=PartitionByList("tenant", values={"t": ["t1"]})),
    }
    for name, spec in specs.items():
        new_table(spec, metadata=metadata, name=name).create(engine)
    for name in specs:
        for partition in partitions(engine, name):
            sql(engine, f'DROP TABLE "{partition}"')
    result = face.maintainer(metadata, NOW).run()

    assert [] == [each.error for each in result.steps if each.failed]
    assert result.ok
    assert not upkeep(engine, metadata, NOW).plan()
    assert not face.maintainer(metadata, NOW).plan()


def test_rows_leave_the_default_partition(face: Face, engine: Engine) -> None:
    table = table_at_first(engine, MONTHLY.with_(default=True))
    put(engine, table, "2026-06-20", "2026-06-21")
    result = face.maintainer(table, LATER).run()

    assert result.ok
    assert 2 == scalar(engine, "SELECT count(*) FROM events_p20260601")
    assert 0 == scalar(engine, "SELECT count(*) FROM events_default")


def test_tenants(face: Face, engine: Engine) -> None:
    """Those of a select(), and one that is asked for at once."""
    metadata = MetaData()
    tenants = Table("tenants", metadata, Column("name", Text, primary_key=True))
    tenants.create(engine)
    sql(engine, "INSERT INTO tenants VALUES ('t1')")
    spec = PartitionByRange("tenant", "created_at", interval="1 month", premake=0, tenants=select(tenants.c.name))
    table_at_first(engine, spec, metadata=metadata)
    sql(engine, "INSERT INTO tenants VALUES ('t2')")
    first = face.maintainer(metadata, NOW).run()
    second = face.maintainer(metadata, NOW).provision(tenants=["t3"])

    assert ["events_t2_p20260101"] == made(first)
    assert ["events_t3_p20260101"] == made(second)


def test_a_branch(face: Face, engine: Engine) -> None:
    spec = PartitionByList("tenant", values={"a": ["a"], "b": ["b"]}, subpartition=MONTHLY)
    table = table_at_first(engine, spec)
    face.maintainer(table, NOW).run()
    result = face.maintainer(table, NOW).drop_branch("events", "a")

    assert result.ok
    assert ["events_b"] == list(partitions(engine))
    with pytest.raises(DeclarationError):
        face.maintainer(table, NOW).drop_branch("events", "nobody")


@pytest.mark.parametrize("format", ["csv.gz", "parquet"])
def test_an_archive_comes_back(face: Face, engine: Engine, tmp_path: Path, format: Any) -> None:
    """Listed, read to the end, and restored to the last value; retention leaves it alone afterwards."""
    table = monthly(Archive(tmp_path, format), Column("note", Text))
    january(engine, table, 300, note='a "b"\n, \\N %s :x é' * 99)
    sql(engine, "CREATE TABLE copy AS SELECT * FROM events")
    maintainer = face.maintainer(table, MARCH)
    maintainer.prune()
    (found,) = maintainer.archives(str(tmp_path))
    again = maintainer.verify(found.location)
    restored = maintainer.restore(found.location)

    assert found == again
    assert (300, 300) == (found.manifest.rows, restored.rows)
    assert [] == sql(engine, "(TABLE copy EXCEPT TABLE events) UNION ALL (TABLE events EXCEPT TABLE copy)")
    assert "restored" in codes(maintainer.check())
    assert OLD in partitions(engine)
    maintainer.run()
    assert OLD in partitions(engine)


@pytest.mark.parametrize("what", ["file", "table", "busy", "default"])
def test_what_is_not_restored(face: Face, engine: Engine, tmp_path: Path, what: str) -> None:
    """Nothing is changed by it; afterwards the same maintainer restores it."""
    table = monthly(Archive(tmp_path))
    january(engine, table, 300)
    maintainer = face.maintainer(table, MARCH, lock=HASTY)
    maintainer.prune()
    manifest, data = tmp_path / f"public.{OLD}.manifest.json", tmp_path / f"public.{OLD}.csv.gz"
    content, kinds = data.read_bytes(), (VerificationFailed, DeclarationError, MaintainerBusy, ExecutionError)
    sql(engine, "CREATE TABLE events_default PARTITION OF events DEFAULT")
    with ExitStack() as block:
        if what == "file":
            data.write_bytes(content[:-20])
        elif what == "busy":
            block.enter_context(only_maintainer(engine))
        elif what == "default":
            put(engine, table, "2026-01-09")
        with pytest.raises(kinds[["file", "table", "busy", "default"].index(what)]):
            maintainer.restore(str(manifest), table="nothing" if what == "table" else None)

    assert ["events_default"] == list(partitions(engine))
    assert 0 == scalar(engine, "SELECT count(*) FROM pg_class WHERE relname = :name", name=OLD)
    data.write_bytes(content)
    sql(engine, "DELETE FROM events")
    assert 300 == maintainer.restore(str(manifest)).rows


def test_an_archive_that_goes_away_while_it_is_restored(
    face: Face, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of COPY: what was loaded is rolled back, and the connection is as good as before."""
    table = monthly(Archive(tmp_path))
    january(engine, table, 300)
    maintainer = face.maintainer(table, MARCH)
    maintainer.prune()
    manifest, read, numbers = str(tmp_path / f"public.{OLD}.manifest.json"), Directory.read, count()

    def reading(self: Directory, name: str) -> Any:
        if next(numbers) == 3:  # after the manifest, and twice for its verification
            raise OSError(116, "Stale file handle")
        return read(self, name)

    with monkeypatch.context() as patched:
        patched.setattr(Directory, "read", reading)
        with pytest.raises(ExecutionError, match="Stale file handle; nothing was restored"):
            maintainer.restore(manifest)

    assert OLD not in partitions(engine)
    assert 300 == maintainer.restore(manifest).rows


# -- what stands in the way


def test_another_maintainer_is_at_work(face: Face, engine: Engine) -> None:
    table = table_at_first(engine, DROPPED)
    with only_maintainer(engine), pytest.raises(MaintainerBusy):
        face.maintainer(table, LATER).run()

    assert TWO == list(partitions(engine))
    assert face.maintainer(table, LATER).run().ok


def test_a_lock_that_is_not_granted(face: Face, engine: Engine) -> None:
    """Deferred, with the blocker's pid; the creation went through, and the next run does the rest."""
    table = table_at_first(engine, DROPPED)
    with holding(engine, "SELECT count(*) FROM events") as pid:
        result = face.maintainer(table, LATER, lock=HASTY).run()

    assert ["done"] * 4 + ["deferred"] * 2 == outcomes(result)
    assert any(str(pid) in each for each in result.steps[-1].blockers)
    assert not result.ok
    assert TWO == made(face.maintainer(table, LATER).run())


def test_somebody_else_was_first(face: Face, engine: Engine) -> None:
    """Between the plan and the step, the partition is made by hand."""
    table = table_at_first(engine, MONTHLY)

    @before("provision")
    def by_hand(event: StepEvent) -> None:
        sql(
            engine,
            f"CREATE TABLE {event.partition.name} PARTITION OF events FOR VALUES FROM ('2026-03-01') TO ('2026-04-01')",
        )

    result = face.maintainer(table, "2026-02-15", hooks=[by_hand]).run()

    assert ["superseded"] == outcomes(result)
    assert result.ok


def test_a_name_that_is_taken_leaves_the_others_alone(face: Face, engine: Engine) -> None:
    metadata = MetaData()
    table_at_first(engine, MONTHLY, metadata=metadata)
    table_at_first(engine, MONTHLY, metadata=metadata, name="others")
    sql(engine, "CREATE VIEW events_p20260301 AS SELECT 1")
    result = face.maintainer(metadata, "2026-02-15").run()

    assert ["others_p20260301"] == made(result)
    assert not result.ok
    assert "taken by a view" in str(result)


def test_a_locked_table_leaves_the_others_alone(face: Face, engine: Engine) -> None:
    """Not even its partition key can be read."""
    metadata = MetaData()
    table_at_first(engine, MONTHLY, metadata=metadata)
    table_at_first(engine, MONTHLY, metadata=metadata, name="others")
    with unreadable(engine, "events"):
        result = face.maintainer(metadata, "2026-02-15").run()

    assert ["others_p20260301"] == made(result)
    assert ["locked"] == codes(result.findings)


def test_a_read_only_session(face: Face, engine: Engine) -> None:
    table = table_at_first(engine, MONTHLY)
    sql(engine, f"ALTER DATABASE {engine.url.database} SET default_transaction_read_only = on")

    with pytest.raises(ReadOnlyServer, match="nothing was changed"):
        face.maintainer(table, LATER).run()


# -- what the caller brings


def test_a_report(face: Face, engine: Engine) -> None:
    table = table_at_first(engine, DROPPED)
    told: list[tuple[str, int, int]] = []
    face.maintainer(table, LATER, report=lambda *each: told.append((each[0].outcome, *each[1:]))).run()

    assert [("done", done, 6) for done in range(1, 7)] == told


def test_a_pool_of_one(database_url: str, engine: Engine) -> None:
    """The lock is held on a connection of its own, which is not the pool's."""
    table = table_at_first(engine, MONTHLY)
    for name, first in zip(FACES, ("2026-03", "2026-04", "2026-05"), strict=True):
        with opened(name, database_url, pool_size=1, max_overflow=0, pool_timeout=2) as face:
            assert face.maintainer(table, f"{first}-15").run().ok

    assert "events_p20260601" in partitions(engine)


def test_nothing_is_left_behind(face: Face, engine: Engine) -> None:
    """No lock, no setting in the pool, no connection out of it."""
    table = table_at_first(engine, DROPPED)
    face.maintainer(table, LATER).run()

    assert 0 == face.sync_engine.pool.checkedout()  # type: ignore[attr-defined]
    assert 0 == scalar(engine, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
    assert 0 == scalar(
        engine,
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%' ",
    )


# -- the two are one


@pytest.mark.parametrize(
    "name",
    [
        "plan",
        "run",
        "provision",
        "prune",
        "check",
        "status",
        "drop_branch",
        "at",
        "archives",
        "verify",
        "restore",
        "serve",
    ],
)
def test_both_take_the_same_arguments(name: str) -> None:
    def parameters(method: Any) -> list[tuple[str, Any, Any]]:
        return [(each.name, each.kind, each.default) for each in inspect.signature(method).parameters.values()]

    assert parameters(getattr(Maintainer, name)) == parameters(getattr(AsyncMaintainer, name))


def test_both_are_made_alike() -> None:
    assert list(inspect.signature(Maintainer).parameters) == list(inspect.signature(AsyncMaintainer).parameters)


def test_the_wrong_engine(face: Face) -> None:
    wrong: Any = Maintainer if face.name != "psycopg" else AsyncMaintainer

    with pytest.raises(TypeError, match=r"takes an|needs an"):
        wrong(face.engine, MetaData())
