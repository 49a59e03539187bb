"""
Which partitions are made, with which names and how: apart first and attached, so that readers and writers go on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

from sa_partman.bounds.bound import DEFAULT, MINVALUE, Bound, DefaultBound, HashBound, ListBound, RangeBound
from sa_partman.bounds.interval import Cell, cells_from
from sa_partman.bounds.text import describe, for_values, to_json
from sa_partman.catalog import FoundTable, Parent, Partition, default_of
from sa_partman.compare.context import Context
from sa_partman.compare.expiry import expiry_of
from sa_partman.compare.lists import half_held, label_findings, missing_labels, missing_remainders, modulus_findings
from sa_partman.compare.shape import descend, divides
from sa_partman.compare.window import MOST, Lacking, There, TooWide, lacking_in, lines_of
from sa_partman.errors import DeclarationError
from sa_partman.finding import Finding, Severity
from sa_partman.names import QualifiedName, fit_name, join_name, label_of
from sa_partman.plan.actions import (
    Action,
    AttachPartition,
    CreatePartition,
    CreateTable,
    DetachPartition,
    MoveRows,
    UnmarkDetached,
)
from sa_partman.plan.steps import Purpose, Step
from sa_partman.spec.declared import DeclaredTable, HashLevel, Level, ListLevel, RangeLevel, TimeAxis


def partition_name(level: Level, parent: QualifiedName, bound: Bound, label: str | None = None) -> QualifiedName:
    """
    Args:
        parent: The relation that the partition belongs to, which may be a partition itself.
        label: A list partition's; else None.

    Raises:
        DeclarationError: The template uses a field that this strategy has not.
    """
    if isinstance(bound, DefaultBound):
        return parent.sibling(join_name(parent.name, "default"))
    fields = _fields(level, bound, label)
    template = level.spec.name
    if template is None:
        return parent.sibling(join_name(parent.name, fields["suffix"]))
    try:
        name = template.format(table=parent.name, **fields)
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        known = ", ".join(("table", *fields))
        raise DeclarationError(f"name={template!r} can't be filled in ({error}); it may use {known}") from error
    if not name or "\0" in name:
        raise DeclarationError(
            f"name={template!r} gives {name!r}, which isn't a valid name in PostgreSQL; write for example "
            f"name='{{table}}_{{suffix}}'"
        )
    return parent.sibling(fit_name(name))


def free_name(
    name: QualifiedName, parent: QualifiedName, bound: Bound, taken: Container[QualifiedName]
) -> QualifiedName:
    """
    *name*; or, when another partition of the table has it, the same with a hash of what makes this one another.

    The sub-partition ``b`` of ``t_a`` and the partition ``a_b`` of ``t`` would both be called ``t_a_b``.
    """
    if name not in taken:
        return name
    mark = hashlib.sha256(f"{parent.quoted} {to_json(bound)}".encode()).hexdigest()[:8]
    return name.sibling(join_name(name.name, mark))


def check_names(declared: DeclaredTable) -> None:
    """
    Tries the name templates of *declared* on bounds like those to come.

    Raises:
        DeclarationError: One can't be filled in, or gives a name twice.
    """
    for level in declared.levels():
        if level.spec.name is not None:
            _check_template(declared.name, level)


def _check_template(table: QualifiedName, level: Level) -> None:
    # Sub-partitions of two partitions have to differ as well, and none may be called like its parent.
    parents = [table] if level.depth == 0 else [table, table.sibling(f"{table.name}_2")]
    named: dict[QualifiedName, Bound] = dict.fromkeys(parents, DEFAULT)
    for parent in parents:
        for bound, label in _samples(level):
            try:
                name = partition_name(level, parent, bound, label)
            except DeclarationError as error:
                raise DeclarationError(f"{table}: {error}") from error
            if name in named:
                other = "its parent" if named[name] == DEFAULT else describe(level.readable(named[name]))
                raise DeclarationError(
                    f"{table}: name={level.spec.name!r} gives the name {name.name!r} twice, to "
                    f"{describe(level.readable(bound))} and "
                    f"to {other}; add what tells them apart: {{table}}, and {_TELLING[level.spec.strategy]}"
                )
            named[name] = bound


_TELLING = {"RANGE": "{lower:%Y%m%d}, or {suffix}", "LIST": "{label}", "HASH": "{remainder}"}
_CELLS = 61
"""So many in a row show what repeats within an hour, a day, a month, or a year of weeks."""
_LATER = tuple(timedelta(days=days) for days in (1, 7, 31, 366, 5 * 366))


def _samples(level: Level) -> Iterator[tuple[Bound, str | None]]:
    if isinstance(level, HashLevel):
        yield from (
            (HashBound(level.spec.modulus, remainder), None) for remainder in range(level.spec.modulus)[:_CELLS]
        )
    elif isinstance(level, ListLevel):
        labels = [label for label, _ in level.spec.values.labelled] or ["a", "b"]
        yield from ((ListBound(frozenset({label})), label) for label in labels)
    elif isinstance(level, RangeLevel):
        line = (MINVALUE,) * (len(level.key.parts) - level.place - 1)
        for tenant in ((),) if level.spec.tenants is None else (("a",), ("b",)):
            for cell in _cells(level):
                ends = ((*tenant, level.axis.encode(end), *line) for end in (cell.lower, cell.upper))
                yield RangeBound(*ends), None


def _cells(level: RangeLevel) -> Iterator[Cell]:
    grid = level.axis.grid
    if not isinstance(level.axis, TimeAxis):
        yield from islice(cells_from(grid, 0), _CELLS)
        return
    start = level.axis.position(datetime(2024, 1, 1, tzinfo=UTC))
    seen = list(islice(cells_from(grid, start), _CELLS))
    yield from seen
    yield from dict.fromkeys(cell for later in _LATER if (cell := grid.cell(start + later)) not in seen)


def _fields(level: Level, bound: Bound, label: str | None) -> dict[str, Any]:
    if isinstance(bound, HashBound):
        return {"suffix": f"h{bound.remainder}", "remainder": bound.remainder, "modulus": bound.modulus}
    if isinstance(bound, ListBound):
        text = label if label is not None else "_".join(sorted(map(label_of, bound.values)))
        return {"suffix": text, "label": text}
    if isinstance(bound, RangeBound) and isinstance(level, RangeLevel):
        return _range_fields(level, bound)
    raise AssertionError(f"{bound!r} does not belong to {level.spec!r}")


def _range_fields(level: RangeLevel, bound: RangeBound) -> dict[str, Any]:
    axis = level.axis
    lower, upper = axis.decode(bound.lower[level.place]), axis.decode(bound.upper[level.place])
    suffix = axis.suffix(lower) if lower is not None else "pmin"
    fields: dict[str, Any] = {
        "suffix": suffix,
        "lower": None if lower is None else axis.wall(lower),
        "upper": None if upper is None else axis.wall(upper),
    }
    if level.spec.tenants is not None:
        fields["tenant"] = label_of(bound.lower[0])
        fields["suffix"] = f"{fields['tenant']}_{suffix}"
    return fields


def statistics_name(partition: QualifiedName, like: str) -> QualifiedName:
    """What those extended statistics of *partition* are called that its table calls *like*."""
    return partition.sibling(join_name(partition.name, like))


AT_ONCE = 1_000
"""Partitions of the past that create_all() and migrations make for a line, in their one transaction; runs make all."""


class Wanted(NamedTuple):
    """
    A partition to create.

    Args:
        label: Where it is a list's.
        past: It is of a range that is over.
    """

    bound: Bound
    label: str | None = None
    past: bool = False


def provision_steps(declared: DeclaredTable, found: FoundTable, context: Context) -> Iterator[Step | Finding]:
    """
    One step per missing partition of any level, and a finding for each that can't be made.
    """
    builder = _Builder(declared, found)
    yield from builder.level(declared.level, found, context)


def actions_at_once(declared: DeclaredTable, found: FoundTable, context: Context) -> tuple[Action, ...] | Finding:
    """
    What provisioning does in one transaction, such as a migration's; the finding where a partition can't be made.
    """
    steps = tuple(provision_steps(declared, found, context))
    for each in steps:
        if isinstance(each, Finding) and each.severity is Severity.ERROR:
            return each
    if not found.partitions and not found.detached:
        return first_partitions(declared.level, declared.name, context)
    made = [each for each in steps if isinstance(each, Step)]
    past = [each for each in made if each.past][:AT_ONCE]
    return tuple(action for each in (*(each for each in made if not each.past), *past) for action in each.actions)


class _Builder:
    def __init__(self, declared: DeclaredTable, found: FoundTable) -> None:
        self.found = found
        self.table = found.name
        self.detached = {each.name: each for each in found.detached}

    @cached_property
    def taken(self) -> dict[QualifiedName, Bound]:
        """Names that are borne by now; nobody asks while nothing is missing."""
        borne = {partition.name: partition.bound for partition in self.found.walk()}
        return borne | {self.table: DEFAULT}

    def level(self, level: Level, parent: Parent, context: Context) -> Iterator[Step | Finding]:
        lacking = ranges_of(level, parent, context)
        for wanted in missing_bounds(level, parent, context, lacking=lacking):
            yield self.step(level, parent, wanted, context)
            if level.below is not None and wanted.bound != DEFAULT:
                new = Partition(parent.name, 0, wanted.bound, "p")
                inside = descend(level, wanted.bound, context)
                yield from self.findings(level.below, new, inside, ranges_of(level.below, new, inside))
        yield from self.findings(level, parent, context, lacking)
        if level.below is not None:
            expiry = expiry_of(level, parent, context)
            for partition in parent.partitions:
                if not divides(level.below, partition) or expiry(partition):
                    continue
                inside = descend(level, partition.bound, context)
                if not inside.gone:
                    yield from self.level(level.below, partition, inside)

    def findings(
        self, level: Level, parent: Parent, context: Context, lacking: tuple[Lacking, ...]
    ) -> Iterator[Finding]:
        if context.labels:
            yield from label_findings(str(self.table), level, context)
        if isinstance(level, ListLevel):
            yield from half_held(str(self.table), level, parent, context)
        elif isinstance(level, HashLevel):
            yield from modulus_findings(str(self.table), level, parent)
        elif isinstance(level, RangeLevel):
            yield from (_too_wide(self.table, level, parent, wide) for each in lacking for wide in each.too_wide)

    def step(self, level: Level, parent: Parent, wanted: Wanted, context: Context) -> Step | Finding:
        bound, label, past = wanted
        name = free_name(partition_name(level, parent.name, bound, label), parent.name, bound, self.taken)
        if name in self.taken:
            return _name_taken(self.table, name)
        self.taken[name] = bound
        ours = self.detached.get(name)
        if ours is not None and ours.parent == parent.name:
            default = default_of(parent)
            moved = () if default is None else (MoveRows(default.name, name, bound, level.key, attached=parent.name),)
            actions: tuple[Action, ...] = (
                *moved,  # what came for it meanwhile
                AttachPartition(parent.name, name, bound, level.key),
                UnmarkDetached(name, ours.comment),
            )
        else:
            actions = creation(level, parent, name, bound, context, self.taken)
        return Step(Purpose.PROVISION, self.table, name, bound, actions, past=past)


def ranges_of(level: Level, parent: Parent, context: Context) -> tuple[Lacking, ...]:
    """What each line of *parent* lacks; nothing where it has no ranges."""
    if not isinstance(level, RangeLevel):
        return ()
    there = There.of(level, parent)
    return tuple(lacking_in(line, level, parent, context, there) for line in lines_of(level, parent, context))


def missing_bounds(
    level: Level,
    parent: Parent,
    context: Context,
    at_once: int | None = None,
    *,
    lacking: tuple[Lacking, ...] | None = None,
) -> Iterator[Wanted]:
    """
    What *parent* lacks, the most urgent first; a default partition last.

    Args:
        at_once: Of each line at most so many of the past; None: all.
        lacking: Its `ranges_of`, when somebody has them already.
    """
    if isinstance(level, RangeLevel):
        for each in ranges_of(level, parent, context) if lacking is None else lacking:
            yield from (Wanted(bound) for bound in each.ahead)
            yield from (Wanted(bound, past=True) for bound in islice(each.past, at_once))
    elif isinstance(level, ListLevel):
        yield from (Wanted(bound, label) for label, bound in missing_labels(level, parent, context))
    elif isinstance(level, HashLevel):
        yield from (Wanted(bound) for bound in missing_remainders(level, parent))
    if level.spec.default and default_of(parent) is None:
        yield Wanted(DEFAULT)


def creation(
    level: Level,
    parent: Parent,
    name: QualifiedName,
    bound: Bound,
    context: Context,
    taken: dict[QualifiedName, Bound] | None = None,
) -> tuple[Action, ...]:
    """
    A partition with all below it. It is made apart and attached last, so the parent's lock is held for an instant.

    Rows of it that a default partition holds are moved in between, because PostgreSQL would refuse to attach.

    Args:
        taken: Names that the table's partitions bear; those that are made here are added.
    """
    below = _below(level, bound)
    key = parent.key or level.key
    made = CreateTable(name, parent.name, None if below is None else below.partition_by, _unlogged(level, below))
    names = {name: bound} if taken is None else taken
    inner = () if below is None else _inner(below, name, descend(level, bound, context), names)
    default = default_of(parent)
    moved = (
        () if default is None or bound == DEFAULT else (MoveRows(default.name, name, bound, key, attached=parent.name),)
    )
    return (made, *attached_from_the_top(AttachPartition(parent.name, name, bound, key), inner, moved))


def attached_from_the_top(
    attach: AttachPartition, inner: tuple[CreatePartition, ...], moved: tuple[Action, ...]
) -> tuple[Action, ...]:
    """
    A table with partitions of its own is attached without them, and they follow, level by level.

    PostgreSQL 17 and 18 give what is attached the parent's identity columns, and not what lies below it; such a branch
    can't be detached ever again ("is not an identity column").

    Args:
        inner: Its partitions of all levels, parents first.
        moved: What needs them before.
    """
    if not moved:
        return (attach, *inner)
    apart = (DetachPartition(each.parent, each.name, each.bound, each.key) for each in inner)
    again = (AttachPartition(each.parent, each.name, each.bound, each.key) for each in inner)
    return (*inner, *moved, *apart, attach, *again)


def first_partitions(
    level: Level, parent: QualifiedName, context: Context, at_once: int | None = AT_ONCE
) -> tuple[CreatePartition, ...]:
    """
    Every partition of every level that a new, empty table *parent* needs; parents before their partitions, and of the
    past as many as one transaction should make.

    Args:
        at_once: So many of the past; None: all.
    """
    return _inner(level, parent, context, {parent: DEFAULT}, at_once)


def _inner(
    level: Level,
    parent: QualifiedName,
    context: Context,
    taken: dict[QualifiedName, Bound],
    at_once: int | None = None,
) -> tuple[CreatePartition, ...]:
    empty = Partition(parent, 0, DEFAULT, "p")
    actions: list[CreatePartition] = []
    for bound, label, _ in missing_bounds(level, empty, context, at_once):
        name = free_name(partition_name(level, parent, bound, label), parent, bound, taken)
        taken[name] = bound
        below = _below(level, bound)
        by = None if below is None else below.partition_by
        actions.append(CreatePartition(parent, name, bound, level.key, by, _unlogged(level, below)))
        if below is not None:
            actions.extend(_inner(below, name, descend(level, bound, context), taken, at_once))
    return tuple(actions)


def _unlogged(level: Level, below: Level | None) -> bool:
    """Only what holds rows: PostgreSQL 18 refuses an unlogged partitioned table."""
    return level.spec.unlogged and below is None


def _below(level: Level, bound: Bound) -> Level | None:
    """A default partition is not divided further: what falls into it is to be looked at, not to be kept."""
    return None if isinstance(bound, DefaultBound) else level.below


def _too_wide(table: QualifiedName, level: RangeLevel, parent: Parent, wide: TooWide) -> Finding:
    key = parent.key or level.key
    name = partition_name(level, parent.name, wide.bound, None)
    goes = "fail" if default_of(parent) is None else "fall into the default partition"
    later = "" if level.spec.start is None else ", or a later start="
    mistake = "" if isinstance(level.axis, TimeAxis) else ", or delete the row whose key is so far away by mistake"
    return Finding(
        "range-too-wide",
        Severity.ERROR,
        str(table),
        f"{describe(level.readable(wide.bound))} of {parent.name} would take {wide.cells:,} partitions, and at most "
        f"{MOST:,} are made for the past; inserts there {goes}",
        f"choose a longer interval={later}{mistake}; or give the range one partition: CREATE TABLE {name.quoted} "
        f"PARTITION OF {parent.name.quoted} {for_values(wide.bound, key.types)}",
    )


def _name_taken(table: QualifiedName, name: QualifiedName) -> Finding:
    return Finding(
        "name-taken",
        Severity.ERROR,
        str(table),
        f"{name} already is a partition with another bound, so the missing one can't be called that",
        f"rename it (ALTER TABLE {name.quoted} RENAME TO ...), or give the declaration another name= template",
    )
