"""The lines of a range level, one for the whole table or one for each tenant; their bounds and their retention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sa_partman.bounds.bound import MAXVALUE, MINVALUE, Extreme, KeyValue, RangeBound, order_key, row_order
from sa_partman.catalog import Parent
from sa_partman.compare.enum_labels import is_label
from sa_partman.compare.situation import Situation
from sa_partman.spec.declared import RangeLevel
from sa_partman.spec.range_spec import Retention, retention_of


@dataclass(frozen=True, slots=True)
class Line:
    """
    One endless line of cells: the whole table, or one tenant's part of it.

    Args:
        prefix: The tenant's value, or nothing.
        place: Which key column the interval cuts.
        width: How many columns the key has.
    """

    prefix: tuple[KeyValue, ...]
    place: int
    width: int

    def bound(self, lower: KeyValue, upper: KeyValue) -> RangeBound:
        rest = (MINVALUE,) * (self.width - self.place - 1)
        return RangeBound((*self.prefix, lower, *rest), (*self.prefix, upper, *rest))


def lines_of(level: RangeLevel, parent: Parent, situation: Situation) -> tuple[Line, ...]:
    """One line, or one per tenant; where tenants are made at run time only, one per tenant that is there."""
    spec = level.spec
    width = len(level.key.parts)
    if spec.tenants is None:
        return (Line((), 0, width),)
    labelled = spec.tenants.labelled if spec.tenants.literal else situation.tenants.get(level.depth, ())
    values = dict.fromkeys(value for _, each in labelled for value in each)
    if spec.tenants.at_run_time:
        found = (line_of(level, each.bound) for each in parent.partitions if isinstance(each.bound, RangeBound))
        values.update(dict.fromkeys(line.prefix[0] for line in found if line))
    values.update(dict.fromkeys(path[0] for path in situation.paths))
    return tuple(Line((value,), 1, width) for value in values if is_label(level, value, situation))


def line_of(level: RangeLevel, bound: RangeBound) -> Line | None:
    """The line that *bound* lies in; None when it spans several tenants."""
    spec = level.spec
    if spec.tenants is None:
        return Line((), 0, len(bound.lower))
    one = bound.lower[0] == bound.upper[0] and not isinstance(bound.lower[0], Extreme)
    return Line(bound.lower[:1], 1, len(bound.lower)) if one else None


@dataclass(frozen=True, slots=True)
class There:
    """
    The bounds that a parent has, sorted once for all of its lines.

    Args:
        inside: Those that lie in one line from end to end, by its prefix.
        across: Those that span several.
    """

    inside: Mapping[tuple[KeyValue, ...], list[RangeBound]]
    across: list[RangeBound]

    @classmethod
    def of(cls, level: RangeLevel, parent: Parent) -> There:
        inside: dict[tuple[KeyValue, ...], list[RangeBound]] = {}
        across: list[RangeBound] = []
        place = level.place
        for partition in parent.partitions:
            bound = partition.bound
            if isinstance(bound, RangeBound):
                prefix = bound.lower[:place]
                (inside.setdefault(prefix, []) if prefix == bound.upper[:place] else across).append(bound)
        return cls(inside, across)

    def of_line(self, line: Line) -> list[RangeBound]:
        """The bounds that *line* has, or parts of them."""
        inside = self.inside.get(line.prefix, [])
        return [*inside, *(part for bound in self.across if (part := _part(bound, line)))] if self.across else inside


def _part(bound: RangeBound, line: Line) -> RangeBound | None:
    """What of *bound*, which spans several lines, lies in *line*."""
    tenant = order_key(line.prefix[0])
    lower, upper = order_key(bound.lower[0]), order_key(bound.upper[0])
    if not lower <= tenant <= upper:
        return None
    whole = line.bound(MINVALUE, MAXVALUE)
    part = RangeBound(bound.lower if lower == tenant else whole.lower, bound.upper if upper == tenant else whole.upper)
    return part if row_order(part.lower) < row_order(part.upper) else None


def retention_in(line: Line, level: RangeLevel, situation: Situation) -> Retention | None:
    spec = level.spec
    return retention_of(spec.retention, tenant_of(line, situation))


def tenant_of(line: Line, situation: Situation) -> object:
    """What a retention per tenant is looked up by: the tenant's value, or the nearest list partition's one value."""
    if line.prefix:
        return line.prefix[0]
    if not situation.branch:
        return None
    values = situation.branch[-1]
    return values[0] if len(values) == 1 else values
