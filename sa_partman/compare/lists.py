"""Which list and hash partitions are missing, and values that the enum of their column lacks."""

from __future__ import annotations

from collections.abc import Iterator
from math import lcm
from shlex import quote as in_shell

from sa_partman.bounds.bound import Bound, HashBound, KeyValue, ListBound
from sa_partman.catalog import Parent, default_of
from sa_partman.compare.context import Context
from sa_partman.finding import Finding, Severity
from sa_partman.names import QualifiedName, text_literal
from sa_partman.spec.declared import HashLevel, Level, ListLevel
from sa_partman.spec.list_spec import Labelled, label_each


def wanted_labels(level: ListLevel, context: Context) -> Labelled:
    """The labels of *level*: written, asked for at each run, or asked for at run time."""
    spec = level.spec
    labelled = spec.values.labelled if spec.values.literal else context.tenants.get(level.depth, ())
    known = {value for _, values in labelled for value in values}
    at_run_time = dict.fromkeys(path[0] for path in context.paths if path[0] not in known)
    return (*labelled, *label_each(at_run_time))


def missing_labels(level: ListLevel, parent: Parent, context: Context) -> Iterator[tuple[str, ListBound]]:
    """Each label none of whose values has a partition, in declared order; what its enum lacks can have none."""
    held = held_values(parent)
    for label, values in wanted_labels(level, context):
        if held.keys().isdisjoint(values) and all(is_label(level, value, context) for value in values):
            yield label, ListBound(frozenset(values))


def is_active(level: Level, bound: Bound, context: Context) -> bool:
    """
    False for the partition of a tenant or label that is no longer wanted: nothing is made in it, what expires goes, and
    the rest is kept until somebody says otherwise.
    """
    if not isinstance(level, ListLevel) or not isinstance(bound, ListBound) or level.spec.values.at_run_time:
        return True
    return any(not bound.values.isdisjoint(values) for _, values in wanted_labels(level, context))


def held_values(parent: Parent) -> dict[KeyValue, QualifiedName]:
    """Each value that has a list partition, with that partition."""
    return {
        value: partition.name
        for partition in parent.partitions
        if isinstance(partition.bound, ListBound)
        for value in partition.bound.values
    }


def half_held(table: str, level: ListLevel, parent: Parent, context: Context) -> Iterator[Finding]:
    """Labels some of whose values have a partition and others not: a migration's work."""
    held = held_values(parent)
    severity = Severity.WARNING if default_of(parent) is not None else Severity.ERROR
    for label, values in wanted_labels(level, context):
        lacking = [value for value in values if value not in held and is_label(level, value, context)]
        if lacking and len(lacking) < len(values):
            yield Finding(
                "list-values",
                severity,
                table,
                f"{parent.name}: label {label!r} has no partition for {', '.join(map(repr, lacking))}",
                "write a migration with: alembic revision --autogenerate",
            )


def hash_bounds(parent: Parent) -> tuple[HashBound, ...]:
    return tuple(each.bound for each in parent.partitions if isinstance(each.bound, HashBound))


def missing_remainders(level: HashLevel, parent: Parent) -> Iterator[HashBound]:
    """The wanted bounds that overlap none that is there, by remainder."""
    spec = level.spec
    found = hash_bounds(parent)
    for remainder in range(spec.modulus):
        bound = HashBound(spec.modulus, remainder)
        if not any(bound.overlaps(other) for other in found):
            yield bound


def uncovered_remainders(found: tuple[HashBound, ...]) -> tuple[HashBound, ...]:
    """What no partition of *found* takes, as remainders of their least common modulus; empty when all is covered."""
    if not found:
        return ()
    whole = lcm(*(bound.modulus for bound in found))
    taken = {value for bound in found for value in range(bound.remainder, whole, bound.modulus)}
    return tuple(HashBound(whole, value) for value in range(whole) if value not in taken)


def modulus_findings(table: str, level: HashLevel, parent: Parent) -> Iterator[Finding]:
    """Another modulus than the declared one."""
    spec = level.spec
    moduli = sorted({bound.modulus for bound in hash_bounds(parent)})
    if moduli and moduli != [spec.modulus]:
        yield Finding(
            "modulus",
            Severity.WARNING,
            table,
            f"{parent.name} has hash partitions of modulus {', '.join(map(str, moduli))}, declared is {spec.modulus}",
            f"let the rows move: sa-partman regrid {in_shell(table)}, or in a migration "
            f"op.repartition_table({parent.name.name!r}, ...); until then declare modulus={moduli[-1]}",
        )


def is_label(level: Level, value: KeyValue, context: Context) -> bool:
    """Whether the database can hold *value*: False for a label that its enum does not have."""
    labels = context.labels.get(level.depth)
    return labels is None or value is None or value in labels


def unknown_values(level: Level, context: Context) -> tuple[str, ...]:
    """The values that *level* wants and its enum lacks."""
    return tuple(str(value) for value in _wanted(level, context) if not is_label(level, value, context))


def label_findings(table: str, level: Level, context: Context) -> Iterator[Finding]:
    """One for each level: no partition is made for these values, and none of the others is taken for one that left."""
    lacking = unknown_values(level, context)
    if not lacking:
        return
    wanted, kind = frozenset(_wanted(level, context)), level.key.types[0].sql
    others = [label for label in context.labels[level.depth] if label not in wanted]
    one = len(lacking) == 1
    new = "alembic revision --autogenerate writes ALTER TYPE ... ADD VALUE"
    message = f"the enum {kind} lacks {_listed(lacking)}, so no partition is made for {'it' if one else 'them'}"
    if not others:
        yield Finding("enum-label", Severity.ERROR, table, message, new)
        return
    back = f"ALTER TYPE {kind} RENAME VALUE {text_literal(others[0])} TO {text_literal(lacking[0])}"
    yield Finding(
        "enum-label",
        Severity.ERROR,
        table,
        f"{message}; it has {_listed(others)}, which the declaration does not name: perhaps the same, renamed",
        f"if so, give the models the new label, or rename it back: {back}; else {new}",
    )


def _wanted(level: Level, context: Context) -> Iterator[KeyValue]:
    source = level.source
    if source is not None:
        labelled = source.labelled if source.literal else context.tenants.get(level.depth, ())
        yield from dict.fromkeys(value for _, values in labelled for value in values)


def _listed(labels: tuple[str, ...] | list[str]) -> str:
    return ", ".join(map(repr, labels))
