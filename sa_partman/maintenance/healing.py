"""Healing in a run and residues in a check: what is read of the server for them, one quick query when all is well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from sqlalchemy import Connection, text

from sa_partman.catalog import FoundTable, Parent, Residues
from sa_partman.checks.structure import residue_findings
from sa_partman.ddl.render import sql_of
from sa_partman.finding import Finding, Severity
from sa_partman.maintenance.results import StepResult
from sa_partman.maintenance.settings import Settings
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import AttachPartition, FinalizeDetach
from sa_partman.plan.steps import TablePlan
from sa_partman.plan.table import index_steps
from sa_partman.postgres.connect import behind_pooler, connected
from sa_partman.postgres.residues import changed_meanwhile, invalid_indexes, outdated_tables, unvalidated
from sa_partman.postgres.session import pin
from sa_partman.postgres.view import CATALOG_LOCK_TIMEOUT, TableView, View
from sa_partman.table.structure import explained

_PID = text("SELECT pg_catalog.pg_backend_pid()")


def healed(settings: Settings, views: Sequence[TableView], plans: Sequence[TablePlan]) -> tuple[TablePlan, ...]:
    """
    *plans*, with what is left of interrupted index builds removed first.

    Args:
        views: One for each of *plans*, in the same order.
    """
    with connected(settings.engine) as connection:
        pin(connection, CATALOG_LOCK_TIMEOUT)
        indexes = invalid_indexes(connection)
    if not indexes:
        return tuple(plans)
    return tuple(
        plan if view.found is None else replace(plan, steps=(*index_steps(view.found, indexes), *plan.steps))
        for view, plan in zip(views, plans, strict=True)
    )


def with_reason(settings: Settings, result: StepResult) -> StepResult:
    """*result*; when it failed because a parent was changed while a detach was pending, with what helps."""
    action = result.step.actions[0]
    if not result.failed or not isinstance(action, FinalizeDetach):
        return result
    with connected(settings.engine) as connection:
        pin(connection, CATALOG_LOCK_TIMEOUT)
        changed = changed_meanwhile(connection, [(action.parent, action.partition)])
        attached = [each for each in result.step.actions if isinstance(each, AttachPartition)][:1]
        statements = sql_of((action, *attached))
        pairs = [(each.parent, each.partition) for each in attached if not changed]
        outdated = tuple(outdated_tables(connection, pairs, statements[:1], statements[1:]))
    why = [explained(parent, partition, changes) for (parent, partition), changes in changed.items()]
    return replace(result, error="; ".join((result.error, *why, *outdated)))


def left_behind(connection: Connection, view: View) -> Iterator[Finding]:
    """What a check finds of residues, in its pinned transaction; and the pooler in front of the server."""
    found = tuple(each.found for each in view.tables if each.found is not None)
    residues = Residues(invalid_indexes(connection), unvalidated(connection))
    changed = changed_meanwhile(connection, (pair for table in found for pair in _pending(table)))
    for table in found:
        yield from residue_findings(table, residues, changed)
    if behind_pooler(connection, connection.execute(_PID).scalar_one()):
        yield Finding(
            "pooler",
            Severity.INFO,
            "",
            "a connection pooler is in front of the server: maintainers take turns step by step, nothing is detached "
            "CONCURRENTLY, and the server can't tell when a client died",
            "give the maintainer the address of the server itself",
        )


def _pending(table: FoundTable) -> Iterator[tuple[QualifiedName, QualifiedName]]:
    parents: tuple[Parent, ...] = (table, *table.walk())
    for parent in parents:
        yield from ((parent.name, each.name) for each in parent.partitions if each.detach_pending)
