"""One look at the database, and what it comes to as plans of all tables together. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from sa_partman.catalog import ForeignKey, FoundTable, Partition, default_of
from sa_partman.checks.coverage import places_of
from sa_partman.checks.membership import privilege_finding
from sa_partman.checks.rows import unread_rows
from sa_partman.checks.status import TableStatus, status_of
from sa_partman.compare.context import Path
from sa_partman.compare.exchange import Exchange, current_findings, exchanges, interval_findings
from sa_partman.compare.expired_rows import expired_rows, leaves_of
from sa_partman.compare.shape import shape_finding
from sa_partman.ddl.render import sql_of
from sa_partman.errors import DeclarationError
from sa_partman.finding import Finding, Severity
from sa_partman.maintenance.settings import Settings
from sa_partman.maintenance.tenants import takes_paths, typed
from sa_partman.names import QualifiedName
from sa_partman.orm.registry import declared_tables
from sa_partman.plan.actions import AttachPartition, CreateTable, MoveRows
from sa_partman.plan.branches import has_branch, leaving_steps
from sa_partman.plan.families import limited, referenced_first, without_removals
from sa_partman.plan.regrid import regrid_steps
from sa_partman.plan.steps import Purpose, Step, TablePlan
from sa_partman.plan.table import plan_table
from sa_partman.postgres.contents import count_rows, empty_of
from sa_partman.postgres.relations import inbound_keys
from sa_partman.postgres.session import act_as, connected, dependable, pin
from sa_partman.postgres.sqlstate import INSUFFICIENT_PRIVILEGE, first_line, sqlstate
from sa_partman.postgres.view import CATALOG_LOCK_TIMEOUT, TableView, View, look
from sa_partman.spec.declared import DeclaredTable


def counted(settings: Settings, views: Iterable[TableView]) -> Iterator[tuple[TableView, Finding | None]]:
    """
    Each of *views* as it is known then, and why its rows can't be counted, if so: nothing of them is deleted then.
    """
    for view in views:
        yield _counted(settings, view)


def _counted(settings: Settings, view: TableView) -> tuple[TableView, Finding | None]:
    wanted, found = tuple(_wanted(view)), view.found
    if not wanted or found is None:
        return view, None
    try:
        with connected(settings.engine) as connection:  # for each table, so that no lock outlives the reading
            pin(connection, CATALOG_LOCK_TIMEOUT)
            act_as(connection, None if found.privileges.is_owner else found.privileges.owner)
            rows = count_rows(connection, wanted)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return view, unread(found.name, error)
    return replace(view, context=replace(view.context, expired_rows=rows)), None


def unread(table: QualifiedName, error: DBAPIError) -> Finding:
    """The server refused to let the rows of *table* be read."""
    denied = f"GRANT SELECT on {table} and its partitions to the connected role"
    held = "try again when no transaction holds them"
    return unread_rows(table, first_line(error), denied if sqlstate(error) == INSUFFICIENT_PRIVILEGE else held)


def _wanted(view: TableView) -> Iterator[tuple[Partition, str]]:
    """The tables that may hold some, each with the condition; of a table that can't be planned, none."""
    if view.found is None or shape_finding(view.declared, view.found) is not None:
        return
    if all(getattr(level.spec, "retention", None) is None for level in view.declared.levels()):
        return
    try:
        for level, parent, context in places_of(view.declared, view.found, view.context, gone=True):
            default = default_of(parent)
            expired = None if default is None else expired_rows(level, parent, context)
            if default is not None and expired is not None:
                yield from ((each, expired.where) for each in leaves_of(default))
    except Exception:  # in a codec or a callable of the user's: its plan says why
        return


Regridded = tuple[Step | Finding, ...]


def regridded(settings: Settings, views: Sequence[TableView]) -> tuple[tuple[TableView, ...], tuple[Regridded, ...]]:
    """
    *views* as they will be, and what makes them so: for each of them, in their order.
    """
    wanted = [exchanges_of(view) for view in views]
    names = [partition.name for found in wanted for each in found for partition in each.old]
    empty = _empty(settings, names) if names else frozenset[QualifiedName]()
    pairs = [_one(view, found, empty) for view, found in zip(views, wanted, strict=True)]
    return tuple(view for view, _ in pairs), tuple(steps for _, steps in pairs)


def _one(view: TableView, wanted: tuple[Exchange, ...], empty: frozenset[QualifiedName]) -> tuple[TableView, Regridded]:
    if not wanted or view.found is None:
        return view, ()
    lacking = privilege_finding(view.found)
    if lacking is not None:
        return view, (lacking,)
    found, steps = regrid_steps(view.found, wanted, empty)
    later = tuple(current_findings(view.declared, found, view.context))
    return replace(view, found=found), (*steps, *later)


