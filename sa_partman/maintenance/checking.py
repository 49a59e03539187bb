"""Checking: what is wrong or about to go wrong. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from sa_partman.checks.coverage import Due
from sa_partman.checks.data import DataFacts
from sa_partman.checks.suite import findings_of
from sa_partman.compare.shape import shape_finding
from sa_partman.errors import DeclarationError
from sa_partman.finding import Finding, Severity
from sa_partman.maintenance.looking import Tables, looked, undecided
from sa_partman.maintenance.settings import Settings
from sa_partman.plan.steps import Purpose, TablePlan
from sa_partman.plan.table import plan_table
from sa_partman.postgres.connect import connected
from sa_partman.postgres.facts import data_facts
from sa_partman.postgres.session import pin
from sa_partman.postgres.sqlstate import INSUFFICIENT_PRIVILEGE, LOCK_NOT_AVAILABLE, first_line, sqlstate
from sa_partman.postgres.view import CATALOG_LOCK_TIMEOUT, TableView


def checked(settings: Settings, tables: Tables) -> tuple[Finding, ...]:
    """The worst first."""
    found = [finding for view in looked(settings, tables).tables for finding in _table(settings.engine, view)]
    return tuple(sorted(found, key=lambda finding: list(Severity).index(finding.severity)))


def _table(engine: Engine, view: TableView) -> Iterator[Finding]:
    if view.unread is not None:
        yield view.unread
        return
    try:
        plan = plan_table(view.declared, view.found, view.situation)
    except (DeclarationError, ValueError) as error:
        yield undecided(view.declared, error)
        return
    facts = _facts(engine, view)
    if isinstance(facts, Finding):
        yield facts
        facts = DataFacts()
    yield from findings_of(view.declared, view.found, view.situation, _due(plan), facts)
    yield from (each for each in plan.findings if each != shape_finding(view.declared, view.found))


def _facts(engine: Engine, view: TableView) -> DataFacts | Finding:
    """What is known of the rows; a finding when they can't be read."""
    if view.found is None:
        return DataFacts()
    try:
        with connected(engine) as connection:
            pin(connection, CATALOG_LOCK_TIMEOUT)
            return data_facts(connection, view.declared, view.found)
    except DBAPIError as error:
        if sqlstate(error) not in (INSUFFICIENT_PRIVILEGE, LOCK_NOT_AVAILABLE):
            raise
        return Finding(
            "rows-unread",
            Severity.WARNING,
            str(view.found.name),
            f"the rows of {view.found.name} can't be looked at: {first_line(error)}",
            f"GRANT SELECT on {view.found.name} and its partitions, or try again when nobody holds them",
        )


def _due(plan: TablePlan) -> Due:
    made = ((step.partition, step.bound) for step in plan.steps if step.purpose is Purpose.PROVISION)
    gone = (step.partition for step in plan.steps if step.purpose.removes)
    return Due(tuple((name, bound) for name, bound in made if bound is not None), tuple(dict.fromkeys(gone)))
