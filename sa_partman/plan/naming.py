"""What partitions are called: the default names, or a declaration's template."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from sa_partman.bounds.bound import DEFAULT, MINVALUE, Bound, DefaultBound, HashBound, ListBound, RangeBound
from sa_partman.bounds.interval import Cell, cells_from
from sa_partman.bounds.text import describe, to_json
from sa_partman.errors import DeclarationError
from sa_partman.names import QualifiedName, fit_name, join_name, label_of
from sa_partman.spec.axis import TimeAxis
from sa_partman.spec.declared import DeclaredTable, HashLevel, Level, ListLevel, RangeLevel


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
