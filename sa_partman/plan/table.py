"""The plan of one table: heal, provision, prune, in this order."""

from __future__ import annotations

from collections.abc import Iterator

from sa_partman.catalog import FoundTable, Parent
from sa_partman.compare.shape import shape_finding
from sa_partman.compare.situation import Situation
from sa_partman.finding import Finding
from sa_partman.marks import is_marked
from sa_partman.plan.actions import FinalizeDetach
from sa_partman.plan.provision import provision_steps
from sa_partman.plan.prune import prune_steps
from sa_partman.plan.steps import Purpose, Step, TablePlan
from sa_partman.spec.declared import DeclaredTable


def plan_table(declared: DeclaredTable, found: FoundTable | None, situation: Situation) -> TablePlan:
    """
    Args:
        declared: As the model wants it.
        found: As the database has it; None when it has no such table.

    Returns:
        Steps in order, empty when the table has converged; and what stands in the way.
    """
    misfit = shape_finding(declared, found)
    if misfit is not None or found is None:
        return TablePlan(declared.name, (), (misfit,) if misfit else ())
    made = tuple(provision_steps(declared, found, situation))
    steps = (
        *_heal(found),
        *(each for each in made if isinstance(each, Step)),
        *prune_steps(declared, found, situation),
    )
    return TablePlan(found.name, steps, tuple(each for each in made if isinstance(each, Finding)))


def _heal(found: FoundTable) -> Iterator[Step]:
    parents: tuple[Parent, ...] = (found, *found.walk())
    for parent in parents:
        for partition in parent.partitions:
            if partition.detach_pending and is_marked(partition.comment):
                action = FinalizeDetach(parent.name, partition.name)
                yield Step(Purpose.HEAL, found.name, partition.name, partition.bound, (action,))
