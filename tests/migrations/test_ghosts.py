"""Foreign keys to partitioned tables: answered without their ghosts, and otherwise as SQLAlchemy would."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, Inspector, inspect

from alembic_ext.compare.catalog import Catalog, Key, read_catalog
from alembic_ext.compare.inspector import hide_ghosts
from tests.support.counting import statements
from tests.support.database import scalar, sql

PARENT = """
CREATE SCHEMA other;
CREATE TABLE days (id bigint, at date, PRIMARY KEY (id, at), UNIQUE (at, id)) PARTITION BY RANGE (at);
CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE days_2 PARTITION OF days FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
CREATE TABLE other."My Days" ("the id" bigint, at date, PRIMARY KEY ("the id", at)) PARTITION BY RANGE (at);
CREATE TABLE other.days_3 PARTITION OF other."My Days" FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE plain (id bigint PRIMARY KEY)
"""
KEYS = (
    "FOREIGN KEY (a, b) REFERENCES days",
    "FOREIGN KEY (a, b) REFERENCES days (id, at) MATCH FULL ON UPDATE CASCADE ON DELETE RESTRICT",
    "FOREIGN KEY (b, a) REFERENCES days (at, id) ON DELETE SET NULL DEFERRABLE",
    "FOREIGN KEY (a, b) REFERENCES days ON DELETE SET DEFAULT ON UPDATE SET NULL DEFERRABLE INITIALLY DEFERRED",
    'FOREIGN KEY (a, "The B ON DELETE CASCADE") REFERENCES days',
    'FOREIGN KEY (a, b) REFERENCES other."My Days"',
    "FOREIGN KEY (a) REFERENCES plain ON DELETE CASCADE",
)
SOME_COLUMNS = "FOREIGN KEY (a, b) REFERENCES days ON DELETE SET NULL (a)"


def create(engine: Engine, *schemas: str) -> None:
    for statement in PARENT.split(";"):
        sql(engine, statement)
    keys = [*KEYS, *([SOME_COLUMNS] if scalar(engine, "SHOW server_version_num") >= "150000" else [])]
    for schema in schemas:
        written = ", ".join(f'CONSTRAINT "k {number}" {key}' for number, key in enumerate(keys))
        columns = 'a bigint, b date, "The B ON DELETE CASCADE" date'
        sql(engine, f"CREATE TABLE {schema}.notes ({columns}, {written})")
        sql(engine, f"COMMENT ON CONSTRAINT \"k 1\" ON {schema}.notes IS 'why'")


def both(engine: Engine, *mapped: Key) -> tuple[Inspector, Inspector, Catalog]:
    """SQLAlchemy's own, and ours."""
    with engine.connect() as connection:
        catalog = read_catalog(connection, frozenset(mapped))
    ours = inspect(engine)
    hide_ghosts(ours, catalog)
    return inspect(engine), ours, catalog


@pytest.mark.parametrize("schema", [None, "public", "other"])
@pytest.mark.parametrize("ignoring", [False, True])
def test_answers_are_sqlalchemys_without_ghosts(engine: Engine, schema: str | None, ignoring: bool) -> None:
    create(engine, "public", "other")
    theirs, ours, catalog = both(engine)
    asked: dict[str, Any] = {"schema": schema, "postgresql_ignore_search_path": ignoring}
    expected = [
        each
        for each in theirs.get_foreign_keys("notes", **asked)
        if not catalog.is_ghost(schema, "notes", each["name"])
    ]

    for each in expected:
        if each["name"] == f"k {len(KEYS)}" and each["options"]["ondelete"] == "SET NULL":
            each["options"]["ondelete"] = "SET NULL (a)"  # which older releases of SQLAlchemy do not read

    assert len(expected) >= len(KEYS)
    assert expected == ours.get_foreign_keys("notes", **asked)
    assert {(schema, "notes"): expected} == ours.get_multi_foreign_keys(filter_names=["notes"], **asked)
    assert expected == ours.get_multi_foreign_keys(**asked)[(schema, "notes")]


def test_tables_without_ghosts_are_sqlalchemys_business(engine: Engine) -> None:
    create(engine, "public")
    sql(engine, "CREATE TABLE simple (id bigint REFERENCES plain)")
    theirs, ours, _ = both(engine)

    assert theirs.get_foreign_keys("simple") == ours.get_foreign_keys("simple") != []
    assert {(None, "simple"), (None, "notes")} == ours.get_multi_foreign_keys(filter_names=["simple", "notes"]).keys()


def test_ghosts_are_not_read(engine: Engine) -> None:
    create(engine, "public")
    _, ours, _ = both(engine)
    with statements(engine) as seen:
        ours.get_foreign_keys("notes")
        ours.get_multi_foreign_keys(filter_names=["notes"])

    assert [] == [each for each in seen if "pg_constraint" in each]


def test_a_mapped_partition_has_the_keys_that_it_inherits_and_no_ghosts(engine: Engine) -> None:
    """One of them refers to what is a partition itself: a ghost is told by where it descends from."""
    create(engine)
    sql(engine, "CREATE TABLE top (id bigint, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)")
    sql(engine, "CREATE TABLE sub PARTITION OF top DEFAULT PARTITION BY RANGE (at)")
    sql(engine, "CREATE TABLE sub_1 PARTITION OF sub DEFAULT")
    sql(
        engine,
        "CREATE TABLE logs (a bigint, b date, CONSTRAINT k1 FOREIGN KEY (a, b) REFERENCES days, "
        "CONSTRAINT k2 FOREIGN KEY (a, b) REFERENCES sub, CONSTRAINT k3 FOREIGN KEY (a) REFERENCES plain) "
        "PARTITION BY RANGE (b)",
    )
    own = "CONSTRAINT own FOREIGN KEY (a, b) REFERENCES days_1, CONSTRAINT owned FOREIGN KEY (a, b) REFERENCES top"
    sql(engine, f"CREATE TABLE logs_1 (LIKE logs, {own})")
    sql(engine, "ALTER TABLE logs ATTACH PARTITION logs_1 DEFAULT")
    sql(engine, "CREATE TABLE days_4 PARTITION OF days DEFAULT")
    _, ours, catalog = both(engine, (None, "logs_1"))

    assert ["k1", "k2", "k3"] == sorted(str(each["name"]) for each in ours.get_foreign_keys("logs"))
    found = {each["name"]: each["referred_table"] for each in ours.get_foreign_keys("logs_1")}
    assert {"own": "days_1", "owned": "top"}.items() <= found.items()
    assert ["days", "days_1", "plain", "sub", "top"] == sorted(found.values())
    assert [] == [name for name in found if catalog.is_ghost(None, "logs_1", name)]
