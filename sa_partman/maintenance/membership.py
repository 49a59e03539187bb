"""
What interrupted work left and what partitions lack, in a run and in a check: read in a quick query when all is well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from sa_partman.catalog import FoundTable, Parent, Partition, Residues
from sa_partman.checks.membership import Differing, lacking_of, membership_findings, unmakeable
from sa_partman.checks.structure import residue_findings
from sa_partman.ddl.render import sql_of
from sa_partman.finding import Finding, Severity
from sa_partman.maintenance.results import StepResult
from sa_partman.maintenance.settings import Settings
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import AttachPartition, CreatePartition, FinalizeDetach
from sa_partman.plan.membership import as_members, by_owner, makes, newest_leaf, repair_step
from sa_partman.plan.steps import Step, TablePlan, readable
from sa_partman.plan.table import index_steps
from sa_partman.postgres.relations import privileges_of
from sa_partman.postgres.residues import changed_meanwhile, invalid_indexes, outdated_tables, unvalidated
from sa_partman.postgres.session import behind_pooler, connected, pin
from sa_partman.postgres.sqlstate import LOCK_NOT_AVAILABLE, sqlstate
from sa_partman.postgres.table_reader import differing, memberships, read_members, storage_options
from sa_partman.postgres.view import CATALOG_LOCK_TIMEOUT, TableView, View
from sa_partman.table.membership import Membership
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


def whole(
    settings: Settings, views: Sequence[TableView], plans: Iterable[TablePlan], *, repair: bool = False
) -> tuple[TablePlan, ...]:
    """
    *plans*, whose steps make full members of what they create, and are done by the owner.

    Args:
        views: One for each of *plans*, in the same order.
        repair: Mend partitions that differ, too.
    """
    pairs = list(zip(views, plans, strict=True))
    makers = {
        view.found.oid: _Maker.of(view.found, plan.steps)
        for view, plan in pairs
        if view.found is not None and any(map(makes, plan.steps))
    }
    known = _Known.read(settings, makers)
    drift = _drift(settings, views) if repair else {}
    return tuple(_whole(view, plan, known, drift) for view, plan in pairs)


def completed(view: TableView, steps: Iterable[Step]) -> tuple[Step, ...]:
    """
    *steps*, done by the owner of the table where the connected role has to take its place, and with their bounds for
    people.
    """
    found = view.found
    if found is None:
        return tuple(steps)
    return tuple(readable(view.declared, by_owner(step, found.privileges)) for step in steps)


@dataclass(frozen=True, slots=True)
class Drift:
    """Partitions of one table that differ from it, and what they should be like."""

    membership: Membership
    differing: tuple[Differing, ...]


@dataclass(frozen=True, slots=True)
class _Maker:
    """A table that gets partitions, and the leaves whose storage parameters they take."""

    table: FoundTable
    templates: dict[QualifiedName, Partition]

    @classmethod
    def of(cls, table: FoundTable, steps: Iterable[Step]) -> _Maker:
        """For every parent that *steps* add to: its newest leaf, else the newest of the whole table."""
        wanted = {name for step in steps for name in _parents(step)}
        newest = newest_leaf(table)
        divided = (parent for parent in table.walk() if parent.strategy is not None and parent.name in wanted)
        found = {table.name: newest} | {parent.name: newest_leaf(parent) or newest for parent in divided}
        return cls(table, {name: leaf for name, leaf in found.items() if leaf is not None})

    def template(self, step: Step) -> Partition | None:
        return next((self.templates[name] for name in _parents(step) if name in self.templates), None)


@dataclass(frozen=True, slots=True)
class _Known:
    """
    Args:
        makers: By the oid of the table, like *memberships*.
        options: Storage parameters, by the oid of the leaf.
    """

    makers: dict[int, _Maker]
    memberships: dict[int, Membership]
    options: dict[int, tuple[str, ...]]

    @classmethod
    def read(cls, settings: Settings, makers: dict[int, _Maker]) -> _Known:
        if not makers:
            return cls({}, {}, {})
        leaves = {leaf.oid for maker in makers.values() for leaf in maker.templates.values()}
        try:
            with connected(settings.engine) as connection:
                pin(connection, CATALOG_LOCK_TIMEOUT)
                return cls(makers, memberships(connection, makers), storage_options(connection, leaves))
        except DBAPIError as error:
            if sqlstate(error) != LOCK_NOT_AVAILABLE:
                raise
        # One of the tables can't be read: read each by itself, so that the others are maintained all the same.
        each = [cls.read(settings, {oid: maker}) for oid, maker in makers.items()] if len(makers) > 1 else []
        known = {oid: membership for one in each for oid, membership in one.memberships.items()}
        return cls(makers, known, {oid: options for one in each for oid, options in one.options.items()})

    def of(self, table: FoundTable, step: Step) -> Membership:
        leaf = self.makers[table.oid].template(step)
        return replace(self.memberships[table.oid], options=() if leaf is None else self.options.get(leaf.oid, ()))


def _parents(step: Step) -> Iterator[QualifiedName]:
    return (action.parent for action in step.actions if isinstance(action, AttachPartition | CreatePartition))


def differing_findings(connection: Connection, views: Iterable[TableView]) -> Iterator[Finding]:
    """For the check: partitions that differ from their table."""
    tables = [view.found for view in views if view.found is not None]
    try:
        with connection.begin_nested():
            drift = drifted(connection, tables)
    except DBAPIError as error:
        if sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise
        yield from (_unread(table, Severity.INFO) for table in tables)
        return
    for table in tables:
        if table.oid in drift:
            yield from membership_findings(table.name, drift[table.oid].differing)


def role_findings(connection: Connection, tables: Sequence[FoundTable], role: str | None) -> Iterator[Finding]:
    """For the check: what *role* would need to maintain *tables*; nothing when nobody asks."""
    if role is None:
        return
    privileges = privileges_of(connection, tables, role)
    for table in tables:
        if table.name in privileges:
            yield from lacking_of(table.name, privileges[table.name])


def _unread(table: FoundTable, severity: Severity) -> Finding:
    return Finding(
        "locked",
        severity,
        str(table.name),
        f"{table.name}: owner, privileges, policies and settings can't be read now: another transaction holds it or "
        f"has just dropped it; nothing was changed",
        "try again when no transaction holds ACCESS EXCLUSIVE on it or on one of its partitions",
    )


def _drift(settings: Settings, views: Iterable[TableView]) -> dict[int, Drift]:
    with connected(settings.engine) as connection:
        pin(connection, CATALOG_LOCK_TIMEOUT)
        return drifted(connection, [view.found for view in views if view.found is not None])


def _whole(view: TableView, plan: TablePlan, known: _Known, drift: dict[int, Drift]) -> TablePlan:
    found = view.found
    if found is None:
        return plan
    if found.oid in known.makers and found.oid not in known.memberships:
        return TablePlan(plan.table, (), (*plan.findings, _unread(found, Severity.ERROR)))
    if found.oid in known.memberships and (lacking := known.memberships[found.oid].lacking):
        return TablePlan(plan.table, (), (*plan.findings, unmakeable(found.name, lacking)))
    steps = [as_members(step, known.of(found, step)) if makes(step) else step for step in plan.steps]
    findings: tuple[Finding, ...] = plan.findings
    if found.oid in drift:
        steps = [*repairs(found, drift[found.oid]), *steps]
        findings = (*findings, *membership_findings(found.name, drift[found.oid].differing, unmended=True))
    return TablePlan(plan.table, completed(view, steps), findings)


def repairs(found: FoundTable, drift: Drift) -> Iterator[Step]:
    """One step per partition that can be mended."""
    partitions = {each.oid: each for each in found.walk()}
    for each in drift.differing:
        partition = partitions.get(each.oid)
        step = None if partition is None else repair_step(found.name, partition, each.have, drift.membership)
        if step is not None and each.have.reachable:
            yield step


def drifted(connection: Connection, tables: Iterable[FoundTable]) -> dict[int, Drift]:
    """
    The partitions that differ from their tables, by the table's oid; tables whose partitions do not are left out.

    Args:
        connection: In a transaction that `pin` pinned.
    """
    by = {table.oid: table for table in tables if table.strategy is not None}
    suspects = differing(connection, by) if by else {}
    if not suspects:
        return {}
    wanted = memberships(connection, suspects)
    members = read_members(connection, [oid for oids in suspects.values() for oid in oids])
    found = {}
    for root, oids in suspects.items():
        names = {each.oid: each.name for each in by[root].walk()}
        judged = (
            Differing.judged(oid, names[oid], members[oid], wanted[root])
            for oid in oids
            if oid in names and oid in members and root in wanted
        )
        kept = tuple(each for each in judged if each.differences)
        if kept:
            found[root] = Drift(wanted[root], kept)
    return found
