"""The partitions that the rows of a plain table need, and those to come: a declaration, begun where the rows begin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from sa_partman.bounds.bound import KeyValue
from sa_partman.bounds.text import shown
from sa_partman.compare.context import Context
from sa_partman.compare.lists import wanted_labels
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import CreatePartition
from sa_partman.plan.conversion.request import Refusal
from sa_partman.plan.provision import first_partitions
from sa_partman.plan.repartition import starting_at
from sa_partman.plan.rewrite.pieces import MOST
from sa_partman.spec.declared import DeclaredTable, IntegerAxis, Level, ListLevel, RangeLevel, TimeAxis

_SHOWN = 5
_NEW = 0
"""The oid of what is not there yet."""


@dataclass(frozen=True, slots=True)
class Reach:
    """
    What the rows say of one level.

    Args:
        ends: The lowest and the highest value of the column that an interval cuts; None without rows.
        values: Of a list, or the tenants of ranges, those that are there.
    """

    ends: tuple[KeyValue, KeyValue] | None = None
    values: frozenset[KeyValue] = frozenset()


@dataclass(frozen=True, slots=True)
class Places:
    """
    Args:
        partitions: What takes every row, and what the declaration asks for; parents first.
        refusals: Why rows have no place.
    """

    partitions: tuple[CreatePartition, ...] = ()
    refusals: tuple[Refusal, ...] = ()


def places_for(
    declared: DeclaredTable, context: Context, reaches: Mapping[int, Reach], staging: QualifiedName
) -> Places:
    """
    Args:
        reaches: By depth of the level.
        staging: What the partitions belong to; they are named after the table.
    """
    context = _with_run_time(declared.level, context, reaches)
    refusals = [each for level in declared.levels() for each in _homeless(level, context, reaches)]
    if refusals:
        return Places(refusals=tuple(refusals))
    for level in declared.levels():
        context = _with_highest(level, context, reaches)
    made = first_partitions(_begun(declared.level, context, reaches), declared.name, context, None)
    if len(made) > MOST:
        return Places(refusals=(_too_many(f"{len(made):,}"),))
    return Places(tuple(replace(each, parent=staging) if each.parent == declared.name else each for each in made))


def _with_run_time(level: Level, context: Context, reaches: Mapping[int, Reach]) -> Context:
    """Whom nobody wrote down has a place all the same where the declaration says so."""
    source = level.source
    if source is None or not source.at_run_time or level.depth not in reaches:
        return context
    values = sorted(reaches[level.depth].values, key=repr)
    return replace(context, paths=(*context.paths, *((value,) for value in values)))


def _homeless(level: Level, context: Context, reaches: Mapping[int, Reach]) -> Iterator[Refusal]:
    found = reaches.get(level.depth, Reach())
    source, column = level.source, level.key.parts[0].sql
    if source is not None:
        labelled = source.labelled if source.literal else context.tenants.get(level.depth, ())
        known = {value for _, values in labelled for value in values}
        if isinstance(level, ListLevel):
            known |= {value for _, values in wanted_labels(level, context) for value in values}
        else:
            known |= {path[0] for path in context.paths}
        unknown = sorted(map(repr, found.values - known))
        if unknown and not level.spec.default:
            listed = ", ".join(unknown[:_SHOWN]) + (" ..." if len(unknown) > _SHOWN else "")
            yield Refusal(
                f"rows have values in {column} that no partition of the declaration takes ({listed})",
                "declare them, or default=True, or correct those rows",
            )
    if isinstance(level, RangeLevel) and found.ends is not None:
        lowest, highest = (level.axis.decode(each) for each in found.ends)
        if lowest is None or highest is None:
            if not level.spec.default:
                yield Refusal(
                    f"rows have keys without a place on the grid (from {shown(found.ends[0])} to "
                    f"{shown(found.ends[1])})",
                    "declare default=True, or correct those rows",
                )
            return
        here = level.axis.position(context.now) if isinstance(level.axis, TimeAxis) else highest
        cells = level.axis.grid.count(lowest, level.axis.grid.cell(max(here, highest)).upper)
        if cells > MOST:
            yield _too_many(f"{cells:,}")


def _too_many(number: str) -> Refusal:
    return Refusal(
        f"the rows would be spread over {number} partitions, and at most {MOST:,} are made at once",
        "declare a longer interval, or delete what nobody needs first",
    )


def _with_highest(level: Level, context: Context, reaches: Mapping[int, Reach]) -> Context:
    """Integers have no clock: the highest one says how far they are."""
    found = reaches.get(level.depth, Reach())
    if not isinstance(level, RangeLevel) or not isinstance(level.axis, IntegerAxis) or found.ends is None:
        return context
    highest = level.axis.decode(found.ends[1])
    return context if highest is None else replace(context, highest={**context.highest, _NEW: highest})


def _begun(level: Level, context: Context, reaches: Mapping[int, Reach]) -> Level:
    """*level*, which reaches from the first row to the last one, and keeps what is expired, too: it is rows."""
    below = None if level.below is None else _begun(level.below, context, reaches)
    found = reaches.get(level.depth, Reach())
    if not isinstance(level, RangeLevel) or found.ends is None:
        return replace(level, below=below)
    begun = starting_at(level, found.ends[0])
    spec = begun.spec.with_(retention=None)
    highest = level.axis.decode(found.ends[1])
    if isinstance(level.axis, TimeAxis) and highest is not None:
        here, grid = level.axis.position(context.now), level.axis.grid
        beyond = grid.cell(highest).upper
        if beyond > grid.cell(here).upper:
            spec = spec.with_(premake=max(spec.premake, grid.count(grid.cell(here).upper, beyond)))
    return replace(begun, below=below, spec=spec)
