"""After the detach: no step of a partition's last days gives a migration."""

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import create_engine, text

from sa_partman import Maintainer
from sa_partman.maintenance.restoring import restore
from tests.migrations.project import EVENTS, Project


def test_detached_archived_and_restored_tables_are_no_migration(project: Project, tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    retention = f'Retention("2 months", then=Archive({str(folder)!r}), grace="1 month")'
    models = EVENTS.replace("premake=2", f"premake=2, retention={retention}")
    project.migrate("from sa_partman import Archive\n" + models)
    engine, metadata = create_engine(project.url), project.metadata()
    seen = []
    for year, month in ((2026, 6), (2028, 6), (2028, 8)):
        seen.append(len(Maintainer(engine, metadata, now=datetime(year, month, 15, tzinfo=UTC)).run().steps))
        project.check()
    manifests = sorted(folder.glob("*.json"))
    restored = restore(engine, metadata, str(manifests[0]))
    project.check()
    with engine.connect() as connection:
        comment = connection.execute(
            text(f"SELECT obj_description(CAST('{restored.partition.quoted}' AS regclass), 'pg_class')")
        ).scalar_one()
    engine.dispose()

    assert all(seen)
    assert comment.startswith("sa_partman: restored from")
