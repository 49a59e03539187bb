"""
Families: tables that foreign keys tie together. What refers to a row goes before the row, and nothing is ever cascaded.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from sa_partman.catalog import ForeignKey, FoundTable, Parent, Partition
from sa_partman.finding import Finding, Severity
from sa_partman.key import PartitionKey
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import DeleteReferring
from sa_partman.plan.steps import Purpose, Step, TablePlan
from sa_partman.spec.range_spec import Retention


def referenced_first(plans: Sequence[TablePlan], keys: Iterable[ForeignKey]) -> tuple[TablePlan, ...]:
    """
    *plans* in an order in which every table comes after those that it refers to.

    Args:
        plans: In any order, which is kept where the keys say nothing; among tables in a circle, too.
    """
    refers: dict[QualifiedName, list[QualifiedName]] = {}
    for key in keys:
        refers.setdefault(key.referencing, []).append(key.referenced)
    known = {plan.table: plan for plan in plans}
    return tuple(known[table] for table in by_reference(known, refers))


Name = TypeVar("Name", bound=Hashable)


def by_reference(names: Iterable[Name], refers: Mapping[Name, Iterable[Name]]) -> tuple[Name, ...]:
    """
    *names* in an order in which each comes after those that it refers to, also by way of others.

    Args:
        names: In any order, which is kept where *refers* says nothing, and in a circle.
    """
    wanted = dict.fromkeys(names)
    done: dict[Name, None] = {}

    def visit(name: Name, on_the_way: frozenset[Name]) -> None:
        if name in done or name in on_the_way:
            return
        for other in refers.get(name, ()):
            visit(other, on_the_way | {name})
        done[name] = None

    for name in wanted:
        visit(name, frozenset())
    return tuple(name for name in done if name in wanted)


def referencing_steps(
    table: FoundTable,
    parent: Parent,
    partition: Partition,
    key_of: PartitionKey,
    retention: Retention,
    keys: Iterable[ForeignKey] | None,
    *,
    where: str = "",
) -> Iterator[Step | Finding]:
    """
    One step for each foreign key of a table in ``referencing_tables=``, or a finding where it has none. Its purpose is
    that of the removal, so a hook that is against the one is against the other.

    Args:
        parent: Of *partition*.
        key_of: By which *parent* is divided.
        keys: Those that refer to *table*; None while they were not read, which gives nothing.
        where: See `DeleteReferring`.
    """
    if keys is None:
        return
    there = [key for key in keys if key.referenced == table.name]
    for name in retention.referencing_tables:
        own = [key for key in there if _is(key.referencing, name, table.name)]
        if not own:
            yield _wrong(table.name, name, f"no foreign key of it refers to {table.name}")
        for key in own:
            if key.divided:
                yield _wrong(table.name, name, "it is partitioned, so it needs a retention of its own")
                continue
            delete = DeleteReferring(
                key.referencing,
                partition.name,
                key.columns,
                key.referred,
                parent=parent.name,
                bound=partition.bound,
                key=key_of,
                where=where,
            )
            purpose = Purpose.DETACH if retention.detaches else Purpose.DROP
            yield Step(purpose, table.name, partition.name, partition.bound, (delete,))


def _is(found: QualifiedName, name: str, table: QualifiedName) -> bool:
    """Without a schema a name means one beside the table."""
    return name == str(found) or (name == found.name and found.schema == table.schema)


def _wrong(table: QualifiedName, name: str, why: str) -> Finding:
    return Finding(
        "satellite",
        Severity.ERROR,
        str(table),
        f"referencing_tables= names {name!r}, and {why}; nothing was removed",
        "correct Retention(referencing_tables=...)",
    )


def limited(plans: Sequence[TablePlan], limit: int | None) -> tuple[TablePlan, ...]:
    """
    *plans* with at most *limit* partitions removed: of each table its oldest one, then of each its next, and so on. A
    finding says what is left for later runs.
    """
    if limit is None:
        return tuple(plans)
    queues = [tuple(dict.fromkeys(step.partition for step in plan.steps if step.purpose.removes)) for plan in plans]
    # Last tables first: what refers to a row may go before it.
    turns = [(turn, -place, partition) for place, queue in enumerate(queues) for turn, partition in enumerate(queue)]
    chosen = {partition for _, _, partition in sorted(turns)[:limit]}
    return tuple(_only(plan, chosen, queue, limit) for plan, queue in zip(plans, queues, strict=True))


def _only(plan: TablePlan, chosen: set[QualifiedName], queue: tuple[QualifiedName, ...], limit: int) -> TablePlan:
    left = [name for name in queue if name not in chosen]
    if not left:
        return plan
    steps = tuple(step for step in plan.steps if not step.purpose.removes or step.partition in chosen)
    message = f"{len(left)} more {'is' if len(left) == 1 else 'are'} due to go, and one run removes at most {limit}"
    finding = Finding("limit", Severity.INFO, str(plan.table), message, "run again, or raise the limit")
    return replace(plan, steps=steps, findings=(*plan.findings, finding))


def without_removals(plan: TablePlan) -> TablePlan:
    """*plan* without the steps that remove anything."""
    return replace(plan, steps=tuple(step for step in plan.steps if not step.purpose.removes))
