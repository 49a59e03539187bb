"""Tenants: list values, or the first column of a composite range key, that come and go."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, Text, Uuid, select
from sqlalchemy.schema import CreateTable

from sa_partman import PartitionByHash, PartitionByList, PartitionByRange, Retention
from sa_partman.errors import DeclarationError
from tests.support.database import codes, leaves, made, new_table, partitions, put, sql, upkeep

NOW = "2026-01-15"
ODD = ["t1", "t1_2", "abc", "ABC", "a, b)'c", "NULL", "null", "", " ", "back\\slash", "%s :name", "日本語", "x" * 80]
UUIDS = [uuid.UUID(int=1), uuid.UUID("018cc251-f400-7000-8000-000000000000")]


def with_tenants(engine: Engine, *names: object, kind: Any = Text) -> tuple[MetaData, Any]:
    """A table of tenants with *names*, and the select that asks for them."""
    metadata = MetaData()
    tenants = Table("tenants", metadata, Column("name", kind, primary_key=True))
    tenants.create(engine)
    add(engine, metadata, *names)
    return metadata, select(tenants.c.name).order_by(tenants.c.name)


def add(engine: Engine, metadata: MetaData, *names: object) -> None:
    with engine.begin() as connection:
        for name in names:
            connection.execute(metadata.tables["tenants"].insert(), {"name": name})


def bare(engine: Engine, table: Table) -> None:
    """*table* without the partitions that `create_all()` makes by the server's clock."""
    with engine.begin() as connection:
        connection.execute(CreateTable(table))


def composite(tenants: Any, **changes: Any) -> PartitionByRange:
    return PartitionByRange("tenant", "created_at", interval="1 month", premake=1, tenants=tenants).with_(**changes)


def test_a_new_tenant_at_the_next_run(engine: Engine) -> None:
    """One row more, one partition more."""
    metadata, names = with_tenants(engine, "t1")
    events = new_table(PartitionByList("tenant", values=names), metadata=metadata)
    events.create(engine)
    add(engine, metadata, "t2")
    result = upkeep(engine, metadata, NOW).run()

    assert ["events_t2"] == made(result)
    assert not upkeep(engine, metadata, NOW).plan()
    put(engine, events, NOW, tenant="t2")


def test_a_tenant_that_is_gone_keeps_its_table(engine: Engine) -> None:
    """Its rows stay until they expire like all others, its range is not extended; the check names it once."""
    metadata, names = with_tenants(engine, "t1", "t2")
    events = new_table(composite(names, retention=Retention("1 month", then="drop")), metadata=metadata)
    bare(engine, events)
    upkeep(engine, metadata, "2025-12-15").run()
    sql(engine, "DELETE FROM tenants WHERE name = 't2'")
    upkeep(engine, metadata, NOW).run()
    found = partitions(engine)

    assert {"events_t2_p20251201", "events_t2_p20260101"} == {name for name in found if "_t2_" in name}
    assert "events_t1_p20260201" in found
    assert ["tenant-gone"] == codes(upkeep(engine, metadata, NOW).check())

    upkeep(engine, metadata, "2026-03-15").run()

    assert not [name for name in partitions(engine) if "_t2_" in name]
    assert not upkeep(engine, metadata, "2026-03-15").plan()


def test_retention_goes_on_in_the_branch_of_a_tenant_that_is_gone(engine: Engine) -> None:
    """Below a list, with a retention that no longer knows him, too: then his partitions are kept."""
    metadata, names = with_tenants(engine, "t1", "t2")
    months = PartitionByRange("created_at", interval="1 month", premake=0, retention=Retention("1 month", then="drop"))
    events = new_table(PartitionByList("tenant", values=names, subpartition=months), metadata=metadata)
    bare(engine, events)
    upkeep(engine, metadata, "2025-12-15").run()
    sql(engine, "DELETE FROM tenants WHERE name = 't2'")

    assert "events_t2_p20251201" in leaves(engine)
    assert ["overdue", "tenant-gone"] == sorted(
        {each.code for each in upkeep(engine, metadata, "2026-03-15").check() if "t2" in each.message}
    )
    upkeep(engine, metadata, "2026-03-15").run()
    assert not [name for name in leaves(engine) if "_t2_" in name]

    known = {"t1": Retention("1 month", then="drop")}
    forgetful = months.with_(retention=lambda tenant: known[tenant])
    other = new_table(PartitionByList("tenant", values=names, subpartition=forgetful), name="others", metadata=metadata)
    sql(engine, "INSERT INTO tenants VALUES ('t3')")
    known["t3"] = known["t1"]
    bare(engine, other)
    upkeep(engine, metadata, "2025-12-15").run()
    sql(engine, "DELETE FROM tenants WHERE name = 't3'")
    del known["t3"]
    result = upkeep(engine, metadata, "2026-03-15").run(["others"])

    assert result.ok, str(result)
    assert "others_t3_p20251201" in leaves(engine, "others")
    assert "others_t1_p20251201" not in leaves(engine, "others")


