"""Another role of the same database lays out what a run or a check of a superuser might pick up: nothing of it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine

from sa_partman.postgres.audit import _MAKE
from tests.support.archives import MARCH, is_there, january, monthly
from tests.support.database import as_role, codes, role, sql, upkeep

CAUGHT = "INSERT INTO public.caught VALUES (current_user || ' ' || current_setting('is_superuser'))"


@contextmanager
def stranger(engine: Engine) -> Iterator[Engine]:
    """Of a role that may do nothing but have a schema of its own; whoever runs its code leaves his name."""
    name = f"stranger_{engine.url.database}"
    sql(engine, "CREATE TABLE caught (who text); GRANT INSERT ON caught TO PUBLIC")
    with role(engine, "CREATE SCHEMA den AUTHORIZATION {role}", name=name):
        other = as_role(engine, name)
        try:
            yield other
        finally:
            other.dispose()
            sql(engine, "DROP SCHEMA den CASCADE")


def bait(engine: Engine, type: str, value: str) -> None:
    """A type whose cast to *type* is the stranger's code."""
    sql(
        engine,
        f"CREATE TYPE den.bait AS (x int);"
        f"CREATE FUNCTION den.cast_it(den.bait) RETURNS {type} LANGUAGE plpgsql AS "
        f"$$ BEGIN {CAUGHT}; RETURN {value}; END $$;"
        f"CREATE CAST (den.bait AS {type}) WITH FUNCTION den.cast_it(den.bait) AS IMPLICIT",
    )


@pytest.fixture
def table(engine: Engine) -> Engine:
    """``events`` with an expired partition."""
    january(engine, monthly("drop"))
    return engine


def test_a_mark_on_the_table_of_a_stranger(table: Engine) -> None:
    """It names our table; that it holds nothing but expired rows would be for the stranger's own cast to say."""
    with stranger(table) as other:
        bait(other, "timestamptz", "'2020-01-01'")
        sql(other, "CREATE TABLE den.old (id bigint, created_at den.bait)")
        sql(other, r"INSERT INTO den.old VALUES (1, CAST(ROW(1) AS den.bait))")
        mark = r"""sa_partman\: detached from "public"."events" at 2026-01-01T00\:00\:00+00\:00"""
        sql(other, f"COMMENT ON TABLE den.old IS '{mark}'")
        result = upkeep(table, monthly("drop"), MARCH).run()

        assert result.ok, str(result)
        assert is_there(table, "den.old")
        assert [] == sql(table, "SELECT who FROM caught")


def test_an_audit_of_a_stranger_is_not_read(table: Engine) -> None:
    """A check looks for audit tables in every schema."""
    with stranger(table) as other:
        bait(other, "boolean", "true")
        sql(other, "CREATE TABLE den.sa_partman_runs (started timestamptz, finished timestamptz, ok den.bait)")
        sql(other, "INSERT INTO den.sa_partman_runs VALUES (now(), now(), CAST(ROW(1) AS den.bait))")
        sql(other, r"COMMENT ON TABLE den.sa_partman_runs IS 'sa_partman\: audit of runs'")
        upkeep(table, monthly("drop"), MARCH).check()

        assert [] == sql(table, "SELECT who FROM caught")


def test_an_audit_of_a_stranger_is_not_written(table: Engine) -> None:
    """His triggers would be at work with our rights; the steps are done all the same, and the run says so."""
    with stranger(table) as other:
        sql(table, f"GRANT CREATE ON SCHEMA public TO {other.url.username}")
        for statement in _MAKE:
            made = statement.format(runs="public.sa_partman_runs", steps="public.sa_partman_steps")
            sql(other, made.replace(":", r"\:"))
        sql(
            other,
            f"CREATE FUNCTION den.spring() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {CAUGHT}; RETURN new; END $$;"
            f"CREATE TRIGGER trap BEFORE INSERT ON public.sa_partman_runs FOR EACH ROW EXECUTE FUNCTION den.spring()",
        )
        result = upkeep(table, monthly("drop"), MARCH, audit=True).run()

        assert [] == sql(table, "SELECT who FROM caught")
        assert ["audit-failed"] == codes(result.findings)
        assert "belongs to stranger_" in str(result)
        assert not is_there(table)