def _empty(settings: Settings, names: Iterable[QualifiedName]) -> frozenset[QualifiedName]:
    with connected(settings.engine) as connection:
        pin(connection, CATALOG_LOCK_TIMEOUT)
        return empty_of(connection, names)


def with_steps(plan: TablePlan, first: Regridded) -> TablePlan:
    """*plan*, with the exchanges *first*: what else is missing goes by what they make."""
    steps = tuple(each for each in first if isinstance(each, Step))
    findings = tuple(each for each in first if isinstance(each, Finding))
    return TablePlan(plan.table, (*steps, *plan.steps), tuple(dict.fromkeys((*plan.findings, *findings))))


def exchanges_of(view: TableView) -> tuple[Exchange, ...]:
    """None of a table that can't be planned; why, its plan says."""
    if view.found is None or shape_finding(view.declared, view.found) is not None:
        return ()
    try:
        return tuple(exchanges(view.declared, view.found, view.context))
    except Exception:  # in a codec or a callable of the user's
        return ()


def waiting_findings(view: TableView) -> Iterator[Finding]:
    """From when on a changed interval holds."""
    if view.found is None or shape_finding(view.declared, view.found) is not None:
        return
    yield from interval_findings(view.found.name, exchanges_of(view))
    try:
        current = tuple(current_findings(view.declared, view.found, view.context))
    except Exception:  # in a codec or a callable of the user's: its plan says why
        return
    yield from current


ALLOWED = timedelta(seconds=10)
"""Clocks that are further apart than this do not agree."""

_NOW = text("SELECT pg_catalog.clock_timestamp()")


def client_clock() -> datetime:
    """The clock of this machine; aware."""
    return datetime.now(UTC)


def skew_finding(settings: Settings, severity: Severity) -> Finding | None:
    """
    None when the clocks agree, or when the instant was given: then none of them counts.

    The server's clock was read somewhere between the question and the answer, so how long that took is no skew.
    """
    if settings.now is not None:
        return None
    with connected(settings.engine) as connection:
        pin(connection, CATALOG_LOCK_TIMEOUT)  # some drivers can't read a time in every DateStyle
        asked = client_clock()
        server: datetime = connection.execute(_NOW).scalar_one()
        answered = client_clock()
    apart = max(asked - server, server - answered)
    if apart <= ALLOWED:
        return None
    which = "behind" if server < asked else "ahead of"
    return Finding(
        "clock-skew",
        severity,
        "",
        f"the server's clock is {apart.total_seconds():.0f} s {which} this machine's, so nothing is removed",
        "put the clocks right (NTP), or give the instant with now= or --at; partitions are made all the same",
    )


_SHOWN = 5

# Those of the very columns and the owner of the table: anybody may give a table of his own that name. One with our mark
# was detached from another parent.
_APART = text("""
SELECT n.nspname, c.relname
FROM unnest(CAST(:schemas AS text[]), CAST(:names AS text[]), CAST(:parents AS text[])) AS u(schema, name, parent)
JOIN pg_catalog.pg_namespace n ON n.nspname = u.schema
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = u.name
    AND c.relkind IN ('r', 'p') AND NOT c.relispartition
JOIN pg_catalog.pg_class p ON p.oid = CAST(pg_catalog.to_regclass(u.parent) AS oid) AND p.relowner = c.relowner
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid)
    AND NOT pg_catalog.starts_with(coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), ''), 'sa_partman: detached')
    AND ARRAY(SELECT CAST(a.attname AS text) || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod)
        FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1)
      = ARRAY(SELECT CAST(a.attname AS text) || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod)
        FROM pg_catalog.pg_attribute a WHERE a.attrelid = p.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1)
""")


def apart_from(engine: Engine, plans: Iterable[TablePlan], *, repair: bool = False) -> tuple[TablePlan, ...]:
    """
    *plans* without the creations whose tables are there already, standing alone, and with one finding for all of them.

    Args:
        repair: Attach them again.
    """
    made = tuple(plans)
    attached = {step.partition: each for plan in made for step in plan.steps for each in _attached(step)}
    if not attached:
        return made
    parameters = {
        "schemas": [name.schema for name in attached],
        "names": [name.name for name in attached],
        "parents": [each.parent.quoted for each in attached.values()],
    }
    with connected(engine) as connection:
        pin(connection, CATALOG_LOCK_TIMEOUT)
        apart = {QualifiedName(*row) for row in connection.execute(_APART, parameters)}
    return tuple(_without(plan, apart, repair=repair) for plan in made) if apart else made


