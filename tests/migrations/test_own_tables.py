"""Tables of ours are in no diff, whatever schemas autogenerate looks at; and what is said when they are gone."""

from __future__ import annotations

import re
from typing import Any

import pytest
from alembic.util import CommandError
from sqlalchemy import Engine

from sa_partman import Converter, Maintainer
from sa_partman.errors import Refused
from tests.migrations.project import EVENTS, Project
from tests.migrations.test_conversion import PLAIN, ROWS
from tests.migrations.test_unfinished_conversions import engine_of, stopped_after


def test_the_state_of_conversions_is_in_no_diff(project: Project) -> None:
    project.migrate(PLAIN)
    project.models(EVENTS)
    project.convert("events")
    project.forget()
    project.configured("include_schemas=True")

    project.check()

    with engine_of(project) as engine:
        undone = Converter(engine, project.metadata()).undo("events")

    assert ("undo", "done") == (undone.kind, undone.status)


@pytest.mark.parametrize("audit", ["app", "public"])
def test_the_audit_tables_are_in_no_diff_in_any_schema(project: Project, audit: str) -> None:
    project.execute("CREATE SCHEMA app")
    project.migrate(EVENTS)
    project.configured("include_schemas=True")
    with engine_of(project) as engine:
        Maintainer(engine, project.metadata(), audit=audit).run()

    project.check()


def test_a_table_that_the_user_maps_in_our_schema_is_compared(project: Project) -> None:
    project.execute("CREATE SCHEMA sa_partman")
    project.configured("include_schemas=True")
    mine = 'Table("mine", metadata, Column("id", Integer, primary_key=True), schema="sa_partman")'

    written = project.migrate(mine)

    assert "op.create_table('mine'," in written


@pytest.fixture
def forgotten(project: Project) -> Project:
    """A conversion that stopped before its swap; then somebody dropped our schema."""
    project.migrate(PLAIN)
    project.execute(ROWS)
    project.models(EVENTS)
    stopped_after(project, "parent")
    project.execute("DROP SCHEMA sa_partman CASCADE")
    return project


@pytest.mark.parametrize("verb", ["plan", "convert", "resume", "abort", "undo"])
def test_what_is_left_of_a_forgotten_conversion_is_told_with_what_takes_it_back(forgotten: Project, verb: str) -> None:
    """The statements of the message, typed; then it is converted as if nothing had been."""
    with engine_of(forgotten) as engine:
        with pytest.raises(Refused, match="its record is gone") as caught:
            getattr(Converter(engine, forgotten.metadata()), verb)("events")
        _typed(engine, str(caught.value))
        done = Converter(engine, forgotten.metadata()).convert("events")

    assert "done" == done.status
    forgotten.forget()
    forgotten.check()


def test_check_tells_of_it(forgotten: Project) -> None:
    with engine_of(forgotten) as engine:
        found = {each.code: each for each in Maintainer(engine, forgotten.metadata()).check()}
        _typed(engine, found["conversion-lost"].remedy)
        after = {each.code for each in Maintainer(engine, forgotten.metadata()).check()}

    assert "not-partitioned" not in found
    assert "not-partitioned" in after


def test_the_operation_tells_of_it(forgotten: Project) -> None:
    forgotten.written(
        "op.partition_table('events', PartitionByRange('created_at', interval='1 month'))", "pass", IMPORT
    )

    with pytest.raises(CommandError, match="its record is gone"):
        forgotten.upgrade()


IMPORT = "import alembic_ext.operations\nfrom sa_partman import PartitionByRange"


@pytest.mark.parametrize("verb", ["resume", "abort", "undo"])
def test_a_converted_table_without_a_record_says_how_it_becomes_plain(project: Project, verb: str) -> None:
    project.migrate(PLAIN)
    project.models(EVENTS)
    project.convert("events")
    project.forget()
    project.execute("DROP SCHEMA sa_partman CASCADE")
    with (
        engine_of(project) as engine,
        pytest.raises(Refused, match=r"the table sa_partman.conversion was dropped.*op.unpartition_table"),
    ):
        getattr(Converter(engine, project.metadata()), verb)("events")

    assert "op.unpartition_table(" in project.migrate(PLAIN)


def _typed(engine: Engine, message: str) -> Any:
    """Runs what *message* says."""
    _, _, statements = message.partition("convert it again then: ")
    with engine.connect() as connection:
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        for statement in re.split("; ", statements):
            connection.exec_driver_sql(statement)
