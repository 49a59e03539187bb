"""The audit tables are ours: no migration makes them, and none removes them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sa_partman import Maintainer
from tests.migrations.project import EVENTS, Project, body


@pytest.mark.parametrize("schema", [True, "monitoring"])
def test_the_audit_tables_are_no_migration(tmp_path: Path, database_url: str, schema: bool | str) -> None:
    """Wherever they are."""
    project = Project(tmp_path, database_url, configure="include_schemas=True")
    project.migrate(EVENTS)
    project.execute("CREATE SCHEMA monitoring")
    engine = project.engine
    result = Maintainer(engine, project.metadata(), now=datetime(2031, 6, 15, tzinfo=UTC), audit=schema).run()
    engine.dispose()
    written = project.rows("SELECT count(*) FROM pg_class WHERE relname IN ('sa_partman_runs', 'sa_partman_steps')")

    assert ((), [2]) == (result.findings, written)
    project.check()


def test_a_model_of_ones_own_for_them_is_compared(project: Project) -> None:
    """Whoever maps them wants to see them."""
    mapped = """
class Run(Base):
    __tablename__ = "sa_partman_runs"
    id: Mapped[int] = mapped_column(primary_key=True)
    """
    project.models(EVENTS + mapped)

    assert "sa_partman_runs" in body(project.revision())
