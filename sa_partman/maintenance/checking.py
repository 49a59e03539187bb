"""Checking: what is wrong or about to go wrong. Nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.exc import DBAPIError

from sa_partman.catalog import FoundTable, Partition
from sa_partman.checks.coverage import Asked, Due, Missing, Runway, runways_of
from sa_partman.checks.risks import dump_finding, stale_finding
from sa_partman.checks.rows import DataFacts, LastRuns, TableFacts, outlived_findings, unread_rows
from sa_partman.checks.status import TableStatus
from sa_partman.checks.suite import TableReading, findings_of
from sa_partman.compare.expired_rows import outlived_of
from sa_partman.compare.shape import shape_finding
from sa_partman.engine.exclusion import silent_holder
from sa_partman.errors import PartmanError
from sa_partman.finding import Finding, Severity
from sa_partman.maintenance.membership import differing_findings, left_behind, role_findings
from sa_partman.maintenance.planning import (
    Tables,
    apart_from,
    looked,
    skew_finding,
    status,
    undecided,
    unread,
    waiting_findings,
)
from sa_partman.maintenance.settings import Settings
from sa_partman.names import QualifiedName
from sa_partman.orm.inserts import is_mapped, unbatched
from sa_partman.orm.registry import declared_tables, lost_by
from sa_partman.plan.actions import AttachPartition, CreatePartition
from sa_partman.plan.steps import Purpose, Step, TablePlan
from sa_partman.plan.table import plan_table
from sa_partman.postgres.audit import last_runs
from sa_partman.postgres.contents import outlived_rows
from sa_partman.postgres.facts import CatalogFacts, catalog_facts, data_facts, has_rows_to_read
from sa_partman.postgres.relations import primary_key, unique_keys
from sa_partman.postgres.session import connected, dependable, pin
from sa_partman.postgres.sqlstate import INSUFFICIENT_PRIVILEGE, LOCK_NOT_AVAILABLE, first_line, sqlstate
from sa_partman.postgres.table_reader import kept_options
from sa_partman.postgres.view import CATALOG_LOCK_TIMEOUT, TableView, View


def lost_findings(connection: Connection, tables: Sequence[FoundTable], models: Sequence[Table]) -> Iterator[Finding]:
    """
    Args:
        models: Of *tables* at least.
    """
    plain = [each for each in tables if each.strategy is None and each.conversion is None]
    keys = unique_keys(connection, [each.oid for each in plain])
    for table in plain:
        name, unique = table.name, keys.get(table.oid, ())
        for lost in lost_by(
            _model_of(name, models), primary_key(unique), ((each.name, each.columns) for each in unique)
        ):
            yield Finding("lost-index", Severity.WARNING, str(name), f"{name}: {lost.message}", lost.remedy)


def _model_of(name: QualifiedName, models: Sequence[Table]) -> Table:
    """That of the same schema, unless the schema was said at run time, as in ``schema_translate_map``."""
    named = [each for each in models if each.name == name.name]
    return next((each for each in named if each.schema == name.schema), named[0])


_TELLING = (INSUFFICIENT_PRIVILEGE, LOCK_NOT_AVAILABLE)
"""What keeps us from looking at one thing, and says nothing of the others."""


@dataclass(frozen=True, slots=True)
class Checked:
    """
    Args:
        findings: The worst first.
        tables: The status of each table at the same instant; empty unless asked for.
        last: What the audit says; None when nothing is known.
    """

    findings: tuple[Finding, ...]
    tables: tuple[TableStatus, ...]
    last: LastRuns | None


def checked(settings: Settings, tables: Tables, asked: Asked, *, with_status: bool = False) -> Checked:
    """Everything that can be found, whatever of it can't be looked at."""
    settings = replace(settings, engine=dependable(settings.engine))
    view = looked(settings, tables)
    schema = settings.audit if isinstance(settings.audit, str) else None
    runways = {each.declared.name: _runways(each) for each in view.tables}
    with connected(settings.engine) as connection:
        session = pin(connection, CATALOG_LOCK_TIMEOUT)
        around = catalog_facts(connection, _existing(view), _ends(runways.values()))
        last = last_runs(connection, schema, session.default_schema)
        models = [table for table, _ in declared_tables(settings.metadata, tables)]
        found = list(_elsewhere(connection, view, asked, models, settings.lock.lease))
    for each in view.tables:
        found += _table(settings.engine, each, around, runways[each.declared.name], asked)
    found += _inserts(settings, tables)
    stale = stale_finding(last, (each.declared for each in view.tables), asked.max_age)
    found += [each for each in (stale, skew_finding(settings, Severity.WARNING)) if each is not None]
    severities = list(Severity)
    found.sort(key=lambda finding: severities.index(finding.severity))
    statuses = tuple(status(each) for each in view.tables) if with_status else ()
    return Checked(tuple(found), statuses, last)


def _elsewhere(
    connection: Connection, view: View, asked: Asked, models: Sequence[Table], lease: float
) -> Iterator[Finding]:
    """What rooms of their own read of the server; what one of them can't read costs the others nothing."""
    rooms: dict[str, Callable[[], Iterator[Finding]]] = {
        "how the partitions differ from their tables": lambda: differing_findings(connection, view.tables),
        "what the role lacks": lambda: role_findings(connection, _existing(view), asked.as_role),
        "what interrupted work left behind": lambda: left_behind(connection, view),
        "who is the maintainer": lambda: _silent(connection, lease),
        "what the server keeps in columns": lambda: _dumps(connection, _existing(view)),
        "what a conversion would cost": lambda: lost_findings(connection, _existing(view), models),
        "which rows have outlived their retention": lambda: _outlived(connection, view),
    }
    for what, read in rooms.items():
        try:
            with connection.begin_nested():
                found = list(read())
        except DBAPIError as error:
            if sqlstate(error) not in _TELLING:
                raise
            found = [_incomplete(what, error)]
        yield from found


