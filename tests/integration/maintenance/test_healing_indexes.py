"""Indexes whose build was cut off, constraints NOT VALID: ours are removed, others' are reported with the statement."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, Table, event

from sa_partman import PartitionByRange
from sa_partman.finding import Finding, Severity
from tests.support.database import holding, new_table, sql, upkeep
from tests.support.residues import building, invalid, leave_invalid

MONTHLY = PartitionByRange("created_at", interval="1 month", premake=0)
NOW = "2031-03-15"
PARTITION = "events_p20310301"


@pytest.fixture
def table(engine: Engine) -> Table:
    """With one partition, and an index that is begun: ON ONLY the parent, as op.create_partitioned_index does it."""
    sql(
        engine,
        "CREATE TABLE events (id bigint NOT NULL, created_at timestamptz NOT NULL, note text) "
        "PARTITION BY RANGE (created_at)",
    )
    table = new_table(MONTHLY)
    upkeep(engine, table, NOW).run()
    sql(engine, "CREATE INDEX by_note ON ONLY events (note)")
    return table


def _index_findings(engine: Engine, table: Table) -> list[Finding]:
    return [each for each in upkeep(engine, table, NOW).check() if each.code == "invalid-index"]


def test_ours_is_removed(engine: Engine, table: Table) -> None:
    """It bears the name that only we give; the parent's stays, and is reported, for the migration to complete it."""
    leave_invalid(engine, f"CREATE INDEX CONCURRENTLY {PARTITION}_by_note ON {PARTITION} (note)")
    before = _index_findings(engine, table)
    result = upkeep(engine, table, NOW).run()

    assert [f"public.{PARTITION}_by_note", "public.by_note"] == [
        each.message.split(" ")[0] for each in sorted(before, key=lambda each: each.message, reverse=True)
    ]
    assert any("sa-partman run" in each.remedy for each in before)
    assert result.ok, str(result)
    assert ["heal"] == [str(each.step.purpose) for each in result.steps]
    assert ["by_note"] == invalid(engine)
    assert () == upkeep(engine, table, NOW).run().steps


def test_others_are_reported(engine: Engine, table: Table) -> None:
    """One of another name, and what REINDEX CONCURRENTLY leaves: each with its statement."""
    sql(engine, "DROP INDEX by_note")
    sql(engine, "CREATE INDEX by_id ON events (id)")
    leave_invalid(engine, f"CREATE INDEX CONCURRENTLY mine ON {PARTITION} (note)")
    leave_invalid(engine, f"REINDEX INDEX CONCURRENTLY {PARTITION}_id_idx")
    result = upkeep(engine, table, NOW).run()
    found = _index_findings(engine, table)

    assert () == result.steps
    assert [f"{PARTITION}_id_idx_ccnew", "mine"] == invalid(engine)
    assert {
        f'DROP INDEX CONCURRENTLY "public"."{PARTITION}_id_idx_ccnew"',
        'DROP INDEX CONCURRENTLY "public"."mine"',
    } == {each.remedy for each in found}
    assert {Severity.WARNING} == {each.severity for each in found}


def test_the_index_of_a_parent(engine: Engine, table: Table) -> None:
    """Incomplete: no query uses it; the ways to complete it are named."""
    (found,) = _index_findings(engine, table)

    assert found.message.endswith(f"no query uses it: the partition public.{PARTITION} lacks its part")
    assert "op.create_partitioned_index" in found.remedy


def test_the_index_of_a_parent_that_lacks_nothing_any_more(engine: Engine, table: Table) -> None:
    """The partition without a part was dropped: one statement makes PostgreSQL count again."""
    sql(engine, "DROP INDEX by_note")
    upkeep(engine, table, "2031-04-15").run()
    sql(engine, "CREATE INDEX by_note ON ONLY events (note)")
    sql(engine, f"CREATE INDEX part ON {PARTITION} (note); ALTER INDEX by_note ATTACH PARTITION part")
    sql(engine, "DROP TABLE events_p20310401")
    (found,) = _index_findings(engine, table)

    assert 'ALTER INDEX "public"."by_note" ATTACH PARTITION public.part' == found.remedy

    sql(engine, found.remedy)

    assert [] == _index_findings(engine, table)


def test_the_index_of_a_parent_with_a_foreign_partition(engine: Engine, table: Table) -> None:
    """PostgreSQL counts it, and it can't have a part."""
    sql(engine, "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER far FOREIGN DATA WRAPPER w")
    sql(
        engine,
        "CREATE FOREIGN TABLE cold PARTITION OF events FOR VALUES FROM ('2030-01-01') TO ('2030-02-01') SERVER far",
    )
    sql(engine, f"CREATE INDEX part ON {PARTITION} (note); ALTER INDEX by_note ATTACH PARTITION part")
    (found,) = _index_findings(engine, table)

    assert "PostgreSQL waits for a part of public.cold, which is a foreign table" in found.message
    assert found.remedy.startswith('DROP INDEX "public"."by_note", and run op.create_partitioned_index again')


