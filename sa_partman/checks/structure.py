"""
Structure: pending detaches, invalid indexes, partitions divided otherwise than declared, what expired and is there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import timedelta
from shlex import quote as in_shell
from typing import NamedTuple

from sa_partman.bounds.bound import Bound, DefaultBound, ListBound, RangeBound
from sa_partman.catalog import FoundTable, InvalidIndex, Parent, Residues, default_of
from sa_partman.checks.coverage import RUN, Divided, days, some
from sa_partman.compare.context import Context
from sa_partman.compare.expiry import expiry_of, pending_detaches, pending_finding
from sa_partman.compare.lists import is_active, unknown_values
from sa_partman.compare.shape import descend, divides
from sa_partman.compare.window import cutoff_of, line_of, lines_of
from sa_partman.finding import Finding, Severity
from sa_partman.names import QualifiedName, quote
from sa_partman.spec.declared import DeclaredTable, Level, RangeLevel
from sa_partman.table.structure import StructureChange, explained

MANY = 1_000
"""Partitions of one parent from which on queries without the key get slow: each one is looked into."""


def structure_findings(declared: DeclaredTable, found: FoundTable, context: Context) -> Iterator[Finding]:
    for pending in pending_detaches(declared, found, context):
        yield pending_finding(found.name, pending)
    yield from _parent(str(found.name), declared.level, found, context)
    if found.detached:
        names = ", ".join(str(each.name) for each in found.detached[:5])
        yield Finding(
            "detached", Severity.INFO, str(found.name), f"{len(found.detached)} detached tables are kept: {names}"
        )


def _parent(table: str, level: Level, parent: Parent, context: Context) -> Iterator[Finding]:
    if len(parent.partitions) > MANY:
        yield Finding(
            "many-partitions",
            Severity.WARNING,
            table,
            f"{parent.name} has {len(parent.partitions)} partitions; a query without the key looks into each",
            "choose a shorter retention, or a longer interval, which counts for new partitions only",
        )
    default = default_of(parent)
    if level.spec.default and default is None:
        return
    if default is not None and not level.spec.default:
        yield Finding(
            "undeclared-default",
            Severity.INFO,
            table,
            f"{default.name} is a default partition, and the declaration has none",
            "declare default=True to keep it; or, because it makes attaching slow and DETACH CONCURRENTLY impossible, "
            f"drop it when it is empty: DROP TABLE {default.name.quoted}",
        )
    yield from _inside(table, level, parent, context)


def _gone_lines(table: str, level: Level, parent: Parent, context: Context) -> Iterator[Finding]:
    """One for each tenant of a range key that nobody wants any more."""
    if not isinstance(level, RangeLevel) or level.spec.tenants is None or unknown_values(level, context):
        return
    wanted = set(lines_of(level, parent, context))
    for partition in parent.partitions:
        line = line_of(level, partition.bound) if isinstance(partition.bound, RangeBound) else None
        if line is not None and line not in wanted:
            wanted.add(line)
            yield _gone(table, f"{partition.name}, the first partition of its tenant,", partition.bound, context)


def _gone(table: str, what: object, bound: Bound, context: Context) -> Finding:
    held = bound.values if isinstance(bound, ListBound) else bound.lower[:1] if isinstance(bound, RangeBound) else ()
    values = sorted(map(str, held))
    typed = not context.branch and None not in held
    named = " ".join(f"--tenant {in_shell(each)}" for each in values)
    return Finding(
        "tenant-gone",
        Severity.INFO,
        table,
        f"{what} belongs to a value that is no longer wanted: retention goes on in it, and no partition is made",
        f"remove it: sa-partman prune {named}"
        if typed
        else "remove it: Maintainer.prune(tenants=[...]) takes a tuple with the value of each level",
    )


def _inside(table: str, level: Level, parent: Parent, context: Context) -> Iterator[Finding]:
    yield from _gone_lines(table, level, parent, context)
    # While labels are missing, one that nobody wants may be one of them, renamed: the plan says so.
    renamed = bool(unknown_values(level, context))
    for partition in parent.partitions:
        if not is_active(level, partition.bound, context):
            yield from () if renamed else (_gone(table, partition.name, partition.bound, context),)
        elif level.below is None or isinstance(partition.bound, DefaultBound):
            continue
        elif divides(level.below, partition):
            yield from _parent(table, level.below, partition, descend(level, partition.bound, context))
        elif not partition.detach_pending:
            wanted = level.below.partition_by
            yield Finding(
                "other-subpartition",
                Severity.INFO,
                table,
                f"{partition.name} is not PARTITION BY {wanted}, as new ones are; it is left as it is",
            )


Changed = Mapping[tuple[QualifiedName, QualifiedName], tuple[StructureChange, ...]]
"""Parents with a partition whose detach is pending: what was changed on the parent since."""


def residue_findings(found: FoundTable, residues: Residues, changed: Changed) -> Iterator[Finding]:
    """Those of *found* and of its partitions; a table that is not partitioned has none."""
    if found.strategy is None:
        return
    table, names = str(found.name), {found.name, *(each.name for each in found.walk())}
    oids = {found.oid, *(each.oid for each in found.walk())}
    for index in residues.indexes:
        if index.relation in oids:
            yield _invalid(table, index)
    for constraint in residues.constraints:
        if constraint.relation in oids:
            yield Finding(
                "not-valid",
                Severity.INFO,
                table,
                f"the constraint {constraint.name} of {constraint.table} is NOT VALID: older rows may break it",
                f"ALTER TABLE {constraint.table.quoted} VALIDATE CONSTRAINT {quote(constraint.name)}",
            )
    for (parent, partition), changes in changed.items():
        if parent in names:
            why = explained(parent, partition, changes)
            yield Finding("detach-blocked", Severity.ERROR, table, why, "run the statements of the message, in order")


def _invalid(table: str, index: InvalidIndex) -> Finding:
    if index.built:
        message = f"{index.name} on {index.table} is being built"
        return Finding("invalid-index", Severity.INFO, table, message)
    if index.partitioned:
        why, remedy = _incomplete(index)
        message = f"{index.name} on {index.table} is invalid, and no query uses it: {why}"
        return Finding("invalid-index", Severity.WARNING, table, message, remedy)
    message = f"{index.name} on {index.table} is invalid, its build was cut off: writes keep it up, no query uses it"
    drop = f"DROP INDEX CONCURRENTLY {index.name.quoted}"
    remedy = f"run: sa-partman run, or {drop}" if index.ours else drop
    return Finding("invalid-index", Severity.WARNING, table, message, remedy)


def _incomplete(index: InvalidIndex) -> tuple[str, str]:
    """Why an index of a partitioned table is invalid, and what makes it valid."""
    name = index.name.quoted
    if index.foreign is not None:
        return (
            f"PostgreSQL waits for a part of {index.foreign}, which is a foreign table and can have none",
            f"DROP INDEX {name}, and run op.create_partitioned_index again, which builds it in another way then",
        )
    if index.lacking is not None:
        return (
            f"the partition {index.lacking} lacks its part",
            f"run op.create_partitioned_index again, which goes on with what is there; or build the missing ones "
            f"CONCURRENTLY and ALTER INDEX {name} ATTACH PARTITION each; or DROP INDEX {name}",
        )
    if index.below is not None:
        return (
            f"its part {index.below} is invalid itself",
            f"follow the advice for {index.below}; this one becomes valid with it",
        )
    if index.attached is not None:
        return (
            "every partition has its part, but the one that lacked it is gone and PostgreSQL has not counted again",
            f"ALTER INDEX {name} ATTACH PARTITION {index.attached}",
        )
    return (
        "it was begun for partitions that are all gone",
        f"run op.create_partitioned_index again, or DROP INDEX {name} and create it anew",
    )


class _Expired(NamedTuple):
    name: QualifiedName
    since: timedelta | int
    overdue: bool


def overdue_findings(
    found: FoundTable, places: Iterable[Divided], expired: Collection[QualifiedName]
) -> Iterator[Finding]:
    """
    Something expires at the end of every interval, and stays until the next run: that alone is no problem.

    Args:
        expired: What a run would remove now.
    """
    if not expired:
        return
    table, wanted = str(found.name), frozenset(expired)
    seen = [each for place in places for each in _expired(place, wanted)]
    late = [each for each in seen if each.overdue]
    if late:
        since = max(late, key=lambda each: each.since if isinstance(each.since, int) else each.since.total_seconds())
        names = some([str(each.name) for each in late])
        message = f"{len(late)} expired more than an interval ago, {since.name} {_words(since.since)} ago: {names}"
        yield Finding("overdue", Severity.WARNING, table, message, RUN)
    fresh = [str(each.name) for each in seen if not each.overdue]
    if fresh:
        message = f"{len(fresh)} expired within the last interval: {some(fresh)}"
        yield Finding("expired", Severity.INFO, table, message, RUN)
    kept = [str(each.name) for each in found.detached if each.name in wanted]
    if kept:
        message = f"{len(kept)} detached tables were kept as long as grace= asks: {some(kept)}"
        yield Finding("grace-over", Severity.INFO, table, message, RUN)


def _expired(place: Divided, wanted: frozenset[QualifiedName]) -> Iterator[_Expired]:
    level, parent, context = place
    if not isinstance(level, RangeLevel) or level.spec.retention is None:
        return
    judge = expiry_of(level, parent, context)
    for partition in parent.partitions:
        if partition.name not in wanted or not isinstance(partition.bound, RangeBound):
            continue
        retention, upper = judge(partition), level.axis.decode(partition.bound.upper[level.place])
        if retention is not None and upper is not None:
            cutoff = cutoff_of(retention, level, parent, context)
            yield _Expired(partition.name, cutoff - upper, level.axis.grid.cell(upper).upper <= cutoff)


def _words(since: timedelta | int) -> str:
    return days(since) if isinstance(since, timedelta) else f"{since:,} keys"
