"""Partitions that somebody else made: retention leaves them alone until they are handed over, once."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Engine, Table

import alembic_ext.autogenerate  # noqa: F401 -- its operations; Alembic finds them by itself from 1.18 on
from sa_partman import Archive, PartitionByHash, PartitionByList, PartitionByRange, Retention
from sa_partman.finding import Severity
from tests.support.database import codes, made, new_table, partitions, put, relations, sql, upkeep
from tests.support.faces import Face

NOW = "2026-11-29"
OLD = "events_old"


def hand_made(engine: Engine, retention: Retention) -> Table:
    """Daily partitions of ours, and one of twenty years that somebody made before us, with three rows."""
    events = new_table(PartitionByRange("created_at", interval="1 day", premake=1, retention=retention))
    events.create(engine)
    sql(engine, f"CREATE TABLE {OLD} PARTITION OF events FOR VALUES FROM ('2000-01-01Z') TO ('2020-01-01Z')")
    sql(engine, f"COMMENT ON TABLE {OLD} IS 'of the old application'")
    put(engine, events, "2001-01-01", "2002-02-02", "2003-03-03")
    return events


def comment(engine: Engine, name: str = OLD) -> str | None:
    found: str | None = sql(engine, "SELECT obj_description(CAST(:name AS regclass), 'pg_class')", name=name)[0][0]
    return found


@pytest.mark.parametrize(
    "retention",
    [Retention("30 days", then="drop"), Retention("30 days"), Retention("30 days", then="drop", grace="1 day")],
    ids=str,
)
def test_nothing_of_somebody_elses_goes_before_he_says_so(engine: Engine, retention: Retention) -> None:
    """Reported with its rows, and kept; by `run --adopt` it is handed over, once, and goes like any other."""
    events = hand_made(engine, retention)
    sql(engine, f"ANALYZE {OLD}")
    maintainer = upkeep(engine, events, NOW)

    first = maintainer.run()
    (finding,) = [each for each in first.findings if each.code == "foreign-partition"]
    assert (Severity.WARNING, True) == (finding.severity, first.ok)
    assert (
        "1 partition is expired and was not made by sa-partman, so it is kept: public.events_old "
        "[2000-01-01, 2020-01-01) (about 3 rows)" == finding.message
    )
    assert "sa-partman run --adopt" in finding.remedy
    assert OLD in partitions(engine)
    assert [finding] == [each for each in maintainer.check() if each.code == "foreign-partition"]
    assert [finding] == list(maintainer.plan().findings)
    assert [] == made(maintainer.prune())

    adopting = maintainer.run(adopt=True)
    assert OLD not in partitions(engine)
    assert "adopt" == adopting.steps[0].step.purpose
    assert not maintainer.run(adopt=True)
    assert ["detached"] * retention.detaches == codes(maintainer.check())
    assert retention.detaches == (f"public.{OLD}" in relations(engine))
    if retention.detaches:
        kept = (comment(engine) or "").split("\n")
        assert "sa_partman: adopted at 2026-11-29T00:00:00+00:00" == kept[1]
        assert "of the old application" == kept[2]


def test_the_plan_of_an_adoption_shows_it(engine: Engine) -> None:
    """First the mark, last the removal."""
    maintainer = upkeep(engine, hand_made(engine, Retention("30 days", then="drop")), NOW)

    assert [
        "~ adopt     public.events_old  [2000-01-01, 2020-01-01)",
        "- drop      public.events_old  [2000-01-01, 2020-01-01)",
    ] == [line for line in str(maintainer.plan(adopt=True)).split("\n") if OLD in line]


@pytest.mark.parametrize(("foreign", "there"), [(True, False), (False, True)])
def test_the_declaration_may_say_it(engine: Engine, foreign: bool, there: bool) -> None:
    """``foreign=True`` lets it go, ``foreign=False`` keeps it without a word."""
    maintainer = upkeep(engine, hand_made(engine, Retention("30 days", then="drop", foreign=foreign)), NOW)

    assert [] == codes(maintainer.run().findings)
    assert there == (OLD in partitions(engine))
    assert [] == codes(maintainer.check())


def test_what_came_after_the_adoption_is_not_handed_over(engine: Engine) -> None:
    events = hand_made(engine, Retention("30 days"))
    upkeep(engine, events, NOW).run(adopt=True)
    sql(engine, "CREATE TABLE later PARTITION OF events FOR VALUES FROM ('1990-01-01Z') TO ('2000-01-01Z')")

    assert ["foreign-partition"] == codes(upkeep(engine, events, NOW).run().findings)
    assert "later" in partitions(engine)


def test_each_face(face: Face, engine: Engine) -> None:
    """The asynchronous one as well."""
    events = hand_made(engine, Retention("30 days", then="drop"))
    maintainer = face.maintainer(events, NOW)
    assert ["foreign-partition"] == codes(maintainer.run().findings)
    assert OLD in partitions(engine)

    maintainer.run(adopt=True)
    assert OLD not in partitions(engine)


def test_an_archive_of_somebody_elses(engine: Engine, tmp_path: Any) -> None:
    """Not written before the table is handed over."""
    events = hand_made(engine, Retention("30 days", then=Archive(str(tmp_path))))
    upkeep(engine, events, NOW).run()
    assert [] == list(tmp_path.iterdir())

    upkeep(engine, events, NOW).run(adopt=True)
    assert 2 == len(list(tmp_path.iterdir()))


def test_below_a_branch_of_ours(engine: Engine) -> None:
    """A part that somebody put below an expired partition of ours would go with it, so both stay."""
    events = new_table(
        PartitionByRange(
            "created_at",
            interval="1 month",
            premake=0,
            retention=Retention("60 days", then="drop"),
            subpartition=PartitionByList("tenant", values={"eu": ["de"]}),
        )
    )
    events.create(engine)
    upkeep(engine, events, "2026-05-10").run()
    sql(engine, "CREATE TABLE mine PARTITION OF events_p20260501 FOR VALUES IN ('us')")

    result = upkeep(engine, events, NOW).run()
    assert ["foreign-partition"] == codes(result.findings)
    assert "mine" in partitions(engine, "events_p20260501")
    upkeep(engine, events, NOW).run(adopt=True)
    assert "events_p20260501" not in partitions(engine)


def test_whoever_makes_it_marks_it(engine: Engine) -> None:
    """By create_all(), a run, op.create_partition and op.provision_partitions, at every level."""
    spec = PartitionByRange("created_at", interval="1 day", premake=0, subpartition=PartitionByHash("id", modulus=2))
    events = new_table(spec)
    events.create(engine)
    upkeep(engine, events, "2027-01-01").run()
    with engine.begin() as connection, warnings.catch_warnings():
        op: Any = Operations(MigrationContext.configure(connection))
        op.create_partition("events_op", "events", lower="2030-01-01T00:00:00+00:00", upper="2030-01-02T00:00:00+00:00")
        op.provision_partitions("events", spec)

    marks = sql(
        engine,
        "SELECT DISTINCT obj_description(relid, 'pg_class') FROM pg_partition_tree('events') WHERE level > 0",
    )
    assert [("sa_partman: created",)] == marks


def test_a_detach_by_a_migration_keeps_who_made_it(engine: Engine) -> None:
    """What somebody else made is not dropped later because a migration has detached it; handed over it is."""
    events = hand_made(engine, Retention("30 days", then="drop"))
    with engine.begin() as connection:
        op: Any = Operations(MigrationContext.configure(connection))
        op.detach_partition(OLD, "events")
    maintainer = upkeep(engine, events, NOW)

    maintainer.run()
    assert f"public.{OLD}" in relations(engine)
    assert [OLD, OLD] == [name for name in made(maintainer.run(adopt=True)) if name == OLD]
    assert f"public.{OLD}" not in relations(engine)


def test_attached_again_it_is_ours_as_before(engine: Engine) -> None:
    """A partition of ours that was detached and comes back goes with the retention again."""
    events = new_table(
        PartitionByRange("created_at", interval="1 day", premake=0, retention=Retention("30 days", then="drop"))
    )
    events.create(engine)
    upkeep(engine, events, "2026-05-01").run()
    name = "events_p20260501"
    with engine.begin() as connection:
        op: Any = Operations(MigrationContext.configure(connection))
        op.detach_partition(name, "events")
        op.attach_partition(name, "events", lower="2026-05-01T00:00:00+00:00", upper="2026-05-02T00:00:00+00:00")

    assert "sa_partman: created" == comment(engine, name)
    assert name in made(upkeep(engine, events, NOW).run())
