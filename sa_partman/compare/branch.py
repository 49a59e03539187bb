"""The branch of a tenant or label: whether somebody still wants it, and by which retention it would go."""

from __future__ import annotations

from sa_partman.bounds.bound import Bound, ListBound, RangeBound
from sa_partman.catalog import Parent
from sa_partman.compare.lines import line_of, lines_of
from sa_partman.compare.lists import is_active
from sa_partman.compare.situation import Situation
from sa_partman.errors import DeclarationError
from sa_partman.spec.declared import Level, ListLevel, RangeLevel
from sa_partman.spec.range_spec import Retention, retention_of


def is_listed(level: Level, parent: Parent, bound: Bound, situation: Situation) -> bool:
    """Whether the declaration, or what it asks for its tenants, names the tenant of *bound*."""
    if isinstance(level, ListLevel):
        return not level.spec.values.at_run_time and is_active(level, bound, situation)
    if isinstance(level, RangeLevel) and level.spec.tenants is not None and isinstance(bound, RangeBound):
        return not level.spec.tenants.at_run_time and line_of(level, bound) in lines_of(level, parent, situation)
    return False


def retention_of_branch(level: Level, bound: Bound) -> Retention | None:
    """
    What is declared for what lies in *bound*; None where nothing is, or where it differs from one to the other below.
    """
    here: Level | None = level
    while here is not None and not (isinstance(here, RangeLevel) and here.spec.retention is not None):
        here = here.below
    if not isinstance(here, RangeLevel):
        return None
    rule = here.spec.retention
    if isinstance(rule, Retention):
        return rule
    if here is level and isinstance(bound, RangeBound):
        tenant: object = bound.lower[0]
    elif here is level.below and here.spec.tenants is None and isinstance(bound, ListBound):
        values = tuple(bound.values)
        tenant = values[0] if len(values) == 1 else values
    else:
        return None
    try:
        return retention_of(rule, tenant)
    except DeclarationError:
        return None  # a callable need not know whom the tenants' source has forgotten