def _attached(step: Step) -> Sequence[AttachPartition]:
    """How the table that *step* creates is attached; nothing of steps that create none."""
    if not isinstance(step.actions[0], CreateTable):
        return ()
    return [each for each in step.actions if isinstance(each, AttachPartition) and each.partition == step.partition]


def _without(plan: TablePlan, apart: set[QualifiedName], *, repair: bool) -> TablePlan:
    standing = [step for step in plan.steps if step.partition in apart and _attached(step)]
    if not standing:
        return plan
    if repair:
        return replace(plan, steps=tuple(_again(step) if step in standing else step for step in plan.steps))
    findings = (*plan.findings, _finding(plan.table, standing))
    return replace(plan, steps=tuple(step for step in plan.steps if step not in standing), findings=findings)


def _again(step: Step) -> Step:
    moved = [each for each in step.actions if isinstance(each, MoveRows) and each.target == step.partition]
    return replace(step, purpose=Purpose.REPAIR, actions=(*moved, *_attached(step)))


def _finding(table: QualifiedName, standing: Sequence[Step]) -> Finding:
    names = ", ".join(str(step.partition) for step in standing[:_SHOWN])
    more = f" and {len(standing) - _SHOWN} more" if len(standing) > _SHOWN else ""
    one = "1 missing partition is there as a table of its own"
    all_of_them = one if len(standing) == 1 else f"{len(standing)} missing partitions are there as tables of their own"
    (first,) = sql_of(_attached(standing[0]))
    return Finding(
        "detached-by-hand",
        Severity.ERROR,
        str(table),
        f"{all_of_them}, so somebody detached {'it' if len(standing) == 1 else 'them'}: {names}{more}",
        f"attach again what fits with: sa-partman run --repair; or, one by one: {first}; or rename them, and new ones "
        f"are made",
    )


Tables = Iterable[str] | None


def declared(settings: Settings, tables: Tables) -> tuple[DeclaredTable, ...]:
    return tuple(table for _, table in declared_tables(settings.metadata, tables))


def looked(settings: Settings, tables: Tables, paths: tuple[Path, ...] = (), *, measured: bool = False) -> View:
    """
    Args:
        paths: Branches asked for at run time.
        measured: See `look`.

    Raises:
        DeclarationError: No table has a level that *paths* could mean.
    """
    settings.require_postgresql()
    engine = dependable(settings.engine)
    placed = settings.schemas.place(engine, declared(settings, tables))
    wanted = tuple(each.declared for each in placed)
    branches = {table.name: typed(table, paths) for table in wanted if paths and takes_paths(table)}
    if paths and not branches:
        raise DeclarationError(
            "tenants= were given, and no table has a level of tenants or list values; leave them out"
        )
    schemas = {each.declared.name: each.schemas for each in placed if each.schemas}
    return look(engine, wanted, settings.now, branches, schemas, measured=measured)


def planned(view: TableView, *, adopt: bool = False, repair: bool = False) -> TablePlan:
    """
    What one table needs; nothing when it could not be looked at, or the role may not do it.

    Args:
        adopt: See `Maintainer.run`.
        repair: See `Maintainer.run`.
    """
    if view.unread is not None:
        return TablePlan(view.declared.name, (), (view.unread,))
    try:
        plan = plan_table(view.declared, view.found, view.context, handed_over=adopt, repair=repair)
    except Exception as error:  # in a codec or a callable of the user's: it costs this table, and no other
        return TablePlan(view.declared.name, (), (undecided(view.declared, error),))
    lacking = _lacking(view.found, plan)
    return plan if lacking is None else TablePlan(plan.table, (), (*plan.findings, lacking))


def status(view: TableView) -> TableStatus:
    try:
        found = status_of(view.declared, view.found, view.context)
    except Exception as error:  # in a codec or a callable of the user's
        problem = undecided(view.declared, error).message
        found = replace(status_of(view.declared, None, view.context), problem=problem)
    return found if view.unread is None else replace(found, problem=view.unread.message)


def undecided(table: DeclaredTable, error: Exception) -> Finding:
    said = str(error) if isinstance(error, DeclarationError | ValueError) else repr(error)
    return Finding(
        "declaration",
        Severity.ERROR,
        str(table.name),
        f"{table.name} can't be planned: {said}; nothing was changed",
        "fix the declaration; the other tables were not affected",
    )


def _lacking(found: FoundTable | None, plan: TablePlan) -> Finding | None:
    """What the connected role may not do, if the plan needs it."""
    return None if found is None or found.privileges.suffice or not plan.steps else privilege_finding(found)


