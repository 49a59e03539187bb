"""What gives no migration, and what still does."""

from datetime import UTC, datetime

import pytest
from alembic.util import CommandError
from sqlalchemy import create_engine

from sa_partman import Maintainer
from tests.migrations.project import EVENTS, Project, body

REFERRER = """
class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[int] = mapped_column(BigInteger)
    event_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    __table_args__ = (
        sa.ForeignKeyConstraint(["event_id", "event_at"], ["events.id", "events.created_at"], name="fk_note"),
    )
"""


@pytest.mark.parametrize(
    "changed",
    [
        'interval="1 week", premake=2',
        'interval="1 month", premake=9',
        'interval="1 month", premake=2, retention=Retention("3 months", then="drop")',
        'interval="1 month", premake=2, start="2020-01-01"',
        'interval="1 month", premake=2, timezone="Europe/Paris"',
        'interval="1 month", premake=2, name="{table}__{lower:%Y_%m}"',
    ],
)
def test_policy_is_no_migration(project: Project, changed: str) -> None:
    project.migrate(EVENTS)

    project.models(EVENTS.replace('interval="1 month", premake=2', changed))

    project.check()


@pytest.mark.parametrize("then", ["drop", "detach"])
def test_nothing_is_left_to_do_after_any_maintainer_run(project: Project, then: str) -> None:
    """Also not for what it detached: those tables hold rows and bear our mark."""
    models = EVENTS.replace("premake=2", f'premake=2, retention=Retention("2 months", then="{then}")') + REFERRER
    project.migrate(models)
    engine = create_engine(project.url)
    for year in (2026, 2028, 2030):
        Maintainer(engine, project.metadata(), now=datetime(year, 6, 15, tzinfo=UTC)).run()
        project.check()
    engine.dispose()
    detached = project.rows(
        "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND obj_description(oid) LIKE 'sa_partman: detached%'"
    )

    assert (detached[0] > 0) is (then == "detach")


def test_foreign_keys_to_a_partitioned_table_are_no_migration(project: Project) -> None:
    """PostgreSQL keeps one row for each partition beside the one that was declared."""
    project.migrate(EVENTS + REFERRER)

    ghosts = project.rows("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conrelid = 'notes'::regclass")

    assert [4] == ghosts


def test_a_foreign_key_between_partitioned_tables_is_no_migration(project: Project) -> None:
    referrer = (
        REFERRER.replace("class Note(Base):", "class Note(Partitioned, Base):")
        .replace(
            "event_id: Mapped[int] = mapped_column(BigInteger)",
            "event_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)\n"
            '    __partition__ = PartitionByHash("event_id", modulus=2)',
        )
        .replace(
            "id: Mapped[int] = mapped_column(primary_key=True)",
            "id: Mapped[int] = mapped_column(Identity(), primary_key=True, autoincrement=True)",
        )
    )

    project.migrate(EVENTS + referrer)


def test_a_real_foreign_key_is_still_seen(project: Project) -> None:
    project.migrate(EVENTS + REFERRER)

    written = project.migrate(EVENTS + REFERRER.replace('name="fk_note"', 'name="fk_note", ondelete="CASCADE"'))

    assert 1 == body(written).count("drop_constraint")
    assert 1 == body(written).count("create_foreign_key")


def test_partitions_of_tables_that_nobody_declared_are_hidden(project: Project) -> None:
    project.migrate(EVENTS)
    project.execute("CREATE TABLE alien (id int, k int) PARTITION BY LIST (id)")
    project.execute("CREATE TABLE alien_1 PARTITION OF alien FOR VALUES IN (1) PARTITION BY HASH (k)")
    project.execute("CREATE TABLE alien_1_0 PARTITION OF alien_1 FOR VALUES WITH (MODULUS 1, REMAINDER 0)")

    written = project.revision()

    assert "op.drop_table('alien')" in written
    assert "alien_1" not in body(written)


def test_every_real_change_of_the_parent_is_seen(project: Project) -> None:
    project.migrate(EVENTS)
    changed = """
class Event(Partitioned, Base):
    __tablename__ = "events"
    __partition__ = PartitionByRange("created_at", interval="1 month", premake=2)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    kind: Mapped[str] = mapped_column(Text, comment="what")
    size: Mapped[int | None] = mapped_column(BigInteger)
    owner: Mapped[int | None] = mapped_column(ForeignKey("owners.id", name="fk_owner"))
    __table_args__ = (
        sa.UniqueConstraint("kind", "created_at", name="uq_kind"),
        Index("ix_size", "size"),
        {"comment": "things that happened"},
    )

class Owner(Base):
    __tablename__ = "owners"
    id: Mapped[int] = mapped_column(primary_key=True)
"""
    written = body(project.migrate(changed))
    project.downgrade("-1")
    project.models(EVENTS)
    with pytest.raises(CommandError):
        project.check()  # the newest revision is not upgraded to
    project.models(changed)
    project.upgrade()
    project.check()

    for seen in (
        "op.add_column('events', sa.Column('size'",
        "op.create_partitioned_index('ix_size', 'events'",
        "op.drop_partitioned_index",
        "op.create_unique_constraint('uq_kind', 'events'",
        "op.create_foreign_key('fk_owner', 'events', 'owners'",
        "op.create_table_comment(",
        "type_=sa.Text()",
        "comment='what'",
    ):
        assert seen in written
    assert "_p20" not in written


def test_a_partition_that_the_user_mapped_himself_stays_visible(project: Project) -> None:
    project.migrate(EVENTS)
    name = min(project.partitions("events"))
    project.models(
        EVENTS
        + f"""
part = Table("{name}", metadata, Column("id", BigInteger, primary_key=True),
    Column("created_at", DateTime(timezone=True), primary_key=True), Column("kind", sa.String, nullable=False),
    Column("more", Integer))
"""
    )

    assert f"op.add_column('{name}', sa.Column('more'" in project.revision()


def test_a_detached_table_keeps_its_rows_and_is_not_dropped(project: Project) -> None:
    project.migrate(EVENTS)
    name = min(project.partitions("events"))
    project.written(f"op.detach_partition({name!r}, 'events')")
    project.upgrade()

    project.check()

    assert project.exists(name)


def test_a_table_that_somebody_else_detached_is_no_business_of_ours(project: Project) -> None:
    project.migrate(EVENTS)
    name = min(project.partitions("events"))
    project.execute(f"ALTER TABLE events DETACH PARTITION {name}")

    assert f"op.drop_table('{name}')" in project.revision()
