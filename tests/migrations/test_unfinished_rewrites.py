"""A rewrite that has begun and not ended: autogenerate, check and status say so, and leave what it makes to it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine

from sa_partman import Maintainer, PartmanError, Rewriter, Step
from sa_partman.finding import Severity
from tests.migrations.project import EVENTS, Project, body
from tests.support.builders import at

NOW = at("2025-06-15")
HISTORY = (
    "CREATE TABLE events_history PARTITION OF events FOR VALUES FROM (MINVALUE) TO ('2025-06-01+00')",
    "COMMENT ON TABLE events_history IS 'sa_partman: created'",
    "INSERT INTO events (created_at, kind) SELECT timestamptz '2025-06-01+00' - i * interval '10 minutes', 'a' "
    "FROM generate_series(1, {rows}) i",
    "ANALYZE events",
)


@contextmanager
def engine_of(project: Project) -> Iterator[Engine]:
    engine = project.engine
    try:
        yield engine
    finally:
        engine.dispose()


@pytest.fixture
def history(project: Project) -> Project:
    """A partitioned table with its past in one partition, more than is moved in one transaction."""
    project.migrate(EVENTS)
    with engine_of(project) as engine:
        for partition in Maintainer(engine, project.metadata(), now=NOW).status()[0].partitions:
            project.execute(f"DROP TABLE {partition.name}")
    for statement in HISTORY:
        project.execute(statement.format(rows=12_000))
    return project


def stopped(project: Project, step: str) -> None:
    """Killed behind *step*."""

    def report(done: Step, seconds: float, /) -> None:
        if done.id == step:
            raise PartmanError("killed")

    with engine_of(project) as engine, pytest.raises(PartmanError, match="killed"):
        Rewriter(engine, project.metadata(), now=NOW).split("events_history", into="1 month", report=report)


@pytest.mark.parametrize("step", ["copy:public.events_history", "cutover", "retire"])
def test_autogenerate_writes_nothing_and_says_how_to_go_on(
    history: Project, step: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither for the table, nor for what is beside it, nor for the old partition while it is one of no table."""
    stopped(history, step)

    with caplog.at_level(logging.WARNING, "alembic_ext"):
        history.check()

    assert "the split of public.events is " in caplog.text
    assert f"sa-partman split public.events --{'finalize' if step == 'retire' else 'resume'}" in caplog.text
    assert "pass" == body(history.revision())

    with engine_of(history) as engine:
        rewriter = Rewriter(engine, history.metadata(), now=NOW)
        rewriter.resume("events")
        rewriter.finalize("events")
    caplog.clear()
    history.forget()
    history.check()

    assert "split" not in caplog.text


@pytest.mark.parametrize(
    ("step", "code", "severity"),
    [("capture", "rewrite-in-progress", Severity.WARNING), ("retire", "rewrite-kept", Severity.INFO)],
)
def test_check_and_status_say_the_same(history: Project, step: str, code: str, severity: Severity) -> None:
    """While partitions are maintained as ever."""
    stopped(history, step)
    with engine_of(history) as engine:
        maintainer = Maintainer(engine, history.metadata(), now=NOW)
        (found,) = (each for each in maintainer.check() if each.code.startswith(("rewrite", "conversion")))
        (status,) = maintainer.status()

        assert (code, severity) == (found.code, found.severity)
        assert ("", f"{found.message}; {found.remedy}") == (status.problem, status.information)
        assert maintainer.run().ok
        Rewriter(engine, history.metadata(), now=NOW).resume("events")
        Rewriter(engine, history.metadata(), now=NOW).undo("events")

        assert not [each for each in maintainer.check() if each.code.startswith("rewrite")]
