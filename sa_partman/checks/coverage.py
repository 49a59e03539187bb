"""Coverage: what is missing now, soon or in the past, and what is overdue."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sa_partman.bounds.bound import Bound, RangeBound
from sa_partman.bounds.text import describe
from sa_partman.catalog import FoundTable, default_of
from sa_partman.compare.ranges import current_cell
from sa_partman.compare.situation import Situation
from sa_partman.finding import Finding, Severity
from sa_partman.names import QualifiedName
from sa_partman.spec.declared import DeclaredTable, RangeLevel

_RUN = "run: sa-partman run"
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Due:
    """
    What a plan made at the same instant would do.

    Args:
        missing: Bounds to create, each with its partition's future name.
        expired: Partitions to detach or drop.
    """

    missing: tuple[tuple[QualifiedName, Bound], ...] = ()
    expired: tuple[QualifiedName, ...] = ()


def coverage_findings(declared: DeclaredTable, found: FoundTable, situation: Situation, due: Due) -> Iterator[Finding]:
    table = str(found.name)
    sorted_out: dict[str, list[str]] = {"no-current": [], "gap": [], "horizon": [], "missing": []}
    for _, bound in due.missing:
        sorted_out[_kind(declared, found, bound, situation)].append(describe(bound))
    fails = Severity.WARNING if default_of(found) is not None else Severity.ERROR
    goes = "fall into the default partition" if fails is Severity.WARNING else "fail"
    yield from _listed("no-current", fails, table, f"no partition for now, so inserts of now {goes}", sorted_out)
    yield from _listed("gap", fails, table, f"gaps, so inserts there {goes}", sorted_out)
    yield from _listed("missing", fails, table, f"missing partitions, so their inserts {goes}", sorted_out)
    yield from _listed("horizon", Severity.WARNING, table, "not ready as far ahead as premake= asks", sorted_out)
    if due.expired:
        names = _some([str(name) for name in due.expired])
        yield Finding("overdue", Severity.WARNING, table, f"{len(due.expired)} expired: {names}", _RUN)


def _kind(declared: DeclaredTable, found: FoundTable, bound: Bound, situation: Situation) -> str:
    level = declared.level
    if not isinstance(level, RangeLevel) or not isinstance(bound, RangeBound):
        return "missing"
    lower, upper = level.axis.decode(bound.lower[level.place]), level.axis.decode(bound.upper[level.place])
    current = current_cell(level, found, situation)
    if lower is None or upper is None:
        return "missing"
    if upper <= current.lower:
        return "gap"
    return "horizon" if lower >= current.upper else "no-current"


def _listed(code: str, severity: Severity, table: str, message: str, found: dict[str, list[str]]) -> Iterator[Finding]:
    if found[code]:
        yield Finding(code, severity, table, f"{message}: {_some(found[code])}", _RUN)


def _some(texts: list[str]) -> str:
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more
