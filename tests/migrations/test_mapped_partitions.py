"""
Partitions that have a class of their own, as a generator of models writes them: what they have from their table is left
to it.
"""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from sa_partman import Maintainer
from tests.migrations.project import Project, body
from tests.support.builders import at
from tests.support.database import sql

TABLE = """
class Org(Base):
    __tablename__ = "orgs"
    id: Mapped[int] = mapped_column(primary_key=True)

class Event(Base):
    __tablename__ = "events"
    __partition__ = PartitionByRange("created_at", interval="1 month", premake=1)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    org_id: Mapped[int | None] = mapped_column(ForeignKey("orgs.id"))
    kind: Mapped[str] = mapped_column(index=True)

class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[int | None] = mapped_column(BigInteger)
    event_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    __table_args__ = (
        sa.ForeignKeyConstraint(["event_id", "event_at"], ["events.id", "events.created_at"]),
    )
"""
PARTITION = """
class June(Base):
    __tablename__ = "events_p20300601"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    org_id: Mapped[int | None] = mapped_column(ForeignKey("orgs.id"))
    kind: Mapped[str]
"""
OF_PARTITION = """
        sa.ForeignKeyConstraint(["event_id", "event_at"], ["events_p20300601.id", "events_p20300601.created_at"]),
    )
"""


@pytest.fixture
def events(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Two months of events, with a key to them and one from them."""
    monkeypatch.setenv("SA_PARTMAN_AT", "2030-06-15")
    project.migrate(TABLE)
    return project


def test_it_gives_no_diff(events: Project) -> None:
    """Its index and its foreign key come from the table, and its comment is the mark of what made it."""
    events.models(TABLE + PARTITION)

    assert "pass" == body(events.revision())


def test_a_foreign_key_to_it_is_one_that_the_table_has(events: Project) -> None:
    """PostgreSQL keeps a row of its own for each partition; a generator of models writes each as a key."""
    models = TABLE.replace("    )\n", OF_PARTITION.lstrip("\n"))
    events.models(models + PARTITION)

    assert "pass" == body(events.revision())


def test_what_is_its_own_is_compared(events: Project, engine: Engine) -> None:
    """An index on it alone comes and goes."""
    own = '    __table_args__ = (Index("june", "org_id"),)\n'
    events.models(TABLE + PARTITION + own)
    there = body(events.revision())
    events.upgrade()
    events.models(TABLE + PARTITION)
    back = body(events.revision())
    events.upgrade()

    assert "op.create_index('june', 'events_p20300601', ['org_id'], unique=False)" == there
    assert "op.drop_index('june', table_name='events_p20300601')" == back.replace("op.f('june')", "'june'")
    events.check()


def test_it_is_still_pruned(events: Project, engine: Engine) -> None:
    events.models(TABLE + PARTITION)
    events.revision()
    events.upgrade()
    found = Maintainer(engine, events.metadata(), now=at("2030-06-15"))

    assert not found.plan()
    assert [("sa_partman: created",)] == sql(engine, "SELECT obj_description('events_p20300601'::regclass)")


def test_a_comment_of_its_own_keeps_the_mark(events: Project, engine: Engine) -> None:
    events.models(TABLE + PARTITION + '    __table_args__ = {"comment": "of June"}\n')

    assert "pass" == body(events.revision())