def test_a_list_tenant_that_is_gone(engine: Engine) -> None:
    """The same for the values of a list."""
    metadata, names = with_tenants(engine, "t1", "t2")
    events = new_table(PartitionByList("tenant", values=names), metadata=metadata)
    events.create(engine)
    sql(engine, "DELETE FROM tenants WHERE name = 't2'")

    assert not upkeep(engine, metadata, NOW).run()
    assert ["tenant-gone"] == codes(upkeep(engine, metadata, NOW).check())
    assert {"events_t1", "events_t2"} == set(partitions(engine))


def test_a_callable(engine: Engine) -> None:
    """It may take the connection, or nothing, and may give labels."""
    one = new_table(PartitionByList("tenant", values=lambda: ["a", "b"]))
    other = new_table(
        PartitionByList(
            "tenant", values=lambda connection: {"all": connection.exec_driver_sql("SELECT 'x'").scalars()}
        ),
        name="others",
    )
    one.create(engine)
    other.create(engine)

    assert ["events_a", "events_b"] == list(partitions(engine))
    assert {"others_all": "FOR VALUES IN ('x')"} == partitions(engine, "others")


def test_at_once(engine: Engine) -> None:
    """A tenant gets its partitions before its row is there, and the next run leaves them alone."""
    metadata, names = with_tenants(engine, "t1")
    events = new_table(composite(names), metadata=metadata)
    events.create(engine)
    upkeep(engine, metadata, NOW).run()
    result = upkeep(engine, metadata, NOW).provision(tenants=["t9"])

    assert ["events_t9_p20260101", "events_t9_p20260201"] == made(result)
    assert not upkeep(engine, metadata, NOW).plan()
    put(engine, events, NOW, tenant="t9")


@pytest.mark.parametrize("tenants", [["t9"], [("t9",)], [("t9", "x")]])
def test_tenants_of_a_table_that_has_none(engine: Engine, tenants: list[Any]) -> None:
    """Nothing would happen, so it is an error."""
    table = new_table(PartitionByRange("created_at", interval="1 month"))
    table.create(engine)

    with pytest.raises(DeclarationError, match="no table has a level of tenants"):
        upkeep(engine, table).provision(tenants=tenants)


@pytest.mark.parametrize("tenant", [5, None, b"x", "\0"])
def test_a_tenant_of_the_wrong_type(engine: Engine, tenant: Any) -> None:
    """An error that names the column, before anything is changed."""
    table = new_table(composite(["t1"]))
    table.create(engine)
    before = partitions(engine)

    with pytest.raises(DeclarationError, match="tenant"):
        upkeep(engine, table, NOW).provision(tenants=["t2", tenant])
    assert before == partitions(engine)


@pytest.mark.parametrize("form", ["list", "composite"])
def test_odd_tenants_never_touch_each_other(engine: Engine, form: str) -> None:
    """Names that share a beginning, a case or a quote."""
    metadata, names = with_tenants(engine, *ODD)
    spec = PartitionByList("tenant", values=names) if form == "list" else composite(names, premake=0)
    events = new_table(spec, metadata=metadata)
    events.create(engine)
    result = upkeep(engine, metadata).run()
    for name in ODD:
        sql(engine, "INSERT INTO events (id, created_at, tenant) VALUES (1, now(), :name)", name=name)
    spread = sql(engine, "SELECT tableoid, count(*), count(DISTINCT tenant) FROM events GROUP BY 1")

    assert not result
    assert [(1, 1)] * len(ODD) == [(row[1], row[2]) for row in spread]
    assert not upkeep(engine, metadata).plan()


def test_uuid_tenants(engine: Engine) -> None:
    """Found again as what they are."""
    metadata, names = with_tenants(engine, *UUIDS, kind=Uuid)
    events = new_table(composite(names).with_(premake=0), Column("tenant", Uuid, nullable=False), metadata=metadata)
    events.create(engine)

    assert 2 == len(partitions(engine))
    assert not upkeep(engine, metadata).plan()


