"""Regridding: empty partitions ahead give way to those of the declared interval, an exchange in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from sa_partman.bounds.bound import DEFAULT, Bound, RangeBound
from sa_partman.catalog import FoundTable, Partition
from sa_partman.compare.exchange import MOST, Exchange
from sa_partman.finding import Finding, Severity
from sa_partman.marks import CREATED
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import Action, RequireEmpty
from sa_partman.plan.provision import creation, free_name, partition_name
from sa_partman.plan.prune import dropped
from sa_partman.plan.steps import Purpose, Step


def regrid_steps(
    found: FoundTable, wanted: Iterable[Exchange], empty: Collection[QualifiedName]
) -> tuple[FoundTable, tuple[Step | Finding, ...]]:
    """
    *found* as it will be, and the steps that make it so.

    Args:
        empty: Partitions that hold no row; each is asked again under its lock.
    """
    taken: dict[QualifiedName, Bound] = {each.name: each.bound for each in found.walk()}
    taken |= dict.fromkeys((found.name, *(each.name for each in found.detached)), DEFAULT)
    steps: list[Step | Finding] = []
    gone: set[QualifiedName] = set()
    made: dict[QualifiedName, list[Partition]] = {}
    for each in wanted:
        kept = [partition for partition in each.old if partition.name not in empty]
        if kept or not each.new:
            steps.append(_holding(found.name, kept) if kept else _too_many(found.name, each))
            continue
        going = {inner.name for partition in each.old for inner in partition.walk()}
        left = {name: bound for name, bound in taken.items() if name not in going}
        step, names = _exchanged(found, each, left)
        if step.partitions > MOST:
            steps.append(_too_many(found.name, each))
            continue
        taken = left
        gone |= {partition.name for partition in each.old}
        made.setdefault(each.parent.name, []).extend(names)
        steps.append(step)
    after = _replaced(found.name, found.partitions, gone, made)
    return replace(found, partitions=after), tuple(steps)


def _exchanged(
    found: FoundTable, exchange: Exchange, taken: dict[QualifiedName, Bound]
) -> tuple[Step, list[Partition]]:
    level, parent, context = exchange.level, exchange.parent, exchange.context
    actions: list[Action] = [RequireEmpty(each.name, parent.name) for each in exchange.old]
    for each in exchange.old:
        actions += dropped(found, level, parent, each)
    names = []
    for bound in exchange.new:
        name = free_name(partition_name(level, parent.name, bound, None), parent.name, bound, taken)
        taken[name] = bound
        names.append(Partition(name, 0, bound, "r", comment=CREATED))
        actions += creation(level, parent, name, bound, context, taken)
    first, last = exchange.old[0], exchange.old[-1]
    assert isinstance(first.bound, RangeBound)
    assert isinstance(last.bound, RangeBound)
    whole = RangeBound(first.bound.lower, last.bound.upper)
    return Step(Purpose.REGRID, found.name, first.name, whole, tuple(actions)), names


def _replaced(
    parent: QualifiedName,
    partitions: tuple[Partition, ...],
    gone: set[QualifiedName],
    made: dict[QualifiedName, list[Partition]],
) -> tuple[Partition, ...]:
    kept = (
        replace(each, partitions=_replaced(each.name, each.partitions, gone, made)) if each.partitions else each
        for each in partitions
        if each.name not in gone
    )
    return (*kept, *made.get(parent, ()))


def _holding(table: QualifiedName, kept: list[Partition]) -> Finding:
    names = ", ".join(str(each.name) for each in kept)
    return Finding(
        "regrid-kept",
        Severity.INFO,
        str(table),
        f"{names} {'has' if len(kept) == 1 else 'have'} rows, or can't be read: what was made with another interval= "
        f"stays there until it is over",
    )


def _too_many(table: QualifiedName, exchange: Exchange) -> Finding:
    first, last = exchange.old[0].name, exchange.old[-1].name
    return Finding(
        "regrid-kept",
        Severity.INFO,
        str(table),
        f"{first if first == last else f'{first} to {last}'} would give way to more than {MOST} tables in one "
        f"transaction, and {'stays' if first == last else 'stay'}",
    )
