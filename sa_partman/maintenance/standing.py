"""Standing apart: tables that were partitions and were detached by hand, known by their names and their columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlalchemy import Engine, text

from sa_partman.ddl.render import sql_of
from sa_partman.finding import Finding, Severity
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import AttachPartition, CreateTable, MoveRows
from sa_partman.plan.steps import Purpose, Step, TablePlan
from sa_partman.postgres.connect import connected
from sa_partman.postgres.session import pin
from sa_partman.postgres.view import CATALOG_LOCK_TIMEOUT

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
