"""While a detach is pending, migrations change nothing of its table: 18 could not end the detach any more."""

import pytest
from alembic.util import CommandError
from sqlalchemy import create_engine

from tests.migrations.project import EVENTS, Project
from tests.support.residues import is_pending, leave_pending

OURS = {
    "create_partition": "op.create_partition('late', 'events', lower='2000-01-01', upper='2000-02-01')",
    "attach_partition": "op.attach_partition('late', 'events', lower='2000-01-01', upper='2000-02-01')",
    "detach_partition": "op.detach_partition({name!r}, 'events')",
    "drop_partition": "op.drop_partition({name!r}, 'events')",
    "provision_partitions": "op.provision_partitions('events', PartitionByRange('created_at', interval='1 month'))",
    "create_partitioned_index": "op.create_partitioned_index('by_at', 'events', ['created_at'])",
}
ALEMBICS = {
    "add_column": "op.add_column('events', sa.Column('extra', sa.Integer))",
    "alter_column": "op.alter_column('events', 'note', nullable=False)",
    "create_check_constraint": "op.create_check_constraint('positive', 'events', 'id > 0')",
}
IMPORTS = "import sqlalchemy as sa\nfrom sa_partman import PartitionByRange"


def _pending(project: Project) -> str:
    project.migrate(EVENTS)
    project.execute("ALTER TABLE events ADD COLUMN note text")
    name = next(iter(project.partitions("events")))
    engine = create_engine(project.url)
    leave_pending(engine, name)
    engine.dispose()
    return name


@pytest.mark.parametrize("operation", OURS)
def test_operations_of_ours_refuse(project: Project, operation: str) -> None:
    name = _pending(project)
    project.written(OURS[operation].format(name=name), "pass", IMPORTS)

    with pytest.raises(CommandError, match=f"{name} from public.events .*pending; nothing was changed.*FINALIZE"):
        project.upgrade()


@pytest.mark.parametrize("operation", ALEMBICS)
def test_operations_of_alembic_refuse_where_they_would_do_harm(
    project: Project, operation: str, server_major: int
) -> None:
    name = _pending(project)
    project.written(ALEMBICS[operation], "pass", IMPORTS)

    if server_major < 18:
        project.upgrade()
        return
    with pytest.raises(CommandError, match=f"op.{operation}.*{name} from public.events .*pending"):
        project.upgrade()


def test_other_tables_are_changed(project: Project) -> None:
    _pending(project)
    project.execute("CREATE TABLE alien (id integer)")
    project.written("op.add_column('alien', sa.Column('extra', sa.Integer))", "pass", IMPORTS)

    project.upgrade()

    assert [2] == project.rows("SELECT count(*) FROM pg_attribute WHERE attrelid = 'alien'::regclass AND attnum > 0")


def test_afterwards_the_table_is_changed(project: Project) -> None:
    name = _pending(project)
    project.written(ALEMBICS["add_column"], "pass", IMPORTS)
    project.execute(f"ALTER TABLE events DETACH PARTITION {name} FINALIZE")

    project.upgrade()

    engine = create_engine(project.url)
    assert is_pending(engine, name) is None
    engine.dispose()