def test_uuid_tenants_that_come_as_text(engine: Engine) -> None:
    """A directory keeps them as text; they are the same tenants."""
    events = new_table(composite(lambda: [str(each) for each in UUIDS]), Column("tenant", Uuid, nullable=False))
    events.create(engine)
    upkeep(engine, events).provision(tenants=[str(uuid.UUID(int=7))])

    assert 6 == len(partitions(engine))
    assert not upkeep(engine, events).plan()


def test_integer_tenants(engine: Engine) -> None:
    """``project_id`` of most systems."""
    metadata, names = with_tenants(engine, 1, 12, -3, kind=Integer)
    events = new_table(composite(names), Column("tenant", Integer, nullable=False), metadata=metadata)
    events.create(engine)

    assert 6 == len(partitions(engine))
    assert not upkeep(engine, metadata).plan()


def test_the_composite_form_of_others(engine: Engine) -> None:
    """What another tool made as ``FROM ('t', ...) TO ('t', ...)`` is adopted, continued and pruned."""
    sql(
        engine,
        "CREATE TABLE events (id bigint NOT NULL, created_at timestamptz NOT NULL, tenant text NOT NULL, region text, "
        "ref uuid) PARTITION BY RANGE (tenant, created_at)",
    )
    for tenant in ("t1", "t1_2"):
        for month in (10, 11, 12):
            sql(
                engine,
                f"CREATE TABLE old_{tenant}_{month} PARTITION OF events FOR VALUES "
                f"FROM ('{tenant}', '2025-{month}-01+00') TO ('{tenant}', '2025-{month}-01+00'::timestamptz + '1 mon')",
            )
    table = new_table(composite(["t1", "t1_2"], retention={"t1": Retention("1 month", then="drop")}))
    result = upkeep(engine, table, NOW).run(adopt=True)

    assert result.ok, str(result)
    assert ["old_t1_12", "old_t1_2_10", "old_t1_2_11", "old_t1_2_12"] == sorted(
        name for name in partitions(engine) if name.startswith("old")
    )
    assert 4 == len([name for name in partitions(engine) if name.startswith("events")])
    assert not upkeep(engine, table, NOW).plan()


def test_retention_per_tenant(engine: Engine) -> None:
    """A callable decides; a tenant that it gives nothing for keeps everything."""

    def rule(tenant: object) -> Retention | None:
        return {"short": Retention("1 month", then="drop"), "long": Retention("5 months", then="drop")}.get(str(tenant))

    table = new_table(composite(["short", "long", "ever"], retention=rule, start="2025-05-01"))
    table.create(engine)
    upkeep(engine, table, "2025-06-15").run()
    upkeep(engine, table, NOW).run()
    oldest = {
        tenant: min(name for name in partitions(engine) if name.startswith(f"events_{tenant}_p"))[-8:]
        for tenant in ("short", "long", "ever")
    }

    assert {"short": "20251201", "long": "20250801", "ever": "20250501"} == oldest
    assert not upkeep(engine, table, NOW).plan()


def test_retention_per_tenant_below_a_list(engine: Engine) -> None:
    """The list partition's value is the tenant."""
    spec = PartitionByList(
        "tenant",
        values=["short", "ever"],
        subpartition=PartitionByRange(
            "created_at", interval="1 month", premake=0, retention={"short": Retention("1 month", then="drop")}
        ),
    )
    table = new_table(spec)
    table.create(engine)
    sql(engine, "DROP TABLE events_short, events_ever")
    upkeep(engine, table, "2025-11-15").run()
    upkeep(engine, table, NOW).run()

    assert ["20251101", "20251201", "20251201", "20260101", "20260101"] == sorted(name[-8:] for name in leaves(engine))


def test_a_failing_source_does_not_stop_other_tables(engine: Engine) -> None:
    """The table is reported, the others are maintained."""

    answers = iter([["t1"]])

    def broken() -> list[str]:
        try:
            return next(answers)
        except StopIteration:
            raise RuntimeError("the directory is down") from None

    metadata = MetaData()
    new_table(PartitionByList("tenant", values=broken), metadata=metadata, name="a_broken").create(engine)
    good = new_table(PartitionByRange("created_at", interval="1 month"), metadata=metadata)
    good.create(engine)
    sql(engine, "DROP TABLE " + ", ".join(partitions(engine)))
    result = upkeep(engine, metadata).run()

    assert 5 == len(made(result))
    assert not result.ok
    assert "the directory is down" in str(result)
    assert ["t1"] == [name[9:] for name in partitions(engine, "a_broken")]
    assert "the directory is down" in " ".join(each.message for each in upkeep(engine, metadata).check())


