"""Coverage: what is missing now, soon or in the past, and whether the runway is long enough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sa_partman.bounds.bound import Bound, RangeBound
from sa_partman.bounds.text import describe
from sa_partman.catalog import FoundTable, default_of
from sa_partman.checks.asked import Asked
from sa_partman.checks.places import Place
from sa_partman.checks.runway import Runway, shortest
from sa_partman.compare.reached import current_cell
from sa_partman.finding import Finding, Severity
from sa_partman.names import QualifiedName
from sa_partman.spec.declared import RangeLevel

RUN = "run: sa-partman run"
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Missing:
    """
    A partition that a plan would make.

    Args:
        parent: Of what it will be a partition.
    """

    name: QualifiedName
    bound: Bound
    parent: QualifiedName


@dataclass(frozen=True, slots=True)
class Due:
    """
    What a plan made at the same instant would do.

    Args:
        missing: Partitions to create.
        expired: Partitions to detach or drop.
    """

    missing: tuple[Missing, ...] = ()
    expired: tuple[QualifiedName, ...] = ()


def coverage_findings(
    found: FoundTable, places: Sequence[Place], runways: Sequence[Runway], due: Due, asked: Asked
) -> Iterator[Finding]:
    """Gaps, a runway that is shorter than premake= asks for, or than whoever checks asks for."""
    table, nearest = str(found.name), shortest(runways)
    by_parent = {place.parent.name: place for place in places}
    sorted_out: dict[str, list[str]] = {"no-current": [], "gap": [], "horizon": [], "missing": []}
    for missing in due.missing:
        place = by_parent.get(missing.parent)
        sorted_out[_kind(place, missing.bound)].append(_said(place, missing.bound))
    fails = Severity.WARNING if default_of(found) is not None else Severity.ERROR
    goes = "fall into the default partition" if fails is Severity.WARNING else "fail"
    yield from _listed("no-current", fails, table, f"no partition for now, so inserts of now {goes}", sorted_out)
    yield from _listed("gap", fails, table, f"gaps, so inserts there {goes}", sorted_out)
    yield from _listed("missing", fails, table, f"missing partitions, so their inserts {goes}", sorted_out)
    ready = "" if nearest is None else f" (ready: {nearest})"
    said = f"not ready as far ahead as premake= asks{ready}"
    yield from _listed("horizon", Severity.WARNING, table, said, sorted_out)
    yield from _too_short(table, runways, due, asked)


def _too_short(table: str, runways: Sequence[Runway], due: Due, asked: Asked) -> Iterator[Finding]:
    """The runway that was asked for: the first to end of those that are shorter."""
    if asked.min_horizon is None:
        return
    wanted = asked.min_horizon
    runway = shortest(each for each in runways if each.shorter_than(wanted))
    if runway is None:
        return
    where = str(runway.parent) + (f", tenant {runway.tenant}," if runway.tenant else "")
    needed = max(each.premake_for(wanted) for each in runways if each.shorter_than(wanted))
    raised = f"set premake={needed} in the declaration, then run: sa-partman run"
    yield Finding(
        "short-runway",
        Severity.ERROR,
        table,
        f"{where} is ready for {runway}; at least {wanted} were asked for",
        RUN if due.missing and needed <= runway.level.spec.premake else raised,
    )


def _kind(place: Place | None, bound: Bound) -> str:
    if place is None or not isinstance(place.level, RangeLevel) or not isinstance(bound, RangeBound):
        return "missing"
    level, parent, situation = place.level, place.parent, place.situation
    lower, upper = level.axis.decode(bound.lower[level.place]), level.axis.decode(bound.upper[level.place])
    current = current_cell(level, parent, situation)
    if lower is None or upper is None:
        return "missing"
    if upper <= current.lower:
        return "gap"
    return "horizon" if lower >= current.upper else "no-current"


def _said(place: Place | None, bound: Bound) -> str:
    return describe(bound if place is None else place.level.readable(bound))


def _listed(code: str, severity: Severity, table: str, message: str, found: dict[str, list[str]]) -> Iterator[Finding]:
    if found[code]:
        yield Finding(code, severity, table, f"{message}: {some(found[code])}", RUN)


def some(texts: Sequence[str]) -> str:
    """The first few of *texts*, and how many more there are."""
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more
