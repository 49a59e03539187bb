"""Partitioned otherwise than declared: an error that says so, never an empty migration."""

import pytest
from alembic.util import CommandError

from tests.migrations.project import EVENTS, Project

PLAIN = EVENTS.replace("(Partitioned, Base)", "(Base)").replace(
    '    __partition__ = PartitionByRange("created_at", interval="1 month", premake=2)\n', ""
)
BY_HASH = EVENTS.replace(
    'PartitionByRange("created_at", interval="1 month", premake=2)', 'PartitionByHash("id", modulus=2)'
)
BY_ID = EVENTS.replace(
    'PartitionByRange("created_at", interval="1 month", premake=2)', 'PartitionByRange("id", interval=100)'
)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (EVENTS, BY_HASH, "events is PARTITION BY RANGE \\(created_at\\) in the database, declared is HASH \\(id\\)"),
        (EVENTS, BY_ID, "events is PARTITION BY RANGE \\(created_at\\) in the database, declared is RANGE \\(id\\)"),
    ],
    ids=["other-strategy", "other-key"],
)
def test_another_scheme_is_an_error_that_names_the_table(
    project: Project, before: str, after: str, message: str
) -> None:
    project.migrate(before)
    project.models(after)

    with pytest.raises(CommandError, match=message):
        project.revision()
    with pytest.raises(CommandError, match="no migration was written"):
        project.check()


def test_partitioned_by_hand_is_respected_when_the_model_says_so(project: Project) -> None:
    project.migrate(EVENTS)

    project.models(PLAIN + '    __table_args__ = {"postgresql_partition_by": "RANGE (created_at)"}\n')

    project.check()


def test_a_table_left_out_by_include_object_is_left_alone(
    tmp_path_factory: pytest.TempPathFactory, project: Project
) -> None:
    project.migrate(EVENTS)
    project.models(PLAIN)
    env = project.folder / "migrations" / "env.py"
    env.write_text(
        env.read_text().replace(
            "target_metadata=target_metadata",
            "target_metadata=target_metadata, include_object=lambda o, name, kind, *_: name != 'events'",
        )
    )

    project.check()
