"""Which list partitions are missing: a label whose values stand in no partition."""

from __future__ import annotations

from collections.abc import Iterator

from sa_partman.bounds.bound import Bound, KeyValue, ListBound
from sa_partman.catalog import Parent, default_of
from sa_partman.compare.enum_labels import is_label
from sa_partman.compare.situation import Situation
from sa_partman.finding import Finding, Severity
from sa_partman.names import QualifiedName
from sa_partman.spec.declared import Level, ListLevel
from sa_partman.spec.list_spec import Labelled, label_each


def wanted_labels(level: ListLevel, situation: Situation) -> Labelled:
    """The labels of *level*: written, asked for at each run, or asked for at run time."""
    spec = level.spec
    labelled = spec.values.labelled if spec.values.literal else situation.tenants.get(level.depth, ())
    known = {value for _, values in labelled for value in values}
    at_run_time = dict.fromkeys(path[0] for path in situation.paths if path[0] not in known)
    return (*labelled, *label_each(at_run_time))


def missing_labels(level: ListLevel, parent: Parent, situation: Situation) -> Iterator[tuple[str, ListBound]]:
    """Each label none of whose values has a partition, in declared order; what its enum lacks can have none."""
    held = held_values(parent)
    for label, values in wanted_labels(level, situation):
        if held.keys().isdisjoint(values) and all(is_label(level, value, situation) for value in values):
            yield label, ListBound(frozenset(values))


def is_active(level: Level, bound: Bound, situation: Situation) -> bool:
    """
    False for the partition of a tenant or label that is no longer wanted: nothing is made in it, what expires goes, and
    the rest is kept until somebody says otherwise.
    """
    if not isinstance(level, ListLevel) or not isinstance(bound, ListBound) or level.spec.values.at_run_time:
        return True
    return any(not bound.values.isdisjoint(values) for _, values in wanted_labels(level, situation))


def held_values(parent: Parent) -> dict[KeyValue, QualifiedName]:
    """Each value that has a list partition, with that partition."""
    return {
        value: partition.name
        for partition in parent.partitions
        if isinstance(partition.bound, ListBound)
        for value in partition.bound.values
    }


def half_held(table: str, level: ListLevel, parent: Parent, situation: Situation) -> Iterator[Finding]:
    """Labels some of whose values have a partition and others not: a migration's work."""
    held = held_values(parent)
    severity = Severity.WARNING if default_of(parent) is not None else Severity.ERROR
    for label, values in wanted_labels(level, situation):
        lacking = [value for value in values if value not in held and is_label(level, value, situation)]
        if lacking and len(lacking) < len(values):
            yield Finding(
                "list-values",
                severity,
                table,
                f"{parent.name}: label {label!r} has no partition for {', '.join(map(repr, lacking))}",
                "write a migration with: alembic revision --autogenerate",
            )
