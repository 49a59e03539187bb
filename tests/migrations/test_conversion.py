"""A model gains ``__partition__``, or loses it: autogenerate writes the conversion, and the operation is a gate."""

from __future__ import annotations

import pytest
from alembic.util import CommandError

from tests.migrations.project import EVENTS, Project

PLAIN = """
class Event(Base):
    __tablename__ = "events"
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    kind: Mapped[str] = mapped_column(index=True)
"""
ROWS = """
INSERT INTO events (created_at, kind)
SELECT date_trunc('month', now(), 'UTC') + i * interval '1 minute', 'k' FROM generate_series(1, 100) AS i
"""
"""Of this month, whatever the day: a new table has no partition for the last."""


def rows(project: Project) -> int:
    return int(project.scalar("SELECT count(*) FROM events"))


def kind(project: Project) -> str:
    return str(project.scalar("SELECT relkind FROM pg_class WHERE relname = 'events'"))


def test_a_model_that_becomes_partitioned_is_converted_with_its_rows(project: Project) -> None:
    """One revision, up and down again; nothing is left to do after either."""
    project.migrate(PLAIN)
    project.execute(ROWS)
    project.models(EVENTS)

    written = project.revision()
    project.upgrade()
    project.check()

    assert "op.partition_table(" in written
    assert "primary_key=['id', 'created_at']" in written
    assert "existing_primary_key=['id']" in written
    assert (100, "p") == (rows(project), kind(project))

    project.downgrade("-1")
    project.forget()
    project.models(PLAIN)
    project.check()

    assert (100, "r") == (rows(project), kind(project))


MIXED = """
class Stamped:
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)

class Numbered(Base):
    __abstract__ = True
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True)

class Event(Stamped, Numbered):
    __tablename__ = "events"
    __partition__ = PartitionByRange("created_at", interval="1 month", premake=2)
    kind: Mapped[str] = mapped_column(index=True)
"""
WRITTEN = MIXED.replace(
    "__partition__", '__table_args__ = (sa.PrimaryKeyConstraint("created_at", "id"),)\n    __partition__'
)


def test_columns_of_a_mixin_do_not_take_the_index_of_the_old_key_away(project: Project) -> None:
    """The new key begins as the old one did, though the class has the mixin's column first."""
    project.migrate(PLAIN)
    project.execute(ROWS)
    project.models(MIXED)

    written = project.revision()
    project.upgrade()
    project.check()

    assert "primary_key=['id', 'created_at']" in written
    assert "no other index begins with" not in written
    assert "PRIMARY KEY (id, created_at)" == project.scalar(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'events'::regclass AND contype = 'p'"
    )


def test_an_order_of_the_key_that_costs_an_index_is_taken_and_said(project: Project) -> None:
    project.migrate(PLAIN)
    project.execute(ROWS)
    project.models(WRITTEN)

    written = project.revision()
    project.upgrade()

    assert "primary_key=['created_at', 'id']" in written
    assert "# events_pkey goes, and no other index begins with (id): a lookup by id reads all partitions" in written


def test_an_insert_after_the_conversion_goes_on_with_the_ids(project: Project) -> None:
    project.migrate(PLAIN)
    project.execute(ROWS)

    project.migrate(EVENTS)
    project.execute("INSERT INTO events (created_at, kind) VALUES (now() + interval '40 days', 'x')")

    assert 101 == project.scalar("SELECT max(id) FROM events")


def test_a_model_that_is_no_longer_partitioned_becomes_plain(project: Project) -> None:
    project.migrate(EVENTS)
    project.execute(ROWS)
    project.models(PLAIN)

    written = project.revision()
    project.upgrade()
    project.check()

    assert "op.unpartition_table(" in written
    assert (100, "r") == (rows(project), kind(project))

    project.downgrade("-1")
    project.forget()
    project.models(EVENTS)
    project.check()

    assert (100, "p") == (rows(project), kind(project))


def test_ordinary_changes_of_the_same_revision_come_while_the_table_is_plain(project: Project) -> None:
    project.migrate(PLAIN)
    project.execute(ROWS)

    written = project.migrate(EVENTS + "    note: Mapped[str | None]\n")

    upgrade = written[written.index("def upgrade") :]
    assert upgrade.index("op.add_column") < upgrade.index("op.partition_table")
    assert 100 == rows(project)


def test_a_large_table_is_refused_before_anything_is_done(project: Project) -> None:
    """The message names the command; once that has run, the same revision does nothing."""
    project.migrate(PLAIN)
    project.execute(ROWS)
    project.models(EVENTS)
    project.configured('sa_partman={"inline_max_bytes": 1000}')
    project.revision()

    with pytest.raises(CommandError, match="sa-partman convert events"):
        project.upgrade()

    assert (100, "r") == (rows(project), kind(project))

    project.convert("events")
    project.upgrade()
    project.check()

    assert (100, "p") == (rows(project), kind(project))


def test_the_scripts_of_sql_mode_refuse(project: Project) -> None:
    project.migrate(PLAIN)
    project.models(EVENTS)
    project.revision()

    with pytest.raises(CommandError, match="needs a live connection"):
        project.sql()


def test_a_changed_primary_key_is_an_error(project: Project) -> None:
    """Alembic itself never compares primary keys."""
    project.migrate(EVENTS)
    key = "mapped_column(index=True, primary_key=True)"
    project.models(EVENTS.replace("mapped_column(index=True)", key))

    with pytest.raises(CommandError, match="has the primary key \\(id, created_at\\) in the database"):
        project.revision()


KEPT = EVENTS.replace("premake=2", 'premake=2, retention=Retention("720 days")')
OLD = """
INSERT INTO events (created_at, kind)
SELECT timestamptz '2030-06-15 00:00+00' - i * interval '20 hours', 'k' FROM generate_series(1, 1500) AS i
"""


def test_the_migration_says_until_when_rows_past_their_retention_stay(
    project: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Above the operation, and while it is written; of a table without a retention nothing."""
    monkeypatch.setenv("SA_PARTMAN_AT", "2030-06-15")
    project.migrate(PLAIN)
    project.execute(OLD)
    project.execute("ANALYZE events")
    project.models(KEPT)

    written = project.revision()
    comment = " ".join(line.strip().removeprefix("# ") for line in written.splitlines() if "    # " in line)

    said = (
        "converted now, rows older than 720 days stay in public.events_history until 2032-06-20, when all of it "
        "expires at once; the planner estimates 63"
    )
    assert said in comment
    assert said in caplog.text
    project.upgrade()

    project.migrate(PLAIN.replace("events", "others").replace("Event", "Other"))
    project.models(EVENTS.replace("events", "others").replace("Event", "Other"))
    assert "rows older" not in project.revision()