def leaving_all(
    settings: Settings, view: View, tenants: tuple[tuple[Any, ...], ...]
) -> tuple[tuple[TablePlan, ...], Keys]:
    """
    The removal of the branches of *tenants* and nothing else; and the foreign keys that tie the tables.

    Args:
        tenants: Each as a tuple of values from the top level down.

    Raises:
        DeclarationError: No table of *view* has tenants, or none has a partition for one of them.
        Refused: One of them is still declared.
    """
    taking = tuple(each for each in view.tables if takes_paths(each.declared))
    if not taking:
        raise DeclarationError(
            "tenants= were given, and no table has a level of tenants or list values; leave them out"
        )
    for path in tenants:
        if not any(_may_have(each, typed(each.declared, [path])[0]) for each in taking):
            raise DeclarationError(f"no table has a partition for the tenant {path[-1]!r}; nothing was changed")
    keys = inbound_of(settings, taking)
    return tuple(_plan(knowing(each, keys), typed(each.declared, tenants)) for each in taking), keys


def _may_have(view: TableView, path: Path) -> bool:
    """A table that could not be read says so in its plan."""
    return view.unread is not None or (view.found is not None and has_branch(view.declared, view.found, path))


def _plan(view: TableView, paths: tuple[Path, ...]) -> TablePlan:
    if view.unread is not None:
        return TablePlan(view.declared.name, (), (view.unread,))
    misfit = shape_finding(view.declared, view.found)
    if misfit is not None or view.found is None:
        return TablePlan(view.declared.name, (), () if misfit is None else (misfit,))
    made = tuple(leaving_steps(view.declared, view.found, paths, view.context))
    findings = tuple(each for each in made if isinstance(each, Finding))
    steps = tuple(each for each in made if isinstance(each, Step))
    lacking = privilege_finding(view.found) if steps else None
    if lacking is not None:
        return TablePlan(view.found.name, (), (*findings, lacking))
    return TablePlan(view.found.name, steps, findings)


NOWHERE = QualifiedName(None, "")
"""Instead of a table's name, for what concerns no table in particular."""

Keys = tuple[ForeignKey, ...]


def planned_all(
    settings: Settings, view: View, *, removing: bool = True, adopt: bool = False, repair: bool = False
) -> tuple[tuple[TablePlan, ...], Keys]:
    """
    A plan for each table of *view*, in its order; and the foreign keys that tie them, which are read only when
    something is to be removed.

    Args:
        removing: Look for rows to remove, too.
    """
    pairs = list(counted(settings, view.tables)) if removing else [(each, None) for each in view.tables]
    tables, uncounted = [each for each, _ in pairs], [finding for _, finding in pairs]
    plans = _planned(settings, tables, adopt=adopt, repair=repair)
    keys: Keys = ()
    if any(map(_removes, plans)):
        keys = inbound_of(settings, tables)
        if keys or _named(tables):
            plans = _planned(settings, [knowing(each, keys) for each in tables], adopt=adopt, repair=repair)
    return tuple(map(_with, plans, uncounted)), keys


def _with(plan: TablePlan, finding: Finding | None) -> TablePlan:
    return plan if finding is None else replace(plan, findings=(*plan.findings, finding))


def _planned(settings: Settings, views: Iterable[TableView], *, adopt: bool, repair: bool) -> tuple[TablePlan, ...]:
    return apart_from(settings.engine, (planned(each, adopt=adopt, repair=repair) for each in views), repair=repair)


def settled(settings: Settings, plans: Iterable[TablePlan], keys: Keys) -> tuple[TablePlan, ...]:
    """
    *plans*, referenced tables first, with at most as many removals as one run may do; and with none, and a finding,
    while nobody knows what time it is.
    """
    made = tuple(plans)
    if not any(map(_removes, made)):
        return made
    skewed = skew_finding(settings, Severity.ERROR)
    if skewed is not None:
        return (*map(without_removals, made), TablePlan(NOWHERE, (), (skewed,)))
    return limited(referenced_first(made, keys), settings.limit)


def _removes(plan: TablePlan) -> bool:
    return any(step.purpose.removes for step in plan.steps)


def _named(tables: Iterable[TableView]) -> bool:
    """Whether anything is declared that has to be compared with the keys, even when there are none."""
    rules = (getattr(level.spec, "retention", None) for each in tables for level in each.declared.levels())
    return any(getattr(rule, "referencing_tables", ()) for rule in rules)


def inbound_of(settings: Settings, tables: Iterable[TableView]) -> Keys:
    oids = [each.found.oid for each in tables if each.found is not None and each.found.referenced]
    if not oids:
        return ()
    with connected(settings.engine) as connection:
        pin(connection, CATALOG_LOCK_TIMEOUT)
        return inbound_keys(connection, oids)


def knowing(view: TableView, keys: Keys) -> TableView:
    return replace(view, context=replace(view.context, inbound=keys))
