"""What retention drops, and what it never does: the mark, the grace, the limit and the clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, MetaData, Table
from sqlalchemy.schema import CreateTable

from sa_partman import LockPolicy, Maintainer, PartitionByRange, Retention
from sa_partman.cli.output import counted_result, result_lines
from sa_partman.maintenance import planning
from sa_partman.marks import CREATED, created, marked
from sa_partman.names import QualifiedName
from tests.support.archives import JANUARY, MARCH, OLD, comment, count, is_there, january, kept, monthly
from tests.support.database import (
    codes,
    holding,
    leaves,
    made,
    new_table,
    outcomes,
    partitions,
    put,
    scalar,
    sql,
    upkeep,
)

EVENTS = QualifiedName("public", "events")
LATER = "2026-04-15"


def remark(engine: Engine, table: str, text: str) -> None:
    sql(engine, f"COMMENT ON TABLE {table} IS '{text.replace(chr(39), chr(39) * 2)}'".replace(":", "\\:"))


def test_a_grace_by_the_catalog_alone(engine: Engine) -> None:
    """Another process, another day: the mark says since when."""
    table = monthly("drop", grace="10 days")
    january(engine, table)

    assert ["done"] == outcomes(upkeep(engine, table, MARCH).prune())
    assert not upkeep(engine, table, "2026-03-24 23:59").prune()
    assert 5 == count(engine)
    assert ["done"] == outcomes(upkeep(engine, table, "2026-03-25").prune())
    assert not is_there(engine)


def test_what_the_user_wrote_stays_behind_the_mark(engine: Engine) -> None:
    table = monthly("drop", grace="10 days")
    january(engine, table)
    remark(engine, OLD, created("mine"))
    upkeep(engine, table, MARCH).prune()

    assert ["sa_partman: created", "mine"] == (comment(engine) or "").split("\n")[1:]


def test_a_concurrent_detach_with_a_grace(engine: Engine) -> None:
    """The mark comes first, and counts."""
    table = monthly("drop", grace="10 days", concurrently=True)
    january(engine, table)

    assert ["done"] == outcomes(upkeep(engine, table, MARCH).prune())
    assert not upkeep(engine, table, MARCH).prune()
    assert ["done"] == outcomes(upkeep(engine, table, "2026-03-25").prune())
    assert not is_there(engine)


def test_a_concurrent_detach_that_fails_has_detached_nothing(engine: Engine) -> None:
    """Though it had marked the partition already; the next run detaches it. One line each."""
    table = monthly("detach", concurrently=True)
    january(engine, table)
    with holding(engine, "SELECT 1 FROM events"):
        failed = upkeep(engine, table, MARCH, lock=LockPolicy(lock_timeout=0.1, budget=0.3)).prune()
    again = upkeep(engine, table, MARCH).prune()

    assert ("Nothing was changed; 1 step failed", {}) == (counted_result(failed), failed.to_dict()["partitions"])
    assert ("1 partition detached", {"detached": 1}) == (counted_result(again), again.to_dict()["partitions"])
    assert 1 == len(again.steps) == len(list(result_lines(again)))


@pytest.mark.parametrize("then", ["detach", "drop"])
def test_orphans(engine: Engine, then: str) -> None:
    """Of tables with our mark, one goes at most: that of this parent, expired, when the declaration says drop."""
    table = new_table(kept(then))  # type: ignore[arg-type]
    january(engine, table, 0)
    past = datetime(2026, 1, 5, tzinfo=UTC)
    january_ = "FOR VALUES FROM ('2026-01-01 00:00:00+00') TO ('2026-02-01 00:00:00+00')"
    orphans = {
        "ours": marked(EVENTS, None, past, january_),
        "anothers": marked(QualifiedName("public", "visits"), None, past, january_),
        "in_another_schema": marked(QualifiedName("other", "events"), None, past, january_),
        "not_expired": marked(EVENTS, None, past, january_.replace("2026-02", "2027-02")),
        "without_a_mark": "mine",
        "edited": marked(EVENTS, None, past, january_).replace(" had ", " has "),
        "of_recent_rows": marked(EVENTS, None, past),
    }
    for name, text in orphans.items():
        sql(engine, f"CREATE TABLE {name} AS SELECT 1 AS id, timestamptz '2026-03-14' AS created_at")
        remark(engine, name, text)
    sql(engine, f"DROP TABLE {OLD}")
    result = upkeep(engine, table, MARCH).prune()

    gone = {name for name in orphans if not is_there(engine, name)}
    assert (set() if then == "detach" else {"ours"}) == gone
    if then == "drop":
        assert {"ours": "done", "of_recent_rows": "failed"} == {
            each.step.partition.name: str(each.outcome) for each in result.steps
        }
        assert "1 rows that are not expired; nothing was removed" in " ".join(each.error for each in result.steps)


def test_an_old_mark_gets_its_grace_from_now_on(engine: Engine) -> None:
    """And is dropped when that is over, if all its rows are expired."""
    table = monthly("drop", grace="10 days")
    january(engine, table)
    sql(engine, f"ALTER TABLE events DETACH PARTITION {OLD}")
    remark(engine, OLD, marked(EVENTS, "mine"))

    assert [("heal", "done")] == [
        (each.step.purpose, each.outcome) for each in upkeep(engine, table, MARCH).prune().steps
    ]
    assert marked(EVENTS, "mine", datetime(2026, 3, 15, tzinfo=UTC)) == comment(engine)
    assert not upkeep(engine, table, MARCH).prune()
    assert ["done"] == outcomes(upkeep(engine, table, "2026-03-25").prune())
    assert not is_there(engine)


def test_what_is_kept_for_longer_now_is_attached_again(engine: Engine) -> None:
    """And not dropped: it is not expired any more."""
    january(engine, monthly("drop", grace="10 days"))
    upkeep(engine, monthly("drop", grace="10 days"), MARCH).prune()
    longer = new_table(
        PartitionByRange(
            "created_at",
            interval="1 month",
            premake=0,
            start="2026-01-01",
            retention=Retention("1 year", "drop", grace="10 days"),
        )
    )
    upkeep(engine, longer, LATER).run()

    assert OLD in partitions(engine)
    assert "sa_partman: created" == comment(engine)
    assert 5 == scalar(engine, "SELECT count(*) FROM events")


# -- how much in one run -----------------------------------------------------------------------------------------------


def two(*names: str) -> MetaData:
    metadata = MetaData()
    for name in names:
        new_table(kept("drop"), metadata=metadata, name=name)
    return metadata


def test_a_limit_per_run(engine: Engine) -> None:
    """The oldest of each table first; what is left is said, and goes with the next runs; nothing is made less."""
    metadata = two("a", "b")
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            connection.execute(CreateTable(table))
    upkeep(engine, metadata, JANUARY).run()
    for month in range(2, 6):
        upkeep(engine, metadata, f"2026-{month:02}-15").provision()
    plan = upkeep(engine, metadata, "2026-08-15", limit=3).plan()
    first = upkeep(engine, metadata, "2026-08-15", limit=3).run()

    removed = [step.step.partition.name for step in first.steps if step.step.purpose.removes]
    assert {"b_p20260101", "b_p20260201", "a_p20260101"} == set(removed)
    assert 3 == sum(step.purpose.removes for step in plan.steps)
    assert ["limit", "limit"] == codes(first.findings)
    assert first.ok
    assert ["a_p20260801", "b_p20260801"] == [
        name for name in (*leaves(engine, "a"), *leaves(engine, "b")) if "0801" in name
    ]
    rounds = 0
    while upkeep(engine, metadata, "2026-08-15", limit=3).prune():
        rounds += 1
    assert (3, 2, 2) == (rounds, len(leaves(engine, "a")), len(leaves(engine, "b")))


# -- clocks ------------------------------------------------------------------------------------------------------------


def ancient(engine: Engine) -> Table:
    """By the true clock: a partition of years ago has expired, and that of now is missing."""
    table = monthly("drop")
    with engine.begin() as connection:
        connection.execute(CreateTable(table))
    sql(
        engine,
        "CREATE TABLE events_p20200101 PARTITION OF events FOR VALUES FROM ('2020-01-01 00\\:00+00') "
        "TO ('2020-02-01 00\\:00+00')",
    )
    sql(engine, f"COMMENT ON TABLE events_p20200101 IS '{CREATED}'".replace(":", "\\:"))
    put(engine, table, "2020-01-02")
    return table


@pytest.mark.parametrize("seconds", [-3600, -11, 11, 86_400 * 365])
def test_clocks_that_disagree(engine: Engine, monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    """Nothing is removed, partitions are made by the server's clock, and the run fails with the reason."""
    table = ancient(engine)
    monkeypatch.setattr(planning, "client_clock", lambda: datetime.now(UTC) + timedelta(seconds=seconds))
    maintainer = Maintainer(engine, table.metadata)
    plan, result = maintainer.plan(), maintainer.run()

    assert not any(step.purpose.removes for step in plan.steps)
    assert (["clock-skew"], False) == (codes(result.findings), result.ok)
    assert ("behind" if seconds > 0 else "ahead of") in result.findings[0].message
    assert f"events_p{datetime.now(UTC):%Y%m}01" in made(result)
    assert 1 == scalar(engine, "SELECT count(*) FROM events_p20200101")
    assert "clock-skew" in codes(maintainer.check())
    assert "error" not in [finding.severity for finding in maintainer.check() if finding.code == "clock-skew"]


