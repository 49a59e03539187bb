"""The inspector of autogenerate: SQLAlchemy's answers but for partitions, and those are not even read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Inspector, inspect
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.engine.reflection import ObjectKind, ObjectScope

from alembic_ext.compare.catalog import Key, read_catalog
from alembic_ext.compare.inspector import hide_partitions
from tests.support.counting import statements
from tests.support.database import sql

TABLES = """
CREATE SCHEMA other; CREATE SCHEMA parts; CREATE SCHEMA bare;
CREATE TABLE days (id bigint, at date, kind text, PRIMARY KEY (id, at), UNIQUE (at, id)) PARTITION BY RANGE (at);
CREATE INDEX ON days (kind); COMMENT ON TABLE days IS 'each day';
CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE days_2 PARTITION OF days FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
CREATE TABLE parts.days_3 PARTITION OF days FOR VALUES FROM ('2024-03-01') TO ('2024-04-01') PARTITION BY HASH (id);
CREATE TABLE parts.days_3_0 PARTITION OF parts.days_3 FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE TABLE other.days_1 PARTITION OF days FOR VALUES FROM ('2024-04-01') TO ('2024-05-01');
CREATE TABLE days_gone (id bigint); COMMENT ON TABLE days_gone IS 'sa_partman: detached from days';
CREATE TABLE commented (id bigint); COMMENT ON TABLE commented IS 'nothing of ours';
CREATE TABLE other.plain (id bigint PRIMARY KEY, x text UNIQUE CHECK (x <> '')) WITH (fillfactor = 70);
CREATE UNLOGGED TABLE child (more int) INHERITS (other.plain);
CREATE VIEW seen AS SELECT 1 AS one; CREATE MATERIALIZED VIEW kept AS SELECT 1 AS one;
CREATE SEQUENCE numbers; CREATE TYPE pair AS (a int, b int);
CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing;
CREATE FOREIGN TABLE abroad (id bigint) SERVER nowhere;
"""
HIDDEN = {
    None: {"days_1", "days_2", "days_gone"},
    "public": {"days_1", "days_2", "days_gone"},
    "other": {"days_1"},
    "parts": {"days_3", "days_3_0"},
}
SCHEMAS = [None, "public", "other", "parts", "bare", "nowhere", "information_schema"]
METHODS = [name for name in dir(Inspector) if name.startswith("get_multi_") and name in vars(PGDialect)]


def answer(inspector: Inspector, method: str, **asked: Any) -> dict[Any, str]:
    """In words: types are not equal to each other."""
    return {key: repr(value) for key, value in getattr(inspector, method)(**asked).items()}


@contextmanager
def both(engine: Engine, *mapped: Key) -> Iterator[tuple[Inspector, Inspector, Connection]]:
    """SQLAlchemy's own, and ours, in one session."""
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TEMPORARY TABLE passing (id bigint) ON COMMIT DROP")
        ours = inspect(connection)
        hide_partitions(ours, read_catalog(connection, frozenset(mapped)), connection)
        yield inspect(connection), ours, connection


@pytest.fixture
def filled(engine: Engine) -> Engine:
    for statement in TABLES.split(";"):
        if statement.strip():
            sql(engine, statement)
    return engine


@pytest.mark.parametrize("schema", [*SCHEMAS, "pg_catalog"])
def test_tables_are_listed_but_for_partitions_and_what_was_detached(filled: Engine, schema: str | None) -> None:
    with both(filled) as (theirs, ours, _):
        listed = ours.get_table_names(schema)

        assert len(listed) == len(set(listed))
        assert set(theirs.get_table_names(schema)) - HIDDEN.get(schema, set()) == set(listed)


def test_a_mapped_partition_and_a_mapped_detached_table_are_listed_where_they_are(filled: Engine) -> None:
    mapped: list[Key] = [(None, "days_1"), (None, "days_gone"), ("parts", "days_3_0"), (None, "nothing")]
    with both(filled, *mapped) as (theirs, ours, _):
        assert set(theirs.get_table_names()) - {"days_2"} == set(ours.get_table_names())
        assert {"plain"} == set(ours.get_table_names("other"))
        assert {"days_3_0"} == set(ours.get_table_names("parts"))


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("method", METHODS)
def test_all_tables_at_once_are_all_but_the_hidden_ones(filled: Engine, method: str, schema: str | None) -> None:
    """Alembic says so where there are more than a hundred tables, and by an empty list where there is none."""
    with both(filled) as (theirs, ours, _):
        expected = {
            key: value
            for key, value in answer(theirs, method, schema=schema).items()
            if key[1] not in HIDDEN.get(schema, set())
        }

        assert expected == answer(ours, method, schema=schema)
        assert expected == answer(ours, method, schema=schema, filter_names=[])


