"""The plan of one table: heal, adopt, provision, prune, in this order."""

from __future__ import annotations

from sa_partman.catalog import FoundTable
from sa_partman.compare.shape import shape_finding
from sa_partman.compare.situation import Situation
from sa_partman.finding import Finding
from sa_partman.plan.adopt import adopt
from sa_partman.plan.aftermath import aftermath_steps
from sa_partman.plan.heal import heal_steps
from sa_partman.plan.provision import provision_steps
from sa_partman.plan.prune import prune_steps
from sa_partman.plan.steps import Step, TablePlan
from sa_partman.spec.declared import DeclaredTable


def plan_table(
    declared: DeclaredTable,
    found: FoundTable | None,
    situation: Situation,
    *,
    handed_over: bool = False,
    repair: bool = False,
) -> TablePlan:
    """
    Args:
        declared: As the model wants it.
        found: As the database has it; None when it has no such table.
        handed_over: First adopt the partitions that we did not make.
        repair: First end detaches of others that were cut off, too.

    Returns:
        Steps in order, empty when the table has converged; and what stands in the way.
    """
    misfit = shape_finding(declared, found)
    if misfit is not None or found is None:
        return TablePlan(declared.name, (), (misfit,) if misfit else ())
    found, adoptions = adopt(found, situation.now) if handed_over else (found, ())
    healed = tuple(heal_steps(declared, found, situation, repair=repair))
    made = tuple(provision_steps(declared, found, situation))
    gone = tuple(prune_steps(declared, found, situation))
    creations = tuple(each for each in made if isinstance(each, Step))
    steps = (
        *(each for each in healed if isinstance(each, Step)),
        *adoptions,
        *creations,
        *aftermath_steps(declared, found, situation, frozenset(step.partition for step in creations)),
        *(each for each in gone if isinstance(each, Step)),
    )
    findings = dict.fromkeys(each for each in (*healed, *made, *gone) if isinstance(each, Finding))
    return TablePlan(found.name, steps, tuple(findings))
