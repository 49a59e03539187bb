"""The partitions that a declaration asks for, when the migration runs."""

from __future__ import annotations

from alembic.operations import Operations
from alembic.util import CommandError

from alembic_ext import table_ops
from alembic_ext.members import apply_as_members
from alembic_ext.partitions import bound_level
from alembic_ext.session import place
from sa_partman.compare.shape import shape_finding
from sa_partman.compare.situation import Situation
from sa_partman.finding import Finding, Severity
from sa_partman.plan.provision import AT_ONCE, first_partitions, provision_steps
from sa_partman.plan.steps import Step
from sa_partman.postgres.columns import columns_of
from sa_partman.postgres.reflect import reflect
from sa_partman.postgres.sources import highest_of
from sa_partman.spec.declared import DeclaredTable


def provision(operations: Operations, operation: table_ops.ProvisionPartitionsOp) -> None:
    what = f"op.{operation.verb}({operation.table!r}, ...)"
    with place(operations, operation.table, operation.schema, what) as here:
        columns = columns_of(here.connection, here.table.oid)
        declared = DeclaredTable(here.table.name, bound_level(here.table.name, operation.declaration, columns))
        found = reflect(here.connection, [declared])[declared.name]
        misfit = shape_finding(declared, found)
        if misfit is not None:
            raise CommandError(f"{what}: {misfit.message}; nothing was changed")
        situation = Situation(here.now, highest=highest_of(here.connection, declared, found))
        steps = tuple(provision_steps(declared, found, situation))
        wrong = next((each for each in steps if isinstance(each, Finding) and each.severity is Severity.ERROR), None)
        if wrong is not None:
            raise CommandError(f"{what}: {wrong.message}; nothing was changed: {wrong.remedy}")
        if not found.partitions and not found.detached:
            apply_as_members(here, first_partitions(declared.level, declared.name, situation))
            return
        made = [each for each in steps if isinstance(each, Step)]
        past = [each for each in made if each.past][:AT_ONCE]
        wanted = [*(each for each in made if not each.past), *past]
        apply_as_members(here, [action for each in wanted for action in each.actions])
