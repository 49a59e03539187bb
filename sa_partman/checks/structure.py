"""Structure: pending detaches, partitions divided otherwise than declared, tenants that are gone, sheer numbers."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote as in_shell

from sa_partman.bounds.bound import Bound, DefaultBound, ListBound, RangeBound
from sa_partman.catalog import FoundTable, Parent, default_of
from sa_partman.compare.descend import descend, divides
from sa_partman.compare.enum_labels import unknown_values
from sa_partman.compare.lines import line_of, lines_of
from sa_partman.compare.lists import is_active
from sa_partman.compare.pending import pending_detaches, pending_finding
from sa_partman.compare.situation import Situation
from sa_partman.finding import Finding, Severity
from sa_partman.spec.declared import DeclaredTable, Level, RangeLevel

MANY = 1_000
"""Partitions of one parent from which on queries without the key get slow: each one is looked into."""


def structure_findings(declared: DeclaredTable, found: FoundTable, situation: Situation) -> Iterator[Finding]:
    for pending in pending_detaches(declared, found, situation):
        yield pending_finding(found.name, pending)
    yield from _parent(str(found.name), declared.level, found, situation)
    if found.detached:
        names = ", ".join(str(each.name) for each in found.detached[:5])
        yield Finding(
            "detached", Severity.INFO, str(found.name), f"{len(found.detached)} detached tables are kept: {names}"
        )


def _parent(table: str, level: Level, parent: Parent, situation: Situation) -> Iterator[Finding]:
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
    yield from _inside(table, level, parent, situation)


def _gone_lines(table: str, level: Level, parent: Parent, situation: Situation) -> Iterator[Finding]:
    """One for each tenant of a range key that nobody wants any more."""
    if not isinstance(level, RangeLevel) or level.spec.tenants is None or unknown_values(level, situation):
        return
    wanted = set(lines_of(level, parent, situation))
    for partition in parent.partitions:
        line = line_of(level, partition.bound) if isinstance(partition.bound, RangeBound) else None
        if line is not None and line not in wanted:
            wanted.add(line)
            yield _gone(table, f"{partition.name}, the first partition of its tenant,", partition.bound, situation)


def _gone(table: str, what: object, bound: Bound, situation: Situation) -> Finding:
    held = bound.values if isinstance(bound, ListBound) else bound.lower[:1] if isinstance(bound, RangeBound) else ()
    values = sorted(map(str, held))
    typed = not situation.branch and None not in held
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


def _inside(table: str, level: Level, parent: Parent, situation: Situation) -> Iterator[Finding]:
    yield from _gone_lines(table, level, parent, situation)
    # While labels are missing, one that nobody wants may be one of them, renamed: the plan says so.
    renamed = bool(unknown_values(level, situation))
    for partition in parent.partitions:
        if not is_active(level, partition.bound, situation):
            yield from () if renamed else (_gone(table, partition.name, partition.bound, situation),)
        elif level.below is None or isinstance(partition.bound, DefaultBound):
            continue
        elif divides(level.below, partition):
            yield from _parent(table, level.below, partition, descend(level, partition.bound, situation))
        elif not partition.detach_pending:
            wanted = level.below.partition_by
            yield Finding(
                "other-subpartition",
                Severity.INFO,
                table,
                f"{partition.name} is not PARTITION BY {wanted}, as new ones are; it is left as it is",
            )