@pytest.mark.parametrize("method", METHODS)
def test_what_is_asked_for_by_name_or_kind_is_sqlalchemys_answer(filled: Engine, method: str) -> None:
    asked: list[dict[str, Any]] = [
        {"filter_names": ["days", "days_1", "child", "nothing", "kept"]},
        {"filter_names": ["child"]},
        {"filter_names": ["days", "seen"], "kind": ObjectKind.ANY, "scope": ObjectScope.ANY},
        {"kind": ObjectKind.ANY_VIEW},
        {"scope": ObjectScope.TEMPORARY},
        {"filter_names": ["plain", "days_1"], "schema": "other"},
    ]
    with both(filled) as (theirs, ours, _):
        for keywords in asked:
            assert answer(theirs, method, **keywords) == answer(ours, method, **keywords)


def test_each_table_has_the_options_that_sqlalchemy_says(filled: Engine) -> None:
    """Those that have none are told by our own query."""
    with both(filled, (None, "days_1")) as (theirs, ours, _):
        tables = [(name, schema) for schema in (None, "public", "other") for name in theirs.get_table_names(schema)]

        for name, schema in [*tables, ("days_1", None), ("days_2", None)]:
            assert options(theirs, name, schema) == options(ours, name, schema)
        assert ("child", None) in tables


def options(inspector: Inspector, table: str, schema: str | None) -> Any:
    try:
        return inspector.get_table_options(table, schema)
    except NotImplementedError:
        return "not before SQLAlchemy 2.1"


def test_many_tables_are_read_in_parts_and_none_is_lost(filled: Engine) -> None:
    """Where they are more than the partitions, all are read, and what is hidden is left out."""
    made = " ".join(
        f"CREATE TABLE many_{n} (id int PRIMARY KEY, x int UNIQUE, y int); CREATE INDEX ON many_{n} (y);"
        for n in range(230)
    )
    with filled.begin() as connection:
        connection.exec_driver_sql(f"DO $$ BEGIN {made} END $$")
    names = [f"many_{n}" for n in range(230)]
    with both(filled) as (theirs, ours, _):
        for method in METHODS:
            assert answer(theirs, method, filter_names=names) == answer(ours, method, filter_names=names)

            everything = answer(theirs, method)
            assert {key: everything[key] for key in everything if key[1] not in HIDDEN[None]} == answer(ours, method)


def test_without_a_partitioned_table_nothing_but_the_list_is_ours(engine: Engine) -> None:
    sql(engine, "CREATE TABLE plain (id bigint PRIMARY KEY)")
    with both(engine) as (theirs, ours, _):
        with statements(engine) as sent:
            theirs.get_multi_pk_constraint(filter_names=["plain", "other"])
            expected, sent[:] = list(sent), []
            ours.get_multi_pk_constraint(filter_names=["plain", "other"])

        assert expected == sent


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "AUTOCOMMIT"])
@pytest.mark.parametrize("hash_join", ["on", "off"])
def test_the_planners_settings_are_as_before(filled: Engine, isolation: Any, hash_join: str) -> None:
    def settings(connection: Connection) -> list[Any]:
        names = ("enable_hashjoin", "enable_mergejoin", "jit")
        return [connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names]

    with filled.connect().execution_options(isolation_level=isolation) as connection:
        connection.exec_driver_sql(f"SET enable_hashjoin = {hash_join}")
        before = settings(connection)
        ours = inspect(connection)
        hide_partitions(ours, read_catalog(connection, frozenset()), connection)
        found = ours.get_multi_pk_constraint(), ours.get_multi_indexes(), ours.get_multi_unique_constraints()

        assert all((None, "days") in each for each in found)
        assert hash_join == before[0]
        assert before == settings(connection)
        connection.exec_driver_sql("SET enable_hashjoin = DEFAULT")
