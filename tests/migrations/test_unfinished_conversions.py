"""A conversion that has begun and not ended: autogenerate says so, and leaves its tables to it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from alembic.util import CommandError
from sqlalchemy import Engine

from sa_partman import Converter, Maintainer
from sa_partman.finding import Severity
from sa_partman.plan.steps import Step
from tests.migrations.project import EVENTS, Project, body
from tests.migrations.test_conversion import PLAIN, ROWS

LINES = """
class Line(Base):
    __tablename__ = "lines"
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True)
    event_id: Mapped[int] = mapped_column(ForeignKey("events.id"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
"""
COMPOSITE = """
class Line(Base):
    __tablename__ = "lines"
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True)
    event_id: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    __table_args__ = (sa.ForeignKeyConstraint(["event_id", "created_at"], ["events.id", "events.created_at"]),)
"""
RESUME = "sa-partman convert public.events --resume"


class Stopped(Exception):
    """As a kill between two steps does it: the step is stored, and nothing is said."""


def stopped_after(project: Project, step: str, verb: str = "convert", **arguments: Any) -> None:
    """A conversion that ends behind *step*."""

    def report(done: Step, seconds: float, /) -> None:
        if done.id == step:
            raise Stopped

    with engine_of(project) as engine, pytest.raises(Stopped):
        getattr(Converter(engine, project.metadata()), verb)("events", report=report, **arguments)


def resumed(project: Project) -> None:
    with engine_of(project) as engine:
        Converter(engine, project.metadata()).resume("events")


@contextmanager
def engine_of(project: Project) -> Iterator[Engine]:
    engine = project.engine
    try:
        yield engine
    finally:
        engine.dispose()


@pytest.fixture
def plain(project: Project) -> Project:
    """A plain table with rows, whose model has become partitioned."""
    project.migrate(PLAIN)
    project.execute(ROWS)
    project.models(EVENTS)
    return project


@pytest.mark.parametrize("step", ["unique_index", "validate", "parent", "cutover"])
def test_autogenerate_writes_nothing_and_says_how_to_go_on(
    plain: Project, step: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither for the table, nor for the new one beside it, its partitions and the index of the new primary key."""
    stopped_after(plain, step)

    with caplog.at_level(logging.WARNING, "alembic_ext"):
        plain.check()

    assert "a conversion of public.events is in progress; next step: " in caplog.text
    assert RESUME in caplog.text
    assert "pass" == body(plain.revision())

    resumed(plain)
    caplog.clear()
    plain.forget()
    plain.check()

    assert "in progress" not in caplog.text


def test_other_tables_get_their_operations(plain: Project) -> None:
    stopped_after(plain, "parent")
    plain.models(EVENTS + LINES.replace('mapped_column(ForeignKey("events.id"))', "mapped_column()"))

    written = body(plain.revision())

    assert "op.create_table('lines'," in written
    assert "events" not in written


@pytest.mark.parametrize("schema", [None, "app"])
def test_with_all_schemas_the_same(project: Project, schema: str | None) -> None:
    """Under include_schemas=True, in the default schema and in another one."""
    project.configured("include_schemas=True")
    project.execute("CREATE SCHEMA app")
    there = f"    __table_args__ = {{'schema': {schema!r}}}\n"
    project.migrate(PLAIN + there)
    project.models(EVENTS + there)
    with engine_of(project) as engine, pytest.raises(Stopped):
        Converter(engine, project.metadata()).convert("events" if schema is None else "app.events", report=_stop)

    assert "pass" == body(project.revision())


def _stop(step: Step, seconds: float, /) -> None:
    if step.id == "parent":
        raise Stopped


def test_foreign_keys_that_the_conversion_makes_anew_are_left_to_it(project: Project) -> None:
    """The model has the composite key already, and the database gets it in the swap."""
    project.migrate(PLAIN + LINES)
    project.execute(ROWS)
    project.models(EVENTS + COMPOSITE)
    stopped_after(project, "parent", inbound="composite")

    assert "pass" == body(project.revision())


def test_an_undo_in_progress_is_told_too(plain: Project, caplog: pytest.LogCaptureFixture) -> None:
    """The table is partitioned still, and its model is plain again."""
    plain.convert("events")
    stopped_after(plain, "unique_index", "undo")
    plain.models(PLAIN)

    with caplog.at_level(logging.WARNING, "alembic_ext"):
        plain.check()

    assert "the undo of the conversion of public.events is in progress; next step: " in caplog.text

    resumed(plain)
    plain.check()


def test_the_operation_leaves_a_conversion_in_progress_alone(plain: Project) -> None:
    plain.revision()
    stopped_after(plain, "parent")

    with pytest.raises(CommandError, match=r"conversion of public.events is in progress; next step: swap: .*--resume"):
        plain.upgrade()

    resumed(plain)
    plain.upgrade()
    plain.check()


@pytest.mark.parametrize("step", ["parent", "cutover"])
def test_check_status_plan_and_run_say_the_same(plain: Project, step: str) -> None:
    """Instead of "convert it"; behind the swap, partitions are maintained as ever."""
    stopped_after(plain, step)
    with engine_of(plain) as engine:
        maintainer = Maintainer(engine, plain.metadata())

        found = [each for each in maintainer.check() if each.code == "conversion-in-progress"]
        (status,) = maintainer.status()
        result = maintainer.run()

        assert [Severity.WARNING] == [each.severity for each in found]
        assert RESUME in found[0].remedy
        assert "not-partitioned" not in {each.code for each in maintainer.check()}
        assert (status.problem, status.information) == ("", f"{found[0].message}; {found[0].remedy}")
        assert result.ok
        assert "conversion-in-progress" in {each.code for each in result.findings} or step == "cutover"
    resumed(plain)
    with engine_of(plain) as engine:
        maintainer = Maintainer(engine, plain.metadata())

        assert not {"conversion-in-progress", "not-partitioned"} & {each.code for each in maintainer.check()}