def test_the_index_of_a_parent_whose_partitions_are_gone(engine: Engine, table: Table) -> None:
    sql(engine, f"DROP TABLE {PARTITION}")
    (found,) = _index_findings(engine, table)

    assert found.message.endswith("it was begun for partitions that are all gone")


def test_the_index_of_a_branch_that_is_invalid(engine: Engine, table: Table) -> None:
    """What is below comes first, and heals both."""
    sql(engine, "DROP INDEX by_note")
    sql(engine, "CREATE TABLE branch (LIKE events) PARTITION BY RANGE (id)")
    sql(engine, "CREATE TABLE leaf PARTITION OF branch FOR VALUES FROM (0) TO (9)")
    sql(engine, "ALTER TABLE events ATTACH PARTITION branch FOR VALUES FROM ('2030-01-01') TO ('2031-01-01')")
    sql(engine, "CREATE INDEX by_note ON ONLY events (note); CREATE INDEX branch_by_note ON ONLY branch (note)")
    sql(engine, "ALTER INDEX by_note ATTACH PARTITION branch_by_note")
    sql(engine, f"CREATE INDEX part ON {PARTITION} (note); ALTER INDEX by_note ATTACH PARTITION part")
    found = {each.message.partition(" ")[0]: each for each in _index_findings(engine, table)}

    assert "its part public.branch_by_note is invalid itself" in found["public.by_note"].message
    assert "the partition public.leaf lacks its part" in found["public.branch_by_note"].message

    sql(engine, "CREATE INDEX leaf_by_note ON leaf (note); ALTER INDEX branch_by_note ATTACH PARTITION leaf_by_note")

    assert [] == _index_findings(engine, table)


def test_one_that_is_being_built(engine: Engine, table: Table) -> None:
    """A migration is at work: left alone, and said."""
    leave_invalid(engine, f"CREATE INDEX CONCURRENTLY {PARTITION}_by_note ON {PARTITION} (note)")
    sql(engine, f"DROP INDEX {PARTITION}_by_note")
    with building(engine, f"CREATE INDEX CONCURRENTLY {PARTITION}_by_note ON {PARTITION} (note)"):
        result = upkeep(engine, table, NOW).run()
        found = [each for each in _index_findings(engine, table) if each.severity is Severity.INFO]

        assert () == result.steps
        assert [f"public.{PARTITION}_by_note on public.{PARTITION} is being built"] == [each.message for each in found]


def test_indexes_of_other_tables(engine: Engine, table: Table) -> None:
    """Not our business."""
    sql(engine, "DROP INDEX by_note")
    sql(engine, "CREATE TABLE alien (id bigint)")
    leave_invalid(engine, "CREATE INDEX CONCURRENTLY alien_id ON alien (id)")

    assert [] == _index_findings(engine, table)
    assert () == upkeep(engine, table, NOW).run().steps
    assert ["alien_id"] == invalid(engine)


def test_a_locked_partition_of_another_table(engine: Engine, table: Table) -> None:
    """Of another application, with an invalid index: a run needs neither."""
    sql(engine, "CREATE TABLE theirs (id int) PARTITION BY RANGE (id)")
    sql(engine, "CREATE TABLE theirs_0 PARTITION OF theirs FOR VALUES FROM (0) TO (9)")
    sql(engine, "CREATE INDEX incomplete ON ONLY theirs (id)")
    with holding(engine, "LOCK TABLE theirs_0 IN ACCESS EXCLUSIVE MODE"):
        assert upkeep(engine, table).run().ok
        assert [] == [each for each in upkeep(engine, table).check() if each.code == "check-incomplete"]


def test_a_constraint_that_is_not_valid(engine: Engine, table: Table) -> None:
    """Worth knowing, with the statement; one that is proved, or that an other table has, is not mentioned."""
    sql(engine, f"ALTER TABLE {PARTITION} ADD CONSTRAINT positive CHECK (id > 0) NOT VALID, ADD CHECK (id > 1)")
    sql(engine, "CREATE TABLE alien (id bigint); ALTER TABLE alien ADD CHECK (id > 0) NOT VALID")
    (found,) = (each for each in upkeep(engine, table, NOW).check() if each.code == "not-valid")

    assert Severity.INFO is found.severity
    assert f'ALTER TABLE "public"."{PARTITION}" VALIDATE CONSTRAINT "positive"' == found.remedy


def test_one_more_query_when_all_is_well(engine: Engine, table: Table) -> None:
    """A converged run reads the tables in one query and the residues in another one."""
    sql(engine, "DROP INDEX by_note")
    sent: list[str] = []
    maintainer = upkeep(engine, table, NOW)
    maintainer.run()
    event.listen(engine, "before_cursor_execute", lambda *given: sent.append(given[2]))
    result = maintainer.run()

    assert () == result.steps
    assert 1 == len([each for each in sent if "pg_get_expr" in each])
    assert 1 == len([each for each in sent if "indisvalid" in each])
    assert not [each for each in sent if "convalidated" in each]
