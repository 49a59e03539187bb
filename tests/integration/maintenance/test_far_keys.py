"""Keys very far from each other: what is covered is passed over in one step, and nobody gets millions of partitions."""

from __future__ import annotations

import pytest
from sqlalchemy import BigInteger, Column, Date, DateTime, Engine

from sa_partman import PartitionByRange
from tests.support.database import codes, new_table, partitions, sql, upkeep

FAR = 9_000_000_000_000_000
SPEC = PartitionByRange("id", interval=1_000, premake=1)


@pytest.mark.parametrize("upper", ["MAXVALUE", str(FAR + 1_000)])
def test_a_far_row_in_a_wide_partition(engine: Engine, upper: str) -> None:
    """Plan, check, status and run look at the partitions that are there, and not at what lies between the keys."""
    table = new_table(SPEC, Column("id", BigInteger, primary_key=True))
    table.metadata.create_all(engine)
    sql(engine, f"CREATE TABLE wide PARTITION OF events FOR VALUES FROM (2000) TO ({upper})")
    sql(engine, f"INSERT INTO events (id, created_at) VALUES ({FAR}, now())")
    maintainer = upkeep(engine, table)
    result = maintainer.run()

    assert result.ok
    assert (2 if upper == "MAXVALUE" else 3) + 1 == len(partitions(engine))
    assert not maintainer.plan()
    assert not [each for each in maintainer.check() if each.is_problem]
    assert len(partitions(engine)) == len(maintainer.status()[0].partitions)


def test_a_far_row_in_a_partition_of_its_own(engine: Engine) -> None:
    """The run says what it did not make, and that is no success; a plan has nothing left to do all the same."""
    table = new_table(SPEC, Column("id", BigInteger, primary_key=True))
    table.metadata.create_all(engine)
    sql(engine, f"CREATE TABLE far PARTITION OF events FOR VALUES FROM ({FAR}) TO ({FAR + 1_000})")
    sql(engine, f"INSERT INTO events (id, created_at) VALUES ({FAR}, now())")
    maintainer = upkeep(engine, table)
    result = maintainer.run()

    assert not result.ok
    assert ["range-too-wide"] == codes(result.findings) == codes(maintainer.plan().findings)
    assert not maintainer.plan()
    assert f"events_p{FAR + 1_000}" in partitions(engine)


@pytest.mark.parametrize("kind", [DateTime(timezone=True), DateTime(), Date()])
@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        ("'2026-02-01'", "'infinity'"),
        ("'2026-02-01'", "'12026-01-01'"),
        ("'-infinity'", "'2026-01-30'"),
        ("'0044-03-15 BC'", "'2026-01-30'"),
        ("'-infinity'", "'infinity'"),
    ],
)
def test_time_without_end(engine: Engine, kind: Date | DateTime, lower: str, upper: str) -> None:
    """A partition up to infinity, or to a year that Python does not have, covers what there is of it."""
    spec = PartitionByRange("created_at", interval="1 day" if isinstance(kind, Date) else "1 hour", premake=1)
    table = new_table(spec, Column("created_at", kind, primary_key=True))
    table.create(engine)
    for name in partitions(engine):
        sql(engine, f"DROP TABLE {name}")
    sql(engine, f"CREATE TABLE wide PARTITION OF events FOR VALUES FROM ({lower}) TO ({upper})")
    for now in ("2026-01-31 22:30", "2500-01-01"):
        maintainer = upkeep(engine, table, now)
        if upper == "'2026-01-30'" and now == "2500-01-01":
            assert ["range-too-wide"] == codes(maintainer.plan().findings)
            continue

        assert maintainer.run().ok
        assert not maintainer.plan()


def test_the_end_of_the_calendar_in_a_default_partition(engine: Engine) -> None:
    """What applications write for "never": the check counts it in the last partition that there could be."""
    table = new_table(PartitionByRange("created_at", interval="1 month", default=True))
    table.metadata.create_all(engine)
    sql(engine, "INSERT INTO events (id, created_at) VALUES (1, '9999-12-31 23:59:59.999999+00'), (2, '9999-12-31')")
    found = {each.code: each.message for each in upkeep(engine, table).check()}

    assert "[9999-12-01, MAXVALUE) (2 rows)" in found["default-rows"]


# As many on any server, by the same statements.
@pytest.mark.once
@pytest.mark.campaign
@pytest.mark.timeout(600)
def test_a_past_of_more_than_a_thousand_partitions(engine: Engine) -> None:
    """One run makes all of it: after exit code 0 nothing is missing."""
    table = new_table(PartitionByRange("created_at", interval="1 day", premake=1, start="2023-02-25"))
    table.create(engine)
    for name in partitions(engine):
        sql(engine, f"DROP TABLE {name}")
    maintainer = upkeep(engine, table, "2026-01-15")
    result = maintainer.run()

    assert result.ok
    assert 1_057 == len(result.steps) == len(partitions(engine))
    assert not maintainer.plan()