def test_a_select_that_fails_does_not_stop_other_tables(engine: Engine) -> None:
    """The tenants' table was renamed: one finding, and the transaction goes on."""
    metadata, names = with_tenants(engine, "t1")
    new_table(PartitionByList("tenant", values=names), metadata=metadata, name="a_broken").create(engine)
    good = new_table(PartitionByRange("created_at", interval="1 month"), metadata=metadata)
    good.create(engine)
    sql(engine, "ALTER TABLE tenants RENAME TO elsewhere; DROP TABLE " + ", ".join(partitions(engine)))
    result = upkeep(engine, metadata).run()

    assert 5 == len(made(result))
    assert not result.ok
    assert "tenants" in str(result)


def test_run_time_branches(engine: Engine) -> None:
    """The tree of an ML platform: LIST, LIST, HASH with unlogged leaves, made and dropped at run time."""
    spec = PartitionByList(
        "pipe",
        subpartition=PartitionByList("trigger", subpartition=PartitionByHash("sample", modulus=16, unlogged=True)),
    )
    columns = [Column(name, Text, nullable=False) for name in ("pipe", "trigger", "sample")]
    table = new_table(spec, *columns)
    table.create(engine)
    maintainer = upkeep(engine, table)
    first = maintainer.provision(tenants=[("p1", "t1"), ("p1", "t2"), ("p2", "t1")])
    insert = "INSERT INTO events (id, created_at, pipe, trigger, sample) VALUES (1, now(), :p, :t, 's')"
    sql(engine, insert, p="p1", t="t2")

    assert first.ok, str(first)
    assert 48 == len(leaves(engine))
    assert {"u"} == {
        row[0] for row in sql(engine, "SELECT relpersistence::text FROM pg_class WHERE relname ~ '^events.*_h[0-9]+$'")
    }
    assert not maintainer.plan()
    assert not maintainer.provision(tenants=[("p1", "t1")])

    dropped = maintainer.drop_branch("events", ("p1", "t2"))
    assert dropped.ok, str(dropped)
    assert 32 == len(leaves(engine))
    assert maintainer.drop_branch("events", "p2").ok
    assert ["events_p1"] == list(partitions(engine))
    assert not maintainer.plan()


def test_branches_whose_names_meet(engine: Engine) -> None:
    """The trigger ``2`` of ``t1`` and the pipeline ``t1_2`` are two tables."""
    spec = PartitionByList("region", subpartition=PartitionByList("tenant"))
    table = new_table(spec)
    table.create(engine)
    result = upkeep(engine, table).provision(tenants=[("t1", "2"), ("t1_2", "x")])

    assert result.ok, str(result)
    assert 2 == len(leaves(engine))
    sql(
        engine,
        "INSERT INTO events (id, created_at, region, tenant) VALUES (1, now(), 't1', '2'), (2, now(), 't1_2', 'x')",
    )
    assert not upkeep(engine, table).plan()


@pytest.mark.parametrize(
    ("branch", "word"), [(("p9",), "no partition for"), ((), "has no values"), (("p1", "t1", "s", "x"), "levels")]
)
def test_a_branch_that_is_not_there(engine: Engine, branch: tuple[str, ...], word: str) -> None:
    """Nothing was changed."""
    spec = PartitionByList("region", subpartition=PartitionByList("tenant"))
    table = new_table(spec)
    table.create(engine)
    upkeep(engine, table).provision(tenants=[("p1", "t1")])

    with pytest.raises(DeclarationError, match=word):
        upkeep(engine, table).drop_branch("events", branch)
    assert ["events_p1_t1"] == leaves(engine)


def test_a_branch_that_holds_other_values(engine: Engine) -> None:
    """Dropping ``de`` would drop ``fr``."""
    table = new_table(PartitionByList("region", values={"eu": ["de", "fr", None]}))
    table.create(engine)

    with pytest.raises(DeclarationError, match=r"holds.*'fr'.*beside 'de'"):
        upkeep(engine, table).drop_branch("events", "de")


def test_the_branch_of_a_composite_tenant(engine: Engine) -> None:
    """All its partitions, and those of no other."""
    table = new_table(composite(["t1", "t1_2"]))
    table.create(engine)
    result = upkeep(engine, table).drop_branch("events", "t1")

    assert 2 == len(made(result))
    assert all(name.startswith("events_t1_2") for name in partitions(engine))
