"""What is wrong with one table costs this table alone: in the plan, the run, the check and the status."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import BigInteger, Column, Date, DateTime, Engine, Integer, MetaData, Table, Text, Uuid

from sa_partman import Maintainer, PartitionByHash, PartitionByList, PartitionByRange, Retention
from sa_partman.bounds.read import parse_bound
from sa_partman.checks import status, suite
from sa_partman.codecs.ulid import ULID
from sa_partman.codecs.uuid7 import UUIDv7
from sa_partman.engine import statements
from sa_partman.maintenance import checking
from sa_partman.maintenance.fleet import Fleet
from sa_partman.plan import provision, prune
from sa_partman.postgres import reflect, view
from tests.support.builders import at
from tests.support.database import partitions, sql

NOW = at("2026-01-15")
MONTHLY = PartitionByRange("k", interval="1 month", premake=0)
TZ, NAIVE = DateTime(timezone=True), DateTime()
TENANT = UUID("01890a5d-ac96-774b-bcce-b302099a8057")

BESIDE = PartitionByRange("at", interval="1 month", premake=0)


def tables(spec: Any, kind: Any) -> MetaData:
    """``odd`` as the model has it, between two that nothing is wrong with."""
    metadata = MetaData()
    Table("a_good", metadata, Column("at", TZ, nullable=False), BESIDE)
    Table("odd", metadata, Column("k", kind, nullable=False), Column("at", TZ, nullable=False), spec)
    Table("z_good", metadata, Column("at", TZ, nullable=False), BESIDE)
    return metadata


def make(engine: Engine, odd: str, *rest: str) -> None:
    """The tables in the database; *odd* is the type of its ``k`` and what follows it."""
    for name in ("a_good", "z_good"):
        sql(engine, f"CREATE TABLE {name} (at timestamptz NOT NULL) PARTITION BY RANGE (at)")
    kind, by = odd.split(" BY ")
    sql(engine, f"CREATE TABLE odd (k {kind} NOT NULL, at timestamptz NOT NULL) PARTITION BY {by}")
    for statement in rest:
        sql(engine, statement)


IN_RANGE = "CREATE TABLE odd_1 PARTITION OF odd FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')"
NUMBERED = "CREATE TABLE odd_1 PARTITION OF odd FOR VALUES FROM (0) TO (10)"
BY_UUID = PartitionByRange("k", "at", interval="1 month", premake=0, tenants=[TENANT])

OTHER_TYPES: dict[str, tuple[Any, Any, str, tuple[str, ...], tuple[str, str]]] = {
    "timestamp": (MONTHLY, NAIVE, "timestamptz BY RANGE (k)", (), ("timestamp", "timestamp with time zone")),
    "timestamp with partitions": (
        MONTHLY,
        NAIVE,
        "timestamptz BY RANGE (k)",
        (IN_RANGE,),
        ("timestamp", "timestamp with time zone"),
    ),
    "timestamptz": (MONTHLY, TZ, "date BY RANGE (k)", (IN_RANGE,), ("timestamp with time zone", "date")),
    "date": (MONTHLY, Date(), "timestamptz BY RANGE (k)", (IN_RANGE,), ("date", "timestamp with time zone")),
    "a number": (
        PartitionByRange("k", interval=10),
        BigInteger(),
        "text BY RANGE (k)",
        ("CREATE TABLE odd_1 PARTITION OF odd FOR VALUES FROM ('0') TO ('9')", "INSERT INTO odd VALUES ('11x', now())"),
        ("bigint", "text"),
    ),
    "a number for time": (
        PartitionByRange("k", interval=10),
        BigInteger(),
        "date BY RANGE (k)",
        (),
        ("bigint", "date"),
    ),
    "labels": (PartitionByList("k", values={"eu": ["de"]}), Text(), "integer BY LIST (k)", (), ("text", "integer")),
    "integers": (PartitionByList("k", values={"one": [1]}), Integer(), "text BY LIST (k)", (), ("integer", "text")),
    "UUIDv7": (
        PartitionByRange("k", interval="1 month", codec=UUIDv7()),
        Uuid(),
        "text BY RANGE (k)",
        (),
        ("uuid", "text"),
    ),
    "ULID": (
        PartitionByRange("k", interval="1 month", codec=ULID()),
        Text(),
        "integer BY RANGE (k)",
        (NUMBERED,),
        ("text", "integer"),
    ),
    "tenants": (BY_UUID, Uuid(), "integer BY RANGE (k, at)", (), ("uuid", "integer")),
    "below": (
        PartitionByList("k", values={"x": ["x"]}, subpartition=BESIDE),
        Text(),
        "integer BY LIST (k)",
        (),
        ("text", "integer"),
    ),
}


@pytest.mark.parametrize("case", OTHER_TYPES.values(), ids=OTHER_TYPES.keys())
def test_a_key_of_another_type_than_declared(engine: Engine, case: Any) -> None:
    """A finding that names both types; the others get what they lack."""
    spec, declared, database, rest, (wanted, found) = case
    make(engine, database, *rest)
    maintainer = Maintainer(engine, tables(spec, declared), now=NOW)

    result = maintainer.run()

    (finding,) = result.findings
    assert "other-key-type" == finding.code
    assert "public.odd" == finding.table
    assert f"public.odd: the key column k is {found} in the database and {wanted}" in finding.message
    for name in ("a_good", "z_good"):
        assert [f"{name}_p20260101"] == list(partitions(engine, name))
    assert ["other-key-type"] == [each.code for each in maintainer.check() if each.table == "public.odd"]
    assert ["", finding.message, ""] == [each.problem for each in maintainer.status()]


def test_a_key_of_another_type_at_a_lower_level(engine: Engine) -> None:
    """As far as there is a partition of that level to see it by."""
    make(
        engine,
        "text BY LIST (k)",
        "CREATE TABLE odd_x PARTITION OF odd FOR VALUES IN ('x') PARTITION BY RANGE (at)",
    )
    below = PartitionByRange("at", interval="1 month")
    metadata = MetaData()
    spec = PartitionByList("k", values={"x": ["x"]}, subpartition=below)
    Table("odd", metadata, Column("k", Text, nullable=False), Column("at", NAIVE, nullable=False), spec)

    (finding,) = Maintainer(engine, metadata, now=NOW).run().findings

    assert "other-key-type" == finding.code
    assert "the key column at is timestamp with time zone in the database and timestamp" in finding.message


def test_types_that_differ_in_name_only(engine: Engine) -> None:
    """A number of another width and text of another kind are no other type; a hash takes whatever there is."""
    sql(engine, "CREATE TABLE odd (k bigint, at timestamptz) PARTITION BY RANGE (k)")
    sql(engine, "CREATE TABLE odd_l (k varchar(9), at timestamptz) PARTITION BY LIST (k)")
    sql(engine, "CREATE TABLE odd_h (k uuid, at timestamptz) PARTITION BY HASH (k)")
    metadata = MetaData()
    Table(
        "odd",
        metadata,
        Column("k", Integer, nullable=False),
        Column("at", TZ),
        PartitionByRange("k", interval=10, premake=0),
    )
    Table(
        "odd_l",
        metadata,
        Column("k", Text, nullable=False),
        Column("at", TZ),
        PartitionByList("k", values={"eu": ["de"]}),
    )
    Table("odd_h", metadata, Column("k", Integer), Column("at", TZ), PartitionByHash("k", modulus=2))

    result = Maintainer(engine, metadata, now=NOW).run()

    assert result.ok, str(result)
    assert 4 == len(result.steps)


class Broken(Exception):
    """What nobody has thought of."""


def breaks(function: Callable[..., Any]) -> Callable[..., Any]:
    """*function*, which raises where it is about the table ``odd``."""

    def wrapped(*args: Any, **keywords: Any) -> Any:
        if any("odd" in repr(each)[:200] for each in args):
            raise Broken("no idea")
        return function(*args, **keywords)

    return wrapped


STAGES: dict[str, tuple[Any, str]] = {
    "the highest key": (view, "highest_of"),
    "a bound": (reflect, "parse_bound"),
    "what is missing": (provision, "lines_of"),
    "what is expired": (prune, "expiry_of"),
    "its step": (statements, "render"),
}
"""Where a run may fail."""

LOOKS: dict[str, tuple[Any, str]] = {
    **{stage: place for stage, place in STAGES.items() if stage != "its step"},
    "a check": (suite, "coverage_findings"),
    "its rows": (checking, "data_facts"),
    "its state": (status, "_level"),
}
"""Where a look may fail."""


@pytest.fixture
def three(engine: Engine) -> Maintainer:
    """``odd`` has a partition and a default one, and lacks some; the two beside it lack all."""
    make(
        engine,
        "bigint BY RANGE (k)",
        "CREATE TABLE odd_1 PARTITION OF odd FOR VALUES FROM (7770) TO (7780)",
        "CREATE TABLE odd_d PARTITION OF odd DEFAULT",
    )
    spec = PartitionByRange("k", interval=10, premake=0, default=True, retention=Retention(1_000))
    return Maintainer(engine, tables(spec, BigInteger()), now=NOW)


def broken(monkeypatch: pytest.MonkeyPatch, place: tuple[Any, str]) -> None:
    room, name = place
    function = breaks(getattr(room, name))
    if name == "parse_bound":
        function = _no_bound
    monkeypatch.setattr(room, name, function)


def _no_bound(text: str, types: Any) -> Any:
    if "7770" in text:
        raise Broken("no idea")
    return parse_bound(text, types)


@pytest.mark.parametrize("place", STAGES.values(), ids=STAGES.keys())
def test_a_run_in_which_one_table_fails(
    engine: Engine, three: Maintainer, place: tuple[Any, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch, place)

    (answer,) = Fleet([three]).run()

    assert answer.error is None
    assert answer.value is not None
    assert not answer.ok
    assert "no idea" in str(answer.value)
    assert [1, 1] == [len(partitions(engine, name)) for name in ("a_good", "z_good")]


@pytest.mark.parametrize("place", LOOKS.values(), ids=LOOKS.keys())
def test_a_look_in_which_one_table_fails(
    three: Maintainer, place: tuple[Any, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan and the check say it as a finding, the status as the table's problem."""
    broken(monkeypatch, place)

    planned, found, shown = three.plan(), three.check(), three.status()

    assert ["a_good_p20260101", "z_good_p20260101"] == [
        step.partition.name for step in planned.steps if step.table.name != "odd"
    ]
    assert {"public.a_good", "public.z_good"} <= {each.table for each in found if each.code == "no-current"}
    said = [each.message for each in (*planned.findings, *found)] + [each.problem for each in shown]
    assert any("no idea" in each for each in said), said
    assert ["", ""] == [each.problem for each in shown if not each.table.endswith("odd")]


def test_a_fleet_whose_first_database_fails(engine: Engine, three: Maintainer) -> None:
    """Whatever it fails with: here the callable that names the schemas."""

    def schemas() -> list[str]:
        raise Broken("no idea")

    first = Maintainer(engine, tables(MONTHLY, TZ), now=NOW, schemas=schemas)

    failed, done = Fleet([first, three]).run()

    assert isinstance(failed.error, Broken)
    assert done.error is None