def _inserts(settings: Settings, tables: Tables) -> Iterator[Finding]:
    """What the models of mapped classes cost the application; the database knows nothing of it."""
    for table, declared in declared_tables(settings.metadata, tables):
        advice = unbatched(table) if is_mapped(table) else ""
        if advice:
            yield Finding(
                "unbatched-inserts",
                Severity.INFO,
                str(declared.name),
                f"{declared.name}: the ORM sends one INSERT for each new object",
                advice,
            )


def _outlived(connection: Connection, view: View) -> Iterator[Finding]:
    for each in view.tables:
        partitions = outlived_of(each.declared, each.found, each.context)
        yield from outlived_findings(each.declared.name, partitions, outlived_rows(connection, partitions))


def _silent(connection: Connection, lease: float) -> Iterator[Finding]:
    """A process that is stopped, or one of an older release, which held the right for ever then."""
    holder = silent_holder(connection)
    if holder is None or holder[2] < lease / 2:
        return
    pid, application, seconds = holder
    yield Finding(
        "maintainer-silent",
        Severity.WARNING,
        "",
        f"pid {pid} ({application}) is the only maintainer, and has shown no life for {seconds:.0f} s: its process is "
        f"stopped",
        f"the server ends it after {lease:g} s, unless it is of an older release; at once: "
        f"SELECT pg_terminate_backend({pid})",
    )


def _dumps(connection: Connection, tables: Iterable[FoundTable]) -> Iterator[Finding]:
    """The newest partition tells for all: an older minor version of the server may have made the table."""
    newest = {max((table.oid, *(each.oid for each in table.walk()))) for table in tables}
    found = dump_finding(*kept_options(connection, newest)) if newest else None
    yield from () if found is None else (found,)


def _incomplete(what: str, error: DBAPIError) -> Finding:
    hidden = "GRANT SELECT on it to the role that checks, or check as a superuser"
    held = "check again when no transaction holds the table"
    return Finding(
        "check-incomplete",
        Severity.WARNING,
        "",
        f"{what} can't be checked: {first_line(error)}; everything else was",
        hidden if sqlstate(error) == INSUFFICIENT_PRIVILEGE else held,
    )


def _table(
    engine: Engine, view: TableView, around: CatalogFacts, runways: tuple[Runway, ...], asked: Asked
) -> Iterator[Finding]:
    if view.unread is not None:
        yield view.unread
        return
    try:
        plan = plan_table(view.declared, view.found, view.context)
    except Exception as error:  # as a run would find it
        yield undecided(view.declared, error)
        return
    (plan,) = apart_from(engine, (plan,))
    misfit = shape_finding(view.declared, view.found)
    rows = _rows(engine, view) if misfit is None else DataFacts()
    if isinstance(rows, Finding):
        yield rows
        rows = DataFacts()
    facts = None if view.found is None else around.tables.get(view.found.oid)
    known = TableReading(rows, facts or TableFacts(), around.lock_table, runways)
    found: tuple[Finding, ...] = ()
    try:
        found = tuple(findings_of(view.declared, view.found, view.context, due_of(plan), known, asked))
    except Exception as error:
        yield undecided(view.declared, error)
    yield from found
    yield from (each for each in plan.findings if each != misfit and each not in found)
    yield from waiting_findings(view)


def _rows(engine: Engine, view: TableView) -> DataFacts | Finding:
    """What is known of the rows; a finding when they can't be read."""
    if view.found is None:
        return DataFacts()
    try:
        if not has_rows_to_read(view.declared, view.found):
            return DataFacts()
        with connected(engine) as connection:  # for each table, so that no lock outlives the reading
            pin(connection, CATALOG_LOCK_TIMEOUT)
            return data_facts(connection, view.declared, view.found, view.context)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return unread(view.found.name, error)
    except PartmanError:
        raise
    except Exception as error:  # in a codec of the user's
        reason = str(error) or type(error).__name__
        return unread_rows(view.found.name, reason, "correct the codec of the declaration; everything else was checked")


def _existing(view: View) -> Sequence[FoundTable]:
    return [each.found for each in view.tables if each.found is not None]


def _runways(view: TableView) -> tuple[Runway, ...]:
    """None of a table that can't be judged; why, its own check says."""
    if view.found is None or shape_finding(view.declared, view.found) is not None:
        return ()
    try:
        return tuple(runways_of(view.declared, view.found, view.context))
    except Exception:
        return ()


def _ends(runways: Iterable[tuple[Runway, ...]]) -> Iterator[Partition]:
    """The last partition of each runway that reaches beyond the current interval."""
    return (each.last for found in runways for each in found if each.last is not None and each.ahead > 0)


def due_of(plan: TablePlan) -> Due:
    """What *plan* would make and remove, for the checks to judge."""
    made = (_missing(step) for step in plan.steps if step.purpose is Purpose.PROVISION)
    gone = (step.partition for step in plan.steps if step.purpose.removes)
    return Due(tuple(each for each in made if each is not None), tuple(dict.fromkeys(gone)))


def _missing(step: Step) -> Missing | None:
    if step.bound is None:
        return None
    for action in step.actions:
        if isinstance(action, AttachPartition) and action.partition == step.partition:
            return Missing(step.partition, step.bound, action.parent)
        if isinstance(action, CreatePartition) and action.name == step.partition:
            return Missing(step.partition, step.bound, action.parent)
    return Missing(step.partition, step.bound, step.table)
