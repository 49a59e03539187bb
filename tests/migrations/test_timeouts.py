"""Timeouts that the role of the migrations has: our operations do not end by them, and put them back."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.migrations.project import EVENTS, Project
from tests.migrations.test_conversion import PLAIN
from tests.support.keeper import keeper, require_known, soon_over

OLD_SNAPSHOT = ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM alembic_version")
TIMEOUTS = ("statement_timeout = '400ms'", "transaction_timeout = '400ms'")
NOTED = EVENTS + "    note: Mapped[str | None]\n"
INDEXED = EVENTS + "    note: Mapped[str | None] = mapped_column(index=True)\n"


@pytest.mark.parametrize("setting", TIMEOUTS)
def test_a_conversion_in_a_migration_reads_the_table_for_as_long_as_it_takes(
    setting: str, engine: Engine, tmp_path: Path, server_major: int
) -> None:
    require_known(setting, server_major)
    with keeper(engine) as theirs:
        project = Project(tmp_path, theirs.url.render_as_string(hide_password=False))
        project.migrate(PLAIN)
        project.models(EVENTS)
        project.revision()
        project.execute(f"ALTER ROLE {theirs.url.username} SET {setting}")
        with soon_over(engine, "LOCK TABLE events IN ACCESS EXCLUSIVE MODE"):
            project.upgrade()

        assert "p" == project.scalar("SELECT CAST(relkind AS text) FROM pg_class WHERE relname = 'events'")


@pytest.mark.parametrize("setting", TIMEOUTS)
def test_an_index_is_built_for_as_long_as_it_takes(
    setting: str, engine: Engine, tmp_path: Path, server_major: int
) -> None:
    """And the session has its own timeouts afterwards."""
    require_known(setting, server_major)
    name = setting.split()[0]
    with keeper(engine) as theirs:
        project = Project(tmp_path, theirs.url.render_as_string(hide_password=False))
        project.migrate(NOTED)
        project.models(INDEXED)
        project.written(
            "with op.get_context().autocommit_block():\n"
            "    op.create_partitioned_index('ix_events_note', 'events', ['note'])\n"
            f"    op.execute(\"CREATE TABLE kept AS SELECT current_setting('{name}') AS was\")",
            imports="import alembic_ext.operations",
        )
        project.execute(f"ALTER ROLE {theirs.url.username} SET {setting}")
        with soon_over(engine, *OLD_SNAPSHOT):
            project.upgrade()

        assert project.scalar("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('ix_events_note')")
        assert "400ms" == project.scalar("SELECT was FROM kept")


@pytest.mark.parametrize("setting", TIMEOUTS)
def test_a_concurrent_detach_waits_for_readers(setting: str, engine: Engine, tmp_path: Path, server_major: int) -> None:
    """A timeout between its two transactions would leave the partition half detached."""
    require_known(setting, server_major)
    with keeper(engine) as theirs:
        project = Project(tmp_path, theirs.url.render_as_string(hide_password=False))
        project.migrate(EVENTS)
        first = min(project.partitions("events"))
        project.written(
            f"op.detach_partition({first!r}, 'events', concurrently=True)", imports="import alembic_ext.operations"
        )
        project.execute(f"ALTER ROLE {theirs.url.username} SET {setting}")
        with soon_over(engine, "SELECT count(*) FROM events"):
            project.upgrade()

        assert first not in project.partitions("events")
        assert not project.scalar("SELECT count(*) FROM pg_inherits WHERE inhdetachpending")
