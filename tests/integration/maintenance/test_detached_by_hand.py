"""Partitions that somebody detached by hand: one error for all of them, and they are attached again when it is said."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, Table

from sa_partman import PartitionByHash, PartitionByRange
from sa_partman.finding import Finding
from tests.support.database import codes, new_table, partitions, sql, upkeep

DAILY = PartitionByRange("created_at", interval="1 day", premake=2, start="2031-01-01")
NOW = "2031-03-01"
COLUMNS = (
    "id bigint NOT NULL, created_at timestamptz NOT NULL, tenant text NOT NULL DEFAULT 't1', region text, "
    "ref uuid NOT NULL DEFAULT gen_random_uuid()"
)


def _made(engine: Engine, spec: PartitionByRange = DAILY) -> Table:
    """With all its partitions, and a row in each of two."""
    table = new_table(spec)
    sql(engine, f"CREATE TABLE events ({COLUMNS}) PARTITION BY RANGE (created_at)")
    assert upkeep(engine, table, NOW).run().ok
    sql(engine, "INSERT INTO events (id, created_at) VALUES (1, '2031-01-05 12:00Z'), (2, '2031-03-01 12:00Z')")
    return table


def _detach(engine: Engine) -> list[str]:
    """All of them."""
    names = list(partitions(engine))
    for name in names:
        sql(engine, f"ALTER TABLE events DETACH PARTITION {name}")
    return names


def _said(findings: tuple[Finding, ...]) -> list[Finding]:
    return [each for each in findings if each.code == "detached-by-hand"]


def test_one_error_for_all(engine: Engine) -> None:
    """Nothing is tried for them, what else is missing is made, and check gives the same remedy, not another run."""
    table = _made(engine)
    names = _detach(engine)
    sql(engine, f"DROP TABLE {names[-1]}")
    result = upkeep(engine, table, NOW).run()
    found = upkeep(engine, table, NOW).check()
    (said,) = _said(result.findings)

    assert not result.ok
    assert [names[-1]] == [each.step.partition.name for each in result.steps]
    assert f"{len(names) - 1} missing partitions" in said.message
    assert said in found
    assert set(codes(found)).isdisjoint({"gap", "no-current", "missing", "horizon"})
    assert "sa-partman run --repair" in said.remedy


def test_repaired(engine: Engine) -> None:
    """Each is what it was, with its rows, and nothing is left to do."""
    table = _made(engine)
    before = partitions(engine)
    _detach(engine)
    result = upkeep(engine, table, NOW).run(repair=True)

    assert result.ok, str(result)
    assert before == partitions(engine)
    assert [(1,), (2,)] == sql(engine, "SELECT id FROM events ORDER BY id")
    assert [] == _said(upkeep(engine, table, NOW).check())
    assert not upkeep(engine, table, NOW).run()


def test_repaired_with_rows_in_a_default_partition(engine: Engine) -> None:
    """What came for them meanwhile goes into them before."""
    table = _made(engine, DAILY.with_(default=True))
    sql(engine, "ALTER TABLE events DETACH PARTITION events_p20310105")
    sql(engine, "INSERT INTO events (id, created_at) VALUES (3, '2031-01-05 13:00Z')")
    result = upkeep(engine, table, NOW).run(repair=True)

    assert result.ok, str(result)
    assert [(1,), (3,)] == sql(engine, "SELECT id FROM events_p20310105 ORDER BY id")
    assert "events_p20310105" in partitions(engine)


def test_repaired_with_partitions_of_their_own(engine: Engine) -> None:
    table = _made(engine, DAILY.with_(subpartition=PartitionByHash("id", modulus=2)))
    before = partitions(engine)
    _detach(engine)
    result = upkeep(engine, table, NOW).run(repair=True)

    assert result.ok, str(result)
    assert before == partitions(engine)
    assert [(1,), (2,)] == sql(engine, "SELECT id FROM events ORDER BY id")


def test_one_that_does_not_fit_costs_no_other(engine: Engine) -> None:
    """Rows of another day: the server refuses it, and says why."""
    table = _made(engine)
    names = _detach(engine)
    sql(engine, f"INSERT INTO {names[0]} (id, created_at) VALUES (9, '2031-02-02Z')")
    result = upkeep(engine, table, NOW).run(repair=True)
    (failed,) = (each for each in result.steps if each.failed)

    assert names[0] == failed.step.partition.name
    assert "violated by some row" in failed.error
    assert set(names[1:]) == set(partitions(engine))


@pytest.mark.parametrize("repair", [False, True])
def test_a_table_that_only_has_the_name(repair: bool, engine: Engine) -> None:
    """It was no partition: never touched, and named."""
    table = _made(engine)
    sql(engine, "DROP TABLE events_p20310105")
    sql(engine, "CREATE TABLE events_p20310105 (id bigint)")
    result = upkeep(engine, table, NOW).run(repair=repair)
    (failed,) = result.steps

    assert "the name is taken by a table" in failed.error
    assert [] == _said(result.findings)