@pytest.mark.parametrize("seconds", [-9, 0, 9])
def test_clocks_that_agree(engine: Engine, monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    """Nearly."""
    table = ancient(engine)
    monkeypatch.setattr(planning, "client_clock", lambda: datetime.now(UTC) + timedelta(seconds=seconds))
    maintainer = Maintainer(engine, table.metadata)

    assert "clock-skew" not in codes(maintainer.check())
    assert maintainer.run().ok
    assert not is_there(engine, "events_p20200101")


def test_a_slow_answer_is_no_skew(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's clock was read somewhere between the question and the answer."""
    table = ancient(engine)
    times = iter([datetime.now(UTC) - timedelta(seconds=60), datetime.now(UTC) + timedelta(seconds=60)] * 5)
    monkeypatch.setattr(planning, "client_clock", lambda: next(times))

    assert Maintainer(engine, table.metadata).run().ok
    assert not is_there(engine, "events_p20200101")


def test_a_given_instant_needs_no_clock(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's counts."""
    table = monthly("drop")
    january(engine, table)
    monkeypatch.setattr(planning, "client_clock", lambda: datetime(1999, 1, 1, tzinfo=UTC))

    assert upkeep(engine, table, MARCH).prune().ok
    assert not is_there(engine)


def test_what_came_for_a_table_while_it_was_detached(engine: Engine) -> None:
    """Kept for longer now, it becomes a partition again, and takes the rows that the default partition has of it."""
    spec = kept("detach").with_(default=True, start="2026-01-01")
    table = new_table(spec)
    january(engine, table)
    upkeep(engine, table, MARCH).run()
    put(engine, table, "2026-01-20")
    longer = new_table(spec.with_(retention=Retention("4 months", then="detach")))
    result = upkeep(engine, longer, MARCH).run()

    assert result.ok, str(result)
    assert 6 == count(engine)
    assert 0 == count(engine, "events_default")


def test_a_detached_table_that_somebody_uses_otherwise(engine: Engine) -> None:
    """As a child of a table of his own: queries on that one would lack its rows."""
    table = monthly("drop", grace="10 days")
    january(engine, table)
    upkeep(engine, table, MARCH).prune()
    sql(engine, f"CREATE TABLE history (LIKE {OLD} INCLUDING ALL); ALTER TABLE {OLD} INHERIT history")
    upkeep(engine, table, "2026-03-26").prune()

    assert 5 == count(engine, "history")


def test_a_limit_below_nothing(engine: Engine) -> None:
    """Whoever means "no limit" by it would get all but one removed."""
    with pytest.raises(ValueError, match="limit=-1 is below 0"):
        upkeep(engine, monthly("drop"), limit=-1)
