"""Identifiers with what drivers, SQLAlchemy and SQL read otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.migrations.project import Project

ODD = ["50%", "%(id)s", "100%%s", "a:b", 'Say "Hi"', "Upper"]

MODEL = """
table = Table(
    NAME, metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column(NAME, Text, primary_key=True, key="k"),
    Column("note", Text),
    PartitionByList("k", values={"x": ["x"]}),
    INDEX
)
"""


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
@pytest.mark.parametrize("name", ODD)
def test_an_identifier_is_taken_as_it_is(tmp_path: Path, database_url: str, driver: str, name: str) -> None:
    """As the table's name, as the key's, and as an index's."""
    pytest.importorskip(driver)
    project = Project(tmp_path, database_url, template="generic" if driver == "psycopg" else "async")
    project.config.set_main_option("sqlalchemy.url", database_url.replace("+psycopg", f"+{driver}").replace("%", "%%"))
    model = MODEL.replace("NAME", repr(name))
    project.migrate(model.replace("INDEX", ""))
    written = project.migrate(model.replace("INDEX", f"Index({'ix ' + name!r}, {'note'!r})"))
    parent = '"' + name.replace('"', '""') + '"'

    assert "op.create_partitioned_index(" in written
    assert [True] == project.rows(
        "SELECT indisvalid FROM pg_index WHERE indrelid = to_regclass(:name) "
        "AND indexrelid IN (SELECT oid FROM pg_class WHERE relname = :index)",
        name=parent,
        index=f"ix {name}",
    )

    project.downgrade()

    assert [None] == project.rows("SELECT to_regclass(:name)", name=parent)


def test_a_percent_that_was_doubled_by_hand_stays_one(project: Project) -> None:
    """Old files do so, because the driver took it for a parameter."""
    project.written("""
        op.create_table('t', sa.Column('50%', sa.Text), postgresql_partition_by='LIST ("50%%")')
    """)

    project.upgrade()

    assert ['LIST ("50%")'] == project.rows("SELECT pg_get_partkeydef('t'::regclass)")
